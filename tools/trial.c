#include "trial.h"

#include "base/clock.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>

enum { SECRETS_MEMORY = 64 << 20 };

static int64_t now_ms(void *context)
{
    const struct trial *trial = context;

    return trial->clock_stands ? trial->now_ms : clock_wall_ms();
}

static void random_bytes(void *context, void *bytes, size_t size)
{
    char *at = bytes;

    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);

        if (got <= 0)
            continue; /* interrupted */
        at += got;
        size -= (size_t)got;
    }
}

/* The value of a member, or false. */
static bool member(struct trial *trial, const struct sql_json *object, struct span name, struct sql_json *out)
{
    struct sql_json key;
    struct sql_json_walk walk = sql_json_walk(object);
    struct span text;

    while (sql_json_next(&walk, &key, out))
        if (sql_json_text(&key, &trial->arena, &text) && span_equal(text, name))
            return true;
    return false;
}

/* A secret's text: the characters of a string, else the JSON. */
static int give(struct trial *trial, const struct sql_json *value, struct span *out, struct err *err)
{
    struct buf text = buf_in(&trial->arena, SECRETS_MEMORY);

    if (value->kind == SQL_JSON_STRING)
        return sql_json_text(value, &trial->arena, out) ? 0 : err_memory(err);
    sql_json_compact(value, &text);
    *out = buf_view(&text);
    return text.failed ? err_memory(err) : 0;
}

static int secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    struct trial *trial = context;
    struct sql_json found, bytes, whole;

    if (!member(trial, &trial->secrets, query->id, &found))
        return err_set(err, ERR_SECRET, "secret '" SPAN_FMT "' is not among the secrets of this test",
                       SPAN_ARG(query->id));
    bool binary = found.kind == SQL_JSON_OBJECT && member(trial, &found, SPAN("base64"), &bytes);
    if (binary != (query->type == SQL_SECRET_BINARY))
        return err_set(err, ERR_SECRET, "secret '" SPAN_FMT "' is a %s, and a %s is asked for",
                       SPAN_ARG(query->id), binary ? "SecretBinary" : "SecretString",
                       binary ? "SecretString" : "SecretBinary");
    if (binary)
        return give(trial, &bytes, out, err);
    if (!query->key.data)
        return give(trial, &found, out, err);

    /* A key of a secret that is written as a string: that string is JSON, as at AWS. */
    if (found.kind == SQL_JSON_STRING) {
        struct span text;
        struct err ignored;

        if (give(trial, &found, &text, err))
            return -1;
        if (sql_json_read(text, &whole, &ignored))
            whole = (struct sql_json){.kind = SQL_JSON_NULL, .text = SPAN("null")};
        found = whole;
    }
    if (!member(trial, &found, query->key, &whole))
        return err_set(err, ERR_SECRET, "secret '" SPAN_FMT "' has no key '" SPAN_FMT "'",
                       SPAN_ARG(query->id), SPAN_ARG(query->key));
    return give(trial, &whole, out, err);
}

void trial_init(struct trial *trial)
{
    *trial = (struct trial){.secrets = {.kind = SQL_JSON_NULL}};
    arena_init(&trial->arena, SECRETS_MEMORY);
    trial->host = (struct sql_host){
        .context = trial,
        .now_ms = now_ms,
        .random = random_bytes,
        .secret = secret,
    };
}

void trial_done(struct trial *trial)
{
    arena_done(&trial->arena);
}

bool trial_routes(const struct sql_program *program, struct span rule, struct sql_message *message)
{
    static const char prefix[] = "$aws/rules/";
    struct span filter = program ? sql_program_filter(program) : (struct span){0}, rest = message->topic;

    if (!span_starts_with(message->topic, prefix))
        return !program || (filter.data && sql_filter_matches(filter, message->topic));

    rest.data += sizeof prefix - 1;
    rest.size -= sizeof prefix - 1;
    const char *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
    struct span name = {rest.data, slash ? (size_t)(slash - rest.data) : rest.size};
    if (rule.data && !span_equal(rule, name))
        return false;
    message->topic =
        slash ? (struct span){slash + 1, rest.size - name.size - 1} : (struct span){rest.data + rest.size, 0};
    return !filter.data || sql_filter_matches(filter, message->topic);
}

void trial_explain(const struct sql_program *program)
{
    struct buf steps = BUF_INIT;

    sql_program_explain(program, &steps);
    (void)fwrite(steps.data, 1, steps.size, stderr);
    buf_done(&steps);
}

void trial_encode64(struct span bytes, struct buf *out)
{
    unsigned char text[72];

    while (bytes.size > 0) {
        size_t step = bytes.size < 48 ? bytes.size : 48;
        int size = EVP_EncodeBlock(text, (const unsigned char *)bytes.data, (int)step);

        buf_add(out, text, (size_t)size);
        bytes.data += step;
        bytes.size -= step;
    }
}

int trial_decode64(struct span text, struct buf *out, struct err *err)
{
    size_t padding = 0;

    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    if (text.size > (size_t)1 << 30)
        return err_set(err, ERR_LIMIT, "base64 text is too long");
    if (text.size % 4 != 0 || !buf_reserve(out, text.size / 4 * 3 + 1))
        return err_set(err, ERR_SYNTAX, "not base64: its length is no multiple of 4");
    int size = EVP_DecodeBlock((unsigned char *)out->data + out->size, (const unsigned char *)text.data,
                               (int)text.size);
    if (size < 0 || (size_t)size < padding)
        return err_set(err, ERR_SYNTAX, "not base64");
    out->size += (size_t)size - padding;
    out->data[out->size] = '\0';
    return 0;
}
