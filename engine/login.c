/* Who we are for the broker, from the configuration: its templates expanded. */
#include "login.h"

#include "base/auto.h"
#include "engine/render.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

DEFINE_DROP(login, struct session_login *, session_login_free)
DEFINE_DROP(known, struct render_secrets *, render_secrets_free)
DEFINE_DROP(scope, struct sql_scope *, sql_scope_free)

static int expand(const struct config_text *text, struct sql_scope *scope, const char *key,
                  struct sql_text *out, struct err *err)
{
    const struct sql_message none = {.topic = SPAN(""), .payload = SPAN(""), .payload_format = -1};

    *out = (struct sql_text){0};
    if (!text->text)
        return 0;
    sql_scope_begin(scope, &none);
    if (sql_template_expand(text->tmpl, scope, out, err) != 0) {
        err_prefix(err, "%s", key);
        return -1;
    }
    if (!out->text.data)
        out->text = SPAN("");
    if (memchr(out->text.data, '\0', out->text.size))
        return err_set(err, ERR_VALUE, "%s: has a zero byte", key);
    return 0;
}

static int expand_text(const struct config_text *text, struct sql_scope *scope, const char *key, char **out,
                       struct err *err)
{
    struct sql_text value;

    if (expand(text, scope, key, &value, err) != 0)
        return -1;
    *out = value.text.data ? strndup(value.text.data, value.text.size) : NULL;
    return value.text.data && !*out ? err_memory(err) : 0;
}

static int expand_secret(const struct config_text *text, struct sql_scope *scope, const char *key,
                         struct wiped **out, struct err *err)
{
    struct sql_text value;

    if (expand(text, scope, key, &value, err) != 0)
        return -1;
    *out = value.text.data ? wiped_new(value.text) : NULL;
    if (value.secret && value.text.size > 0) { /* otherwise it is the configuration's own text */
        void *copy;

        memcpy(&copy, &value.text.data, sizeof copy);
        wipe(copy, value.text.size);
    }
    return value.text.data && !*out ? err_memory(err) : 0;
}

static int expand_path(const struct config *config, const struct config_text *text, struct sql_scope *scope,
                       const char *key, char **out, struct err *err)
{
    char *path;

    if (expand_text(text, scope, key, &path, err) != 0)
        return -1;
    if (!path || path[0] == '/') {
        *out = path;
        return 0;
    }
    int size = asprintf(out, "%s/%s", config->directory, path);
    free(path);
    if (size < 0) {
        *out = NULL;
        return err_memory(err);
    }
    return 0;
}

static int fill(struct session_login *login, const struct config *config, struct sql_scope *scope,
                struct err *err)
{
    if (expand_text(&config->mqtt.client_id, scope, "mqtt.client_id", &login->client_id, err) != 0 ||
        expand_text(&config->mqtt.username, scope, "mqtt.username", &login->username, err) != 0 ||
        expand_secret(&config->mqtt.password, scope, "mqtt.password", &login->password, err) != 0 ||
        expand_path(config, &config->mqtt.tls.ca_file, scope, "mqtt.tls.ca_file", &login->ca_file, err) !=
            0 ||
        expand_path(config, &config->mqtt.tls.cert_file, scope, "mqtt.tls.cert_file", &login->cert_file,
                    err) != 0 ||
        expand_path(config, &config->mqtt.tls.key_file, scope, "mqtt.tls.key_file", &login->key_file, err) !=
            0 ||
        expand_secret(&config->mqtt.tls.key_password, scope, "mqtt.tls.key_password", &login->key_password,
                      err) != 0)
        return -1;
    if (!login->client_id || !login->client_id[0])
        return err_set(err, ERR_VALUE, "mqtt.client_id: is empty; the broker keeps our messages under it");
    return 0;
}

struct session_login *session_login_new(const struct config *config, struct secrets *secrets, struct err *err)
{
    AUTO(login_drop) struct session_login *login = calloc(1, sizeof *login);
    AUTO(known_drop) struct render_secrets *known = NULL;

    if (!login) {
        err_memory(err);
        return NULL;
    }
    atomic_init(&login->references, 1);
    if (secrets && !(known = render_secrets_new(secrets, true, err)))
        return NULL;
    const struct sql_host host = render_host(known);
    AUTO(scope_drop) struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, err);
    if (!scope || fill(login, config, scope, err) != 0)
        return NULL;
    return TAKE(login);
}

struct session_login *session_login_ref(struct session_login *login)
{
    if (login)
        atomic_fetch_add_explicit(&login->references, 1, memory_order_relaxed);
    return login;
}

void session_login_free(struct session_login *login)
{
    if (!login || atomic_fetch_sub_explicit(&login->references, 1, memory_order_acq_rel) > 1)
        return;
    free(login->client_id);
    free(login->username);
    free(login->ca_file);
    free(login->cert_file);
    free(login->key_file);
    wiped_free(login->password);
    wiped_free(login->key_password);
    free(login);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_secret(const struct wiped *a, const struct wiped *b)
{
    return a && b ? span_equal(wiped_reveal(a), wiped_reveal(b)) : a == b;
}

bool session_login_same(const struct session_login *a, const struct session_login *b)
{
    return same_text(a->client_id, b->client_id) && same_text(a->username, b->username) &&
           same_secret(a->password, b->password) && same_text(a->ca_file, b->ca_file) &&
           same_text(a->cert_file, b->cert_file) && same_text(a->key_file, b->key_file) &&
           same_secret(a->key_password, b->key_password);
}
