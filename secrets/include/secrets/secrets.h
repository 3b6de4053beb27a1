/* secrets/secrets.h - get_secret: from a name to bytes, through named backends.
 *
 * An id goes to the backend `secrets.default`, unless it is written `backend:id`. What comes out is wiped
 * memory (base/wiped.h). Thread safe. */
#ifndef SECRETS_SECRETS_H
#define SECRETS_SECRETS_H

#include "base/err.h"
#include "base/span.h"
#include "base/wiped.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One backend as the configuration has it: its name, its type, and its options as text. */
struct secrets_option {
    const char *name, *value; /* value: expanded; borrowed during secrets_new */
    struct pos pos;
};
struct secrets_backend {
    const char *name, *type;
    const struct secrets_option *options;
    size_t option_count;
    struct pos pos;
};

struct secrets_config {
    const char *file;            /* the configuration file, for messages; NULL: none */
    const char *base_directory;  /* relative paths start here */
    const char *default_backend; /* NULL: none; then ids must name one */
    const struct secrets_backend *backends;
    size_t backend_count;
    int64_t cache_ms, stale_limit_ms;
};

struct secrets;

/* NULL with `err`: an unknown type or option (with the nearest name), a directory that is missing or that
 * others may write. Options are checked, nothing is fetched. */
struct secrets *secrets_new(const struct secrets_config *config, struct err *err);
void secrets_free(struct secrets *secrets);

enum secret_form {
    SECRET_STRING, /* the text; with a key, that member of the JSON object it is */
    SECRET_BINARY, /* the bytes (not base64: the caller encodes where AWS does); a key is an error */
};

struct secret_query {
    struct span id; /* `name`, `folder/name`, `backend:name` */
    enum secret_form form;
    struct span key;      /* data NULL: none */
    struct span role_arn; /* for backends that know roles; others ignore it */
};

/* A reference that the caller drops with wiped_free; NULL with `err` (ERR_SECRET), which names backend and id
 * and says what to do, and never the value. May block on disk or network: never call it on a lane. */
struct wiped *secrets_get(struct secrets *secrets, const struct secret_query *query, struct err *err);

#endif
