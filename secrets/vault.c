/* vault.c - `type: vault`: secrets of a KV version 2 engine.
 *
 * The secret `folder/name` is <mount>/data/folder/name; `name@3` is its version 3. Its text is the JSON
 * object of its data, so a key is a member. A secret whose only member is named SecretString or SecretBinary
 * (base64) is that text, or those bytes, as in AWS Secrets Manager. */
#include "vault.h"

#include "wiping.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { URL_MAX = 8192, REDIRECTS_MAX = 2, TRIES_412 = 4 };

static void secret_text_drop(char **text)
{
    wiping_free(*text);
}

/* ---- a request ---- */

static int parse(const struct http_answer *answer, json_t **json, struct err *err)
{
    json_error_t why = {.text = ""};

    *json = NULL;
    if (answer->body.size == 0)
        return 0;
    *json = json_loadb(answer->body.data, answer->body.size, JSON_REJECT_DUPLICATES, &why);
    if (!*json && why.text[0] == '\0')
        return err_memory(err);
    if (!*json && answer->status == 200)
        return err_set(err, ERR_IO, "the answer is not the JSON of a Vault server: is the address right?");
    return 0;
}

static bool same_scheme(const char *a, const char *b)
{
    return strncasecmp(a, b, strcspn(a, ":") + 1) == 0;
}

/* Follow a standby's hint to the active node, but never out of TLS. `url` is room for its address. */
static int call_following(struct backend *backend, struct http_request *request, char url[URL_MAX],
                          struct http_answer *answer, struct err *err)
{
    for (int hops = 0;; hops++) {
        if (http_call(backend->http, request, answer, err) != 0)
            return -1;
        if (answer->status < 300 || answer->status > 399 || answer->status == 304)
            return 0;
        if (!answer->location || hops == REDIRECTS_MAX)
            return err_set(err, ERR_IO, "%s sends us from place to place (status %ld): is the address right?",
                           backend->address, answer->status);
        if (!same_scheme(answer->location, backend->address) || !http_is_private(answer->location))
            return err_set(err, ERR_IO,
                           "%s sends us away to an address that is not protected like its own: not followed",
                           backend->address);
        if (snprintf(url, URL_MAX, "%s", answer->location) >= URL_MAX)
            return err_set(err, ERR_IO, "%s sends us to an address that is too long", backend->address);
        request->url = url;
    }
}

static bool make_header(char *out, size_t room, const char *name, struct span value)
{
    int size = snprintf(out, room, "%s: " SPAN_FMT, name, SPAN_ARG(value));

    return size > 0 && (size_t)size < room;
}

int vault_call(struct backend *backend, const char *method, const char *path, const struct wiped *token,
               const json_t *body, long *status, json_t **json, struct err *err)
{
    char url[URL_MAX], hop[URL_MAX], token_header[4096] = "", space_header[1024] = "";
    AUTO(secret_text_drop) char *text = NULL;
    struct http_request request = {.method = method, .url = url, .headers = {"X-Vault-Request: true"}};
    struct http_answer answer;
    size_t headers = 1;
    int result = -1;

    if (snprintf(url, sizeof url, "%s/v1/%s", backend->address, path) >= (int)sizeof url)
        return err_set(err, ERR_VALUE, "the address is too long");
    if (backend->name_space) {
        if (!make_header(space_header, sizeof space_header, "X-Vault-Namespace",
                         span_of(backend->name_space)))
            return err_set(err, ERR_VALUE, "the namespace is too long");
        request.headers[headers++] = space_header;
    }
    if (token && !make_header(token_header, sizeof token_header, "X-Vault-Token", wiped_reveal(token))) {
        err_set(err, ERR_VALUE, "the token is too long");
        goto out;
    }
    if (token)
        request.headers[headers++] = token_header;
    if (body) {
        text = json_dumps(body, JSON_COMPACT);
        if (!text) {
            err_memory(err);
            goto out;
        }
        request.body = span_of(text);
        request.headers[headers] = "Content-Type: application/json";
    }
    if (clock_mono_ms() < backend->wait_ms) {
        err_set(err, ERR_IO, "%s asked us to wait before the next request", backend->address);
        goto out;
    }
    if (call_following(backend, &request, hop, &answer, err) == 0 && parse(&answer, json, err) == 0) {
        *status = answer.status;
        if ((answer.status == 429 || answer.status == 503) && answer.retry_ms > 0)
            backend->wait_ms = clock_mono_ms() + answer.retry_ms;
        result = 0;
    }
out:
    wipe(token_header, sizeof token_header);
    return result;
}

/* What the server says, if it is fit to be shown: short, plain, and without our token in it. */
static const char *said(const struct backend *backend, const json_t *json, char *out, size_t room)
{
    const char *text = json_string_value(json_array_get(json_object_get(json, "errors"), 0));
    struct span token = wiped_reveal(backend->token);

    out[0] = '\0';
    if (!text || strlen(text) > 160 || (token.size && strstr(text, token.data)))
        return out;
    (void)snprintf(out, room, " (it says: %s)", text);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return out;
}

int vault_refused(const struct backend *backend, long status, const json_t *json, const char *what,
                  struct err *err)
{
    char words[192];

    switch (status) {
    case 403:
        return err_set(err, ERR_VALUE,
                       "%s was denied: no policy of this login (%s) allows it, or the login is not valid%s",
                       what, backend->auth.name, said(backend, json, words, sizeof words));
    case 404: return err_set(err, ERR_SECRET, "%s: there is nothing", what);
    case 412:
        return err_set(err, ERR_IO, "%s is behind its active node and cannot answer yet (412)",
                       backend->address);
    case 429: return err_set(err, ERR_IO, "%s limits our requests (429)", backend->address);
    case 472:
    case 473:
        return err_set(err, ERR_IO, "%s is a standby that does not answer reads (%ld): name the active node",
                       backend->address, status);
    case 503:
        return err_set(err, ERR_IO, "%s is sealed or in maintenance (503): unseal it", backend->address);
    default:
        return err_set(err, status >= 500 ? ERR_IO : ERR_VALUE, "%s: %s answers with status %ld%s", what,
                       backend->address, status, said(backend, json, words, sizeof words));
    }
}

/* ---- a secret ---- */

/* <mount>/data/<id>[?version=n], percent-encoded. */
static int path_of(const struct backend *backend, struct span id, struct buf *out, struct err *err)
{
    struct span version = {NULL, 0};
    size_t from = 0;

    for (size_t i = id.size; i > 1 && !version.data; i--) {
        if (id.data[i - 1] == '@' && i < id.size) {
            version = (struct span){id.data + i, id.size - i};
            id.size = i - 1;
        } else if (id.data[i - 1] < '0' || id.data[i - 1] > '9') {
            break;
        }
    }
    if (version.size > 9)
        return err_set(err, ERR_SECRET, "the version after @ is too large");
    if (id.size == 0 || id.size > SECRET_ID_MAX)
        return err_set(err, ERR_SECRET, "the id is empty or longer than %d bytes", SECRET_ID_MAX);
    buf_text(out, backend->mount);
    buf_text(out, "/data/");
    for (size_t i = 0; i <= id.size; i++) {
        if (i == id.size || id.data[i] == '/') {
            struct span step = {id.data + from, i - from};

            if (step.size == 0 || span_is(step, ".") || span_is(step, ".."))
                return err_set(err, ERR_SECRET, "the id has an empty step, \".\" or \"..\"");
            from = i + 1;
        }
        if (i == id.size)
            break;
        unsigned char c = (unsigned char)id.data[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("/-._~", c);
        if (plain && c)
            buf_char(out, (char)c);
        else
            buf_format(out, "%%%02X", c);
    }
    if (version.data)
        buf_format(out, "?version=" SPAN_FMT, SPAN_ARG(version));
    return out->failed ? err_memory(err) : 0;
}

static int store(const json_t *data, struct stored *out, struct err *err)
{
    const char *text = json_string_value(json_object_get(data, "SecretString"));
    const char *binary = json_string_value(json_object_get(data, "SecretBinary"));
    AUTO(secret_text_drop) char *dump = NULL;
    bool alone = json_object_size(data) == 1;

    out->as = STORED_TEXT;
    if (alone && binary) {
        out->as = STORED_BYTES;
        out->bytes = base64_secret(span_of(binary), err);
        return out->bytes ? 0 : -1;
    }
    if (!alone || !text)
        text = dump = json_dumps(data, JSON_COMPACT);
    if (text && text[0] == '\0')
        return err_set(err, ERR_VALUE, "its member SecretString is empty");
    out->bytes = text ? wiped_new(span_of(text)) : NULL;
    return out->bytes ? 0 : err_memory(err);
}

static int take_secret(const struct backend *backend, long status, const json_t *json, const char *what,
                       struct stored *out, struct err *err)
{
    const json_t *outer = json_object_get(json, "data"), *data = json_object_get(outer, "data");
    const json_t *metadata = json_object_get(outer, "metadata");
    const char *deleted = json_string_value(json_object_get(metadata, "deletion_time"));

    if (status == 404 && json_is_true(json_object_get(metadata, "destroyed")))
        return err_set(err, ERR_SECRET, "%s: this version was destroyed", what);
    if (status == 404 && deleted && deleted[0])
        return err_set(err, ERR_SECRET, "%s: it was deleted (%.32s); undelete it, or write a new version",
                       what, deleted);
    if (status == 404)
        return err_set(err, ERR_SECRET, "%s: there is nothing (the mount is \"%s\", KV version 2)", what,
                       backend->mount);
    if (status != 200)
        return vault_refused(backend, status, json, what, err);
    if (!json_is_object(data))
        return err_set(err, ERR_VALUE,
                       "%s: the answer holds no data of KV version 2: is \"%s\" the mount of such an engine?",
                       what, backend->mount);
    if (json_object_size(data) == 0)
        return err_set(err, ERR_VALUE, "%s: the secret is empty", what);
    (void)snprintf(out->version, sizeof out->version, "%lld",
                   (long long)json_integer_value(json_object_get(metadata, "version")));
    return store(data, out, err);
}

/* 1: the login was refused, another may do. */
static int fetch_once(struct backend *backend, const char *path, const char *what, struct stored *out,
                      struct err *err)
{
    AUTO(vault_json_drop) json_t *json = NULL;
    long status = 412;

    if (vault_login(backend, err) != 0)
        return -1;
    for (int i = 0; i < TRIES_412 && status == 412; i++) { /* a standby catches up in a moment */
        if (i > 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        json_decref(json);
        json = NULL;
        if (vault_call(backend, "GET", path, backend->token, NULL, &status, &json, err) != 0)
            return -1;
    }
    if (status == 403 && vault_forget(backend))
        return 1;
    return take_secret(backend, status, json, what, out, err);
}

int vault_fetch(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
                struct err *err)
{
    struct buf path = {.limit = URL_MAX / 2};
    char what[256];
    int result = -1;

    (void)role_arn;
    *out = (struct stored){.bytes = NULL};
    if (path_of(backend, id, &path, err) == 0) {
        (void)snprintf(what, sizeof what, "reading %s", path.data);
        (void)pthread_mutex_lock(&backend->lock);
        result = fetch_once(backend, path.data, what, out, err);
        if (result == 1) /* revoked, or it has run out: once more with a new one */
            result = fetch_once(backend, path.data, what, out, err);
        (void)pthread_mutex_unlock(&backend->lock);
        if (result == 1)
            result = vault_refused(backend, 403, NULL, what, err);
    }
    buf_done(&path);
    return result;
}

/* ---- its life ---- */

int vault_probe(struct backend *backend, char *detail, struct err *err)
{
    AUTO(vault_json_drop) json_t *json = NULL;
    long status = 0;
    int result = -1;

    (void)pthread_mutex_lock(&backend->lock);
    if (vault_call(backend, "GET", "sys/health?standbyok=true&perfstandbyok=true", NULL, NULL, &status, &json,
                   err) == 0) {
        const char *version = json_string_value(json_object_get(json, "version"));

        if (status != 200)
            (void)vault_refused(backend, status, json, "asking for its health", err);
        else if (vault_login(backend, err) == 0)
            result = 0;
        int64_t left_s = backend->end_ms == INT64_MAX ? -1 : (backend->end_ms - clock_mono_ms()) / 1000;
        int size = snprintf(detail, SECRETS_DETAIL, "%s at %s, %s %s%s",
                            version ? version : "unknown version", backend->address,
                            backend->unseen ? "not sure of the" : "logged in by", backend->auth.name,
                            backend->unseen ? ": it is wrong, or may not look itself up (403)" : "");
        if (left_s >= 0 && size > 0 && size < SECRETS_DETAIL)
            (void)snprintf(detail + size, SECRETS_DETAIL - (size_t)size, ", token for %lld s",
                           (long long)left_s);
    }
    (void)pthread_mutex_unlock(&backend->lock);
    return result;
}
