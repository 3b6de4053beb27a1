/* The world as the engine lends it to SQL: the clock, randomness, and secrets that are already here. */
#include "engine/render.h"

#include "base/clock.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

struct known {
    struct secret_query query; /* the spans point into `text` */
    enum sql_secret_type type;
    char *text;
    struct wiped *value; /* as get_secret gives it: base64 for BINARY. NULL: not had yet */
};

struct render_secrets {
    struct secrets *secrets;
    bool on_demand;
    struct known *items;
    size_t count, room;
};

/* Few secrets stand in rules, so a list is searched from end to end. */
static bool same_span(struct span a, struct span b)
{
    if (!a.data || !b.data)
        return !a.data && !b.data;
    return span_equal(a, b);
}

static struct known *find(struct render_secrets *known, const struct sql_secret_query *query)
{
    for (size_t i = 0; i < known->count; i++) {
        struct known *item = &known->items[i];

        if (item->type == query->type && same_span(item->query.id, query->id) &&
            same_span(item->query.key, query->key) && same_span(item->query.role_arn, query->role_arn))
            return item;
    }
    return NULL;
}

static struct span copy_to(char **at, struct span text)
{
    if (!text.data)
        return text;
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    struct span copy = {*at, text.size};
    *at += text.size;
    return copy;
}

static struct known *add(struct render_secrets *known, const struct sql_secret_query *query, struct err *err)
{
    if (known->count == known->room) {
        size_t room = known->room ? known->room * 2 : 8;
        struct known *items = realloc(known->items, room * sizeof *items);

        if (!items) {
            err_memory(err);
            return NULL;
        }
        known->items = items;
        known->room = room;
    }
    char *text = malloc(query->id.size + query->key.size + query->role_arn.size + 1), *at = text;
    if (!text) {
        err_memory(err);
        return NULL;
    }
    struct known *item = &known->items[known->count++];
    *item = (struct known){.type = query->type, .text = text};
    item->query.id = copy_to(&at, query->id);
    item->query.key = copy_to(&at, query->key);
    item->query.role_arn = copy_to(&at, query->role_arn);
    item->query.form = query->type == SQL_SECRET_BINARY ? SECRET_BINARY : SECRET_STRING;
    return item;
}

static struct wiped *base64(const struct wiped *bytes, struct err *err)
{
    struct span plain = wiped_reveal(bytes);
    size_t room = (plain.size + 2) / 3 * 4 + 1;
    struct wiped *out = NULL;
    unsigned char *text = plain.size < INT_MAX / 2 ? malloc(room) : NULL;

    if (text) {
        int size = EVP_EncodeBlock(text, (const unsigned char *)plain.data, (int)plain.size);

        out = wiped_new((struct span){(const char *)text, (size_t)size});
        wipe(text, room);
        free(text);
    }
    if (!out)
        err_memory(err);
    return out;
}

static int fetch(struct render_secrets *known, struct known *item, struct err *err)
{
    struct wiped *value = secrets_get(known->secrets, &item->query, err);

    if (value && item->type == SQL_SECRET_BINARY) {
        struct wiped *bytes = value;

        value = base64(bytes, err);
        wiped_free(bytes);
    }
    if (!value)
        return -1;
    wiped_free(item->value);
    item->value = value;
    return 0;
}

struct render_secrets *render_secrets_new(struct secrets *secrets, bool on_demand, struct err *err)
{
    struct render_secrets *known = calloc(1, sizeof *known);

    if (!known) {
        err_memory(err);
        return NULL;
    }
    known->secrets = secrets;
    known->on_demand = on_demand;
    return known;
}

void render_secrets_free(struct render_secrets *known)
{
    if (!known)
        return;
    for (size_t i = 0; i < known->count; i++) {
        wiped_free(known->items[i].value);
        free(known->items[i].text);
    }
    free(known->items);
    free(known);
}

struct learning {
    struct render_secrets *known;
    struct err *err;
    int result;
};

static void learn(void *context, const struct sql_secret_query *query)
{
    struct learning *learning = context;
    struct err err = {0};
    struct known *item = find(learning->known, query);

    if (!item)
        item = add(learning->known, query, &err);
    if (item && (item->value || fetch(learning->known, item, &err) == 0))
        return;
    if (learning->result == 0)
        *learning->err = err;
    learning->result = -1;
}

static void learn_action(struct learning *learning, const struct rule_action *action)
{
    if (!action->type)
        return;
    for (size_t i = 0; action->type->fields[i].name; i++)
        if (action->fields[i])
            sql_template_secrets(action->fields[i], learn, learning);
    for (size_t i = 0; i < action->pair_count; i++) {
        sql_template_secrets(action->pairs[i].key, learn, learning);
        sql_template_secrets(action->pairs[i].value, learn, learning);
    }
}

int render_secrets_learn(struct render_secrets *known, const struct rule *rule, struct err *err)
{
    struct learning learning = {.known = known, .err = err};

    sql_program_secrets(rule->program, learn, &learning);
    for (size_t i = 0; i < rule->action_count; i++)
        learn_action(&learning, &rule->actions[i]);
    if (rule->error_action)
        learn_action(&learning, rule->error_action);
    return learning.result;
}

static int64_t host_now(void *context)
{
    (void)context;
    return clock_wall_ms();
}

static void host_random(void *context, void *bytes, size_t size)
{
    char *at = bytes;

    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);

        if (got < 0)
            continue; /* EINTR alone: the pool of a running system is ready, and the call exists since 3.17 */
        at += got;
        size -= (size_t)got;
    }
}

static int host_secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    struct render_secrets *known = context;
    struct known *item = find(known, query);

    if (known->on_demand) {
        if (!item && !(item = add(known, query, err)))
            return -1;
        if (!item->value && fetch(known, item, err) != 0)
            return -1;
    }
    if (!item || !item->value)
        return err_set(err, ERR_SECRET, "secret '" SPAN_FMT "' %s", SPAN_ARG(query->id),
                       item ? "could not be fetched"
                            : "is named by the message, and only ids that stand in the rule are fetched");
    *out = wiped_reveal(item->value);
    return 0;
}

struct sql_host render_host(struct render_secrets *known)
{
    return (struct sql_host){
        .context = known, .now_ms = host_now, .random = host_random, .secret = known ? host_secret : NULL};
}
