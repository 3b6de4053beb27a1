/* vault_login.c - tokens: given ones and those that a login gives, renewed while that is possible. */
#include "vault.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MARGIN_MS = 1000,       /* a token that ends sooner is not worth trying */
    LOGIN_PAUSE_MS = 60000, /* between two logins because a token was refused */
    RENEW_LEAST_MS = 5000,  /* a life that is shorter is not worth renewing */
    RENEW_RETRY_MS = 10000,
};

DEFINE_DROP(wiped, struct wiped *, wiped_free)

/* ---- what a login needs ---- */

/* A reference. NULL with `err`. */
static struct wiped *value_of(const struct vault_value *value, struct err *err)
{
    struct wiped *read = NULL;

    if (value->given)
        return wiped_ref(value->given);
    (void)file_secret(value->file, value->shared, &read, err);
    return read;
}

static json_t *json_of(const struct wiped *value)
{
    struct span text = wiped_reveal(value);

    return json_stringn(text.data, text.size); /* NULL also when it is no UTF-8 */
}

/* The secret id out of its wrapping, which opens once. A reference. */
static struct wiped *unwrap(struct backend *backend, const struct wiped *wrapping, struct err *err)
{
    AUTO(vault_json_drop) json_t *json = NULL;
    long status = 0;

    if (backend->auth.unwrapped)
        return wiped_ref(backend->auth.unwrapped);
    if (vault_call(backend, "POST", "sys/wrapping/unwrap", wrapping, NULL, &status, &json, err) != 0)
        return NULL;
    const json_t *id = json_object_get(json_object_get(json, "data"), "secret_id");
    if (status >= 500 || status == 429) {
        (void)vault_refused(backend, status, json, "unwrapping the secret id", err);
        return NULL;
    }
    if (status != 200 || !json_is_string(id)) {
        err_set(err, ERR_IO,
                "the wrapping token of the secret id is not valid, has run out, or was used before: have a "
                "new one made, "
                "and ask who used this one");
        return NULL;
    }
    backend->auth.unwrapped = wiped_new((struct span){json_string_value(id), json_string_length(id)});
    if (!backend->auth.unwrapped)
        err_memory(err);
    return wiped_ref(backend->auth.unwrapped);
}

/* The login's request. NULL with `err`. */
static json_t *credentials(struct backend *backend, struct err *err)
{
    AUTO(wiped_drop) struct wiped *value = NULL, *wrapping = NULL;
    json_t *body;

    switch (backend->auth.method) {
    case VAULT_APPROLE:
        value = value_of(&backend->auth.secret_id, err);
        if (value && backend->auth.wrapped) {
            wrapping = TAKE(value);
            value = unwrap(backend, wrapping, err);
        }
        if (!value)
            return NULL;
        body = json_pack("{s:s, s:o}", "role_id", backend->auth.role_id, "secret_id", json_of(value));
        break;
    case VAULT_JWT:
        value = value_of(&backend->auth.jwt, err);
        if (!value)
            return NULL;
        body = json_pack("{s:s, s:o}", "role", backend->auth.role, "jwt", json_of(value));
        break;
    default:
        body = backend->auth.role ? json_pack("{s:s}", "name", backend->auth.role) : json_object();
        break;
    }
    if (!body)
        err_set(err, ERR_VALUE, "what a login by %s needs is no text, or memory is out", backend->auth.name);
    return body;
}

/* ---- a token's life ---- */

static void set_life(struct backend *backend, json_int_t seconds, bool renewable, int64_t now)
{
    int64_t life_ms = seconds > 0 && seconds < INT32_MAX ? seconds * 1000 : 0;

    backend->end_ms = life_ms ? now + life_ms : INT64_MAX;
    backend->renewable = renewable && life_ms >= RENEW_LEAST_MS;
    backend->renew_ms = backend->renewable ? now + life_ms / 3 * 2 : INT64_MAX;
}

static int take_token(struct backend *backend, const json_t *json, int64_t now, struct err *err)
{
    const json_t *auth = json_object_get(json, "auth"), *token = json_object_get(auth, "client_token");

    if (!json_is_string(token) || json_string_length(token) == 0)
        return err_set(err, ERR_IO, "%s answers a login without a token", backend->address);
    wiped_free(backend->token);
    backend->token = wiped_new((struct span){json_string_value(token), json_string_length(token)});
    if (!backend->token)
        return err_memory(err);
    set_life(backend, json_integer_value(json_object_get(auth, "lease_duration")),
             json_is_true(json_object_get(auth, "renewable")), now);
    return 0;
}

static int log_in(struct backend *backend, struct err *err)
{
    AUTO(vault_json_drop) json_t *body = credentials(backend, err), *json = NULL;
    int64_t now = clock_mono_ms();
    char path[512], what[64];
    long status = 0;

    if (!body)
        return -1;
    (void)snprintf(path, sizeof path, "auth/%s/login", backend->auth.mount);
    (void)snprintf(what, sizeof what, "the login by %s", backend->auth.name);
    if (vault_call(backend, "POST", path, NULL, body, &status, &json, err) != 0)
        return -1;
    if (status == 200)
        return take_token(backend, json, now, err);
    (void)vault_refused(backend, status, json, what, err);
    err->code = ERR_IO; /* whatever the cause, no secret can be read */
    return -1;
}

/* A given token does not say how long it lives. */
static int look_up(struct backend *backend, struct err *err)
{
    AUTO(vault_json_drop) json_t *json = NULL;
    int64_t now = clock_mono_ms();
    long status = 0;

    if (vault_call(backend, "GET", "auth/token/lookup-self", backend->token, NULL, &status, &json, err) != 0)
        return -1;
    if (status != 200 && status != 403)
        return vault_refused(backend, status, json, "looking the token up", err);
    const json_t *data =
        json_object_get(json, "data"); /* 403: not valid, or not allowed to look: reading will tell */
    set_life(backend, json_integer_value(json_object_get(data, "ttl")),
             json_is_true(json_object_get(data, "renewable")), now);
    backend->looked = true;
    backend->unseen = status == 403;
    return 0;
}

static int renew(struct backend *backend, struct err *err)
{
    AUTO(vault_json_drop) json_t *json = NULL;
    int64_t now = clock_mono_ms();
    long status = 0;

    if (vault_call(backend, "POST", "auth/token/renew-self", backend->token, NULL, &status, &json, err) != 0)
        return -1;
    if (status != 200)
        return vault_refused(backend, status, json, "renewing the token", err);
    const json_t *auth = json_object_get(json, "auth");
    set_life(backend, json_integer_value(json_object_get(auth, "lease_duration")),
             json_is_true(json_object_get(auth, "renewable")), now);
    return 0;
}

static void drop_token(struct backend *backend)
{
    wiped_free(backend->token);
    backend->token = NULL;
    backend->looked = backend->unseen = false;
}

/* ---- for vault.c and the table ---- */

int vault_login(struct backend *backend, struct err *err)
{
    int64_t now = clock_mono_ms();

    if (backend->auth.method == VAULT_TOKEN) {
        if (!backend->token && !(backend->token = value_of(&backend->auth.token, err))) {
            err->code = err->code == ERR_MEMORY ? ERR_MEMORY : ERR_IO;
            return -1;
        }
        return backend->looked ? 0 : look_up(backend, err);
    }
    if (backend->token && now < backend->end_ms - MARGIN_MS)
        return 0;
    drop_token(backend);
    return log_in(backend, err);
}

bool vault_forget(struct backend *backend)
{
    AUTO(vault_json_drop) json_t *json = NULL;
    struct err err;
    long status = 0;

    if (backend->auth.method == VAULT_TOKEN && backend->auth.token.given)
        return false;
    if (backend->forgot_ms && clock_mono_ms() - backend->forgot_ms < LOGIN_PAUSE_MS)
        return false; /* a fresh token was refused as well; logins may be counted */
    /* Is it the token that is refused, or this path? */
    if (vault_call(backend, "GET", "auth/token/lookup-self", backend->token, NULL, &status, &json, &err) ==
            0 &&
        status == 200)
        return false;
    drop_token(backend);
    backend->forgot_ms = clock_mono_ms();
    return true;
}

static int64_t tend(struct backend *backend)
{
    int64_t now = clock_mono_ms();
    struct err err;

    if (!backend->token || !backend->renewable)
        return INT64_MAX;
    if (now < backend->renew_ms)
        return backend->renew_ms;
    if (renew(backend, &err) != 0) /* it will be seen when it is used */
        backend->renew_ms = now + RENEW_RETRY_MS < backend->end_ms ? now + RENEW_RETRY_MS : INT64_MAX;
    return backend->renew_ms;
}

int64_t vault_tend(struct backend *backend)
{
    (void)pthread_mutex_lock(&backend->lock);
    int64_t next = tend(backend);
    (void)pthread_mutex_unlock(&backend->lock);
    return next;
}
