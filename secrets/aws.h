/* aws.h - what the files of the backend `aws` share: secrets (aws.c), credentials (aws_keys.c), the services
 * that give temporary ones (aws_sts.c), profiles (aws_profile.c), options (aws_open.c).
 *
 * The API is that of AWS Secrets Manager: signed JSON, docs.aws.amazon.com/secretsmanager. */
#ifndef SECRETS_AWS_H
#define SECRETS_AWS_H

#include "backend.h"
#include "http.h"

#include <jansson.h>
#include <pthread.h>

enum { AWS_ROLES = 8, AWS_TOKEN_MAX = 16384 };

/* Credentials, and how long they hold. All zero: none. */
struct aws_keys {
    struct wiped *id, *secret, *token; /* token: NULL for those that last */
    int64_t end_ms;                    /* monotonic; INT64_MAX: they last */
    const char *source;                /* for messages: "the environment" */
};

struct backend {
    pthread_mutex_t lock; /* all below, but `http`'s stop */
    struct http *http;
    char *region, *endpoint, *sts_endpoint, *ca_file, *version_stage;
    char *profile, *credentials_file, *config_file;             /* NULL: as the environment says */
    char *access_key_id, *secret_key_file, *session_token_file; /* NULL: the chain is searched */
    char *external_id;
    bool assume_role;
    bool refused;         /* credentials were, by the last error of aws_refused */
    struct aws_keys keys; /* our own */
    struct {
        char *arn;
        struct aws_keys keys;
    } roles[AWS_ROLES]; /* those of roles that were assumed */
    size_t next_role;   /* the one to be forgotten when there is no room */
    int64_t forgot_ms; /* monotonic: when credentials were last dropped because they were refused; 0: never */
    int64_t wait_ms;   /* monotonic: nothing is asked for before */
    unsigned throttled; /* in a row */
};

/* ---- aws.c ---- */

/* One POST, signed with `keys` for `service` (keys NULL: unsigned). `target` is the header of that name,
 * NULL: none. 0 with any status but a redirect, or -1 with `err`. */
int aws_post(struct backend *backend, const char *url, const char *service, const struct aws_keys *keys,
             const char *type, const char *target, struct span body, struct http_answer *answer,
             struct err *err);

/* What kind of error an answer is: the end of `__type`, or the element Code where it is XML; "" if neither.
 */
enum { AWS_CODE = 64 };
void aws_code(const struct http_answer *answer, const json_t *json, char code[AWS_CODE]);

/* Put what an error means into `err` and return -1. `what` is what was tried. */
int aws_refused(struct backend *backend, const struct aws_keys *keys, const struct http_answer *answer,
                const json_t *json, const char *what, struct err *err);

int aws_fetch(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
              struct err *err);
int aws_probe(struct backend *backend, char *detail, struct err *err);

/* ---- aws_keys.c ---- */

/* Have credentials that are worth trying: our own, or those of the role. They are the backend's. NULL with
 * `err`. */
const struct aws_keys *aws_login(struct backend *backend, struct span role_arn, struct err *err);
/* They were refused. True if having new ones may help. */
bool aws_forget(struct backend *backend);
/* Have new ones when it is time: the table's, takes the lock itself. */
int64_t aws_tend(struct backend *backend);
void aws_keys_drop(struct aws_keys *keys);
/* Take copies. 0, or -1 with `err`: what is there is no set of credentials. */
int aws_keys_set(struct aws_keys *keys, struct span id, struct span secret, struct span token,
                 const char *source, struct err *err);

/* The next three: 0, or -1 with `err`, or 1 when there are none. */
/* Those of AWS_ACCESS_KEY_ID and its like. */
int aws_environment(struct aws_keys *out, struct err *err);
/* What the agent gives that AWS_CONTAINER_CREDENTIALS_... name. */
int aws_try_container(struct backend *backend, struct aws_keys *out, struct err *err);

/* ---- aws_profile.c ---- */

/* Those of the profile that configuration or environment name, through the roles that it assumes. */
int aws_try_profile(struct backend *backend, struct aws_keys *out, struct err *err);
/* Its region, owned; NULL: it has none. 0, or -1 with `err`. */
int aws_profile_region(struct backend *backend, char **region, struct err *err);
/* The environment's variable; NULL also when it is empty. */
const char *aws_variable(const char *name);

/* ---- aws_sts.c: 0, or -1 with `err` ---- */

struct aws_role {
    struct span arn;
    struct span external_id; /* data NULL, or size 0: none */
    struct span session;     /* its name in AWS's logs; none: ours */
};

/* Those of a role, by the credentials `by`. */
int aws_assume(struct backend *backend, const struct aws_keys *by, const struct aws_role *role,
               struct aws_keys *out, struct err *err);
/* Those of a role, by a token that another has signed (Kubernetes). */
int aws_web_identity(struct backend *backend, const char *token_file, const struct aws_role *role,
                     struct aws_keys *out, struct err *err);
/* What a container's agent gives at `url`. */
int aws_container(struct backend *backend, const char *url, struct aws_keys *out, struct err *err);
/* What a virtual machine's metadata service gives (IMDSv2). */
int aws_instance(struct backend *backend, struct aws_keys *out, struct err *err);

static inline void aws_json_drop(json_t **json)
{
    json_decref(*json);
}

#endif
