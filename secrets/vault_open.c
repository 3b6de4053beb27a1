/* vault_open.c - the options of a backend of type vault, and its table. */
#include "options.h"
#include "vault.h"

#include "base/auto.h"

#include <stdlib.h>

enum { TIMEOUT_MS = 10000 };

static const char *const options[] = {
    "address",
    "mount",
    "namespace",
    "ca_file",
    "cert_file",
    "key_file",
    "allow_http",
    "auth.method",
    "auth.mount",
    "auth.token",
    "auth.token_file",
    "auth.role_id",
    "auth.secret_id",
    "auth.secret_id_file",
    "auth.secret_id_wrapped",
    "auth.role",
    "auth.jwt_file",
    NULL,
};

static void close_vault(struct backend *backend);
DEFINE_DROP(backend, struct backend *, close_vault)

/* ---- single options ---- */

/* A value that stands in `name` or in the file that `name_file` names; one of them is needed. */
static int read_value(const struct opening *o, const char *name, const char *name_file,
                      struct vault_value *out)
{
    const char *text = opening_text(o, name), *file = opening_text(o, name_file);

    if (text && file)
        return opening_wrong(o, name, "stands there twice, itself and as a file: keep one");
    if (!text && !file)
        return opening_wrong(o, name, "is needed for this auth.method (or its file)");
    if (text && !text[0])
        return opening_wrong(o, name, "is empty");
    if (text && !(out->given = wiped_new(span_of(text))))
        return err_memory(o->err);
    return opening_path(o, name_file, NULL, &out->file);
}

/* A place inside the API's paths: no slashes at its ends, nothing that would have to be encoded. */
static int read_mount(const struct opening *o, const char *name, const char *standard, char **out)
{
    if (opening_copy(o, name, standard, out) != 0)
        return -1;
    size_t size = strlen(*out);
    while (size && (*out)[size - 1] == '/')
        (*out)[--size] = '\0';
    for (const char *c = *out; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("/-._", *c)))
            return opening_wrong(o, name, "has letters, digits, '/', '-', '.' and '_' only");
    if (size == 0 || size > 255 || (*out)[0] == '/' || strstr(*out, "..") || strstr(*out, "//"))
        return opening_wrong(o, name, "is the path of a mount, as in \"secret\"");
    return 0;
}

/* ---- the parts ---- */

static int read_address(const struct opening *o, struct backend *backend)
{
    if (!opening_text(o, "address"))
        return err_at(o->err, ERR_VALUE, o->from->pos, "address is needed, as in https://vault.example:8200");
    if (opening_copy(o, "address", NULL, &backend->address) != 0)
        return -1;
    return opening_address(o, "address", "allow_http", backend->address);
}

static const struct method {
    const char *name, *mount;
    enum vault_method method;
    const char *jwt_file;
} methods[] = {
    {"token", "token", VAULT_TOKEN, NULL},
    {"approle", "approle", VAULT_APPROLE, NULL},
    {"jwt", "jwt", VAULT_JWT, NULL},
    {"kubernetes", "kubernetes", VAULT_JWT, "/var/run/secrets/kubernetes.io/serviceaccount/token"},
    {"cert", "cert", VAULT_CERT, NULL},
};

static const struct method *find_method(const struct opening *o)
{
    const char *name = opening_text(o, "auth.method");

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (name && strcmp(methods[i].name, name) == 0)
            return &methods[i];
    (void)opening_wrong(o, "auth.method", "expected token, approle, jwt, kubernetes or cert");
    return NULL;
}

static int read_auth(const struct opening *o, struct backend *backend)
{
    const struct method *method = find_method(o);

    if (!method || read_mount(o, "auth.mount", method->mount, &backend->auth.mount) != 0)
        return -1;
    backend->auth.method = method->method;
    backend->auth.name = method->name;
    if (opening_copy(o, "auth.role", NULL, &backend->auth.role) != 0)
        return -1;
    switch (method->method) {
    case VAULT_TOKEN: return read_value(o, "auth.token", "auth.token_file", &backend->auth.token);
    case VAULT_APPROLE:
        if (!opening_text(o, "auth.role_id"))
            return opening_wrong(o, "auth.role_id", "is needed for this auth.method");
        if (opening_copy(o, "auth.role_id", NULL, &backend->auth.role_id) != 0 ||
            opening_switch(o, "auth.secret_id_wrapped", &backend->auth.wrapped) != 0)
            return -1;
        return read_value(o, "auth.secret_id", "auth.secret_id_file", &backend->auth.secret_id);
    case VAULT_JWT:
        backend->auth.jwt.shared = true;
        if (!backend->auth.role)
            return opening_wrong(o, "auth.role", "is needed for this auth.method");
        if (opening_path(o, "auth.jwt_file", method->jwt_file, &backend->auth.jwt.file) != 0)
            return -1;
        return backend->auth.jwt.file ? 0
                                      : opening_wrong(o, "auth.jwt_file", "is needed for this auth.method");
    case VAULT_CERT:
        return backend->cert_file
                   ? 0
                   : opening_wrong(o, "cert_file", "is needed for auth.method cert, and key_file");
    }
    return 0;
}

static int read_options(const struct opening *o, struct backend *backend)
{
    if (read_address(o, backend) != 0 || read_mount(o, "mount", "secret", &backend->mount) != 0 ||
        opening_copy(o, "namespace", NULL, &backend->name_space) != 0 ||
        opening_path(o, "ca_file", NULL, &backend->ca_file) != 0 ||
        opening_path(o, "cert_file", NULL, &backend->cert_file) != 0 ||
        opening_path(o, "key_file", NULL, &backend->key_file) != 0)
        return -1;
    if (!backend->cert_file != !backend->key_file)
        return opening_wrong(o, backend->cert_file ? "cert_file" : "key_file",
                             "a client certificate needs both cert_file and key_file");
    return read_auth(o, backend);
}

/* ---- the table ---- */

static struct backend *open_vault(const struct secrets_config *config, const struct option_group *from,
                                  struct err *err)
{
    AUTO(backend_drop) struct backend *backend = calloc(1, sizeof *backend);
    const struct opening opening = {config, from, err};

    if (!backend) {
        err_memory(err);
        return NULL;
    }
    (void)pthread_mutex_init(&backend->lock, NULL);
    backend->renew_ms = backend->end_ms = INT64_MAX;
    if (read_options(&opening, backend) != 0)
        return NULL;
    const struct http_options http = {.ca_file = backend->ca_file,
                                      .cert_file = backend->cert_file,
                                      .key_file = backend->key_file,
                                      .timeout_ms = TIMEOUT_MS};
    backend->http = http_new(&http, err);
    return backend->http ? TAKE(backend) : NULL;
}

static void close_vault(struct backend *backend)
{
    if (!backend)
        return;
    struct vault_value *values[] = {&backend->auth.token, &backend->auth.secret_id, &backend->auth.jwt};

    http_free(backend->http);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        wiped_free(values[i]->given);
        free(values[i]->file);
    }
    wiped_free(backend->auth.unwrapped);
    wiped_free(backend->token);
    free(backend->auth.mount);
    free(backend->auth.role_id);
    free(backend->auth.role);
    free(backend->address);
    free(backend->mount);
    free(backend->name_space);
    free(backend->ca_file);
    free(backend->cert_file);
    free(backend->key_file);
    (void)pthread_mutex_destroy(&backend->lock);
    free(backend);
}

static void stop_vault(struct backend *backend)
{
    http_stop(backend->http);
}

const struct backend_type backend_vault = {
    .name = "vault",
    .options = options,
    .open = open_vault,
    .close = close_vault,
    .fetch = vault_fetch,
    .probe = vault_probe,
    .stop = stop_vault,
    .tend = vault_tend,
};
