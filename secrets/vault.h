/* vault.h - what the two files of the backend `vault` share: requests (vault.c) and logins (vault_login.c).
 *
 * The API is that of HashiCorp Vault and of OpenBao: KV version 2, tokens, AppRole, JWT and Kubernetes, TLS
 * certificates. */
#ifndef SECRETS_VAULT_H
#define SECRETS_VAULT_H

#include "backend.h"
#include "http.h"

#include <jansson.h>
#include <pthread.h>

enum vault_method { VAULT_TOKEN, VAULT_APPROLE, VAULT_JWT, VAULT_CERT };

/* A value that the configuration holds itself, or a file that holds it. At most one of the two. */
struct vault_value {
    struct wiped *given;
    char *file;  /* read for every login: it may be replaced */
    bool shared; /* others may read the file: a service account's token is made so */
};

struct backend {
    pthread_mutex_t lock; /* all below, but `http`'s stop */
    struct http *http;
    char *address, *mount, *name_space;
    char *ca_file, *cert_file, *key_file;
    struct {
        enum vault_method method;
        const char *name;             /* as configured: "approle" */
        char *mount;                  /* auth/<mount>/login */
        struct vault_value token;     /* TOKEN */
        char *role_id, *role;         /* APPROLE; JWT, CERT */
        struct vault_value secret_id; /* APPROLE */
        struct vault_value jwt;       /* JWT */
        bool wrapped;                 /* secret_id is a wrapping token */
        struct wiped *unwrapped;      /* what was in it */
    } auth;
    struct wiped *token;      /* NULL: not logged in */
    int64_t renew_ms, end_ms; /* monotonic; INT64_MAX: never */
    int64_t forgot_ms;        /* monotonic: when a token was last dropped because it was refused; 0: never */
    bool renewable, looked;   /* looked: a given token's life has been asked for */
    bool unseen;              /* and the server would not say: it is wrong, or may not look at itself */
    int64_t wait_ms;          /* monotonic: the server asked for silence until then */
};

/* One request below /v1/, with `token` (NULL: none). `body` may be NULL. The status and, in `*json` (owned,
 * NULL: the answer was none), the answer. 0, or -1 with `err` when there is no answer to speak of. */
int vault_call(struct backend *backend, const char *method, const char *path, const struct wiped *token,
               const json_t *body, long *status, json_t **json, struct err *err);

/* Put what a failed status means into `err` and return -1. `what` is what was tried: "reading secret/data/x".
 */
int vault_refused(const struct backend *backend, long status, const json_t *json, const char *what,
                  struct err *err);

/* Have a token that is worth trying. 0, or -1 with `err`. */
int vault_login(struct backend *backend, struct err *err);
/* The token was refused. True if logging in again may help. */
bool vault_forget(struct backend *backend);
/* The table's: takes the lock itself. */
int64_t vault_tend(struct backend *backend);

/* The table's own (vault.c); the table is in vault_open.c. */
int vault_fetch(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
                struct err *err);
int vault_probe(struct backend *backend, char *detail, struct err *err);

static inline void vault_json_drop(json_t **json)
{
    json_decref(*json);
}

#endif
