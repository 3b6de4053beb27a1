/* secrets/secrets.h - get_secret: from a name to bytes, through named backends.
 *
 * An id goes to the backend `secrets.default`, unless it is written `backend:id`; one that starts with
 * "arn:aws:secretsmanager:" goes to a backend of type aws where there is one. What comes out is wiped memory
 * (base/wiped.h). Thread safe.
 *
 * Values are kept for `cache_ms`. In a program that lives on, secrets_start keeps them fresh in the
 * background, so that nobody waits, and tells of changes; the last good value is served while a backend is
 * away. */
#ifndef SECRETS_SECRETS_H
#define SECRETS_SECRETS_H

#include "base/err.h"
#include "base/option.h"
#include "base/span.h"
#include "base/wiped.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each backend is an option_group: its name, its type, and its options, which are borrowed during
 * secrets_new. */
struct secrets_config {
    const char *file;            /* the configuration file, for messages; NULL: none */
    const char *base_directory;  /* relative paths start here */
    const char *default_backend; /* NULL: none; then ids must name one */
    const struct option_group *backends;
    size_t backend_count;
    int64_t cache_ms; /* how long a value is served without a look at its backend; 0: not kept */
    int64_t
        stale_limit_ms; /* how old a value may become that cannot be refreshed; less than cache_ms: as that */
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
    bool computed;        /* a message has computed it: kept among its like, of which there are not many, and
                             not refreshed unless it is used */
};

/* A reference that the caller drops with wiped_free; NULL with `err` (ERR_SECRET), which names backend and id
 * and says what to do, and never the value. May block on disk or network: never call it on a lane. */
struct wiped *secrets_get(struct secrets *secrets, const struct secret_query *query, struct err *err);

enum secrets_answer {
    SECRETS_HERE,      /* `*out` is a reference to it */
    SECRETS_REFUSED,   /* the backend answers: there is none, we may not read it, it is not of that form */
    SECRETS_UNREACHED, /* the backend does not answer, or not usefully, or memory is out: it may come later */
    SECRETS_UNKNOWN,   /* `may_wait` is false, and nothing is known yet */
};

/* The same, with the kind of failure told apart; `err` is filled for REFUSED and UNREACHED. Without
 * `may_wait` it never blocks: what is at hand is served, and what has failed a moment ago fails again. */
enum secrets_answer secrets_ask(struct secrets *secrets, const struct secret_query *query, bool may_wait,
                                struct wiped **out, struct err *err);

/* May a message compute this id? Each * of a pattern stands for one or more characters of one step: for all
 * but '/', ':' and control characters. So "device/" and "*" behind it let no message reach another folder, or
 * another backend. */
bool secrets_allowed(const char *const *patterns, size_t count, struct span id);

/* The end has come: whoever waits for a backend is told so, now and from here on. Async-signal-safe. */
void secrets_give_up(struct secrets *secrets);

/* ---- in a program that lives on ---- */

enum secrets_happening {
    SECRETS_CHANGED, /* a value is another one now: what was made from it is to be made anew */
    SECRETS_AWAY,    /* a backend does not answer, or not usefully; last good values are served */
    SECRETS_BACK,    /* it answers again */
    SECRETS_LOST,    /* a secret is gone, or too old: it is served no longer */
};

struct secrets_event {
    enum secrets_happening what;
    const char *backend;
    struct span id;   /* CHANGED, LOST; else data NULL */
    const char *text; /* AWAY, LOST: why, one sentence without a value; else "" */
};

/* Called on the refreshing thread, or on one that asks for a secret, with nothing locked. `event` is
 * borrowed. */
typedef void secrets_notice(void *context, const struct secrets_event *event);

/* Keep what has been asked for fresh from here on, on a thread of our own that secrets_free ends. Once,
 * before other threads ask. 0, or -1 with `err`. */
int secrets_start(struct secrets *secrets, secrets_notice *notice, void *context, struct err *err);

/* Somebody is refused with a secret: ask the backends soon whether it is another one now, and not when its
 * time is over. Each call is a request for every secret that configuration and rules name. Never blocks on a
 * backend. */
void secrets_look_again(struct secrets *secrets);

/* From its return on `notice` is called no more: its context may go. */
void secrets_quiet(struct secrets *secrets);

/* One secret that has been asked for, never its value. */
struct secrets_entry {
    const char *backend;
    struct span id, role_arn; /* borrowed during the call */
    bool computed;            /* by messages alone */
    const char *version;      /* as the backend names it; "" if it does not */
    int64_t age_ms;           /* since its value was last confirmed; -1: there is none */
    bool is_stale;            /* older than cache_ms: the backend is away */
    bool is_away;             /* the backend has not answered when it was asked last */
    uint64_t fetches, served;
    const char *problem; /* why it could not be had or refreshed; "" if it could */
};
typedef void secrets_look(void *context, const struct secrets_entry *entry);
/* Every secret asked for, in no order. `look` must not call back. */
void secrets_each(struct secrets *secrets, secrets_look *look, void *context);

/* Where a get_secret with `id` goes: the backend's name, and the id there, which points into `id`. NULL
 * `secrets`: none are configured. Asks no backend. 0, or -1 with `err`: nowhere, and what to do. */
int secrets_where(const struct secrets *secrets, struct span id, const char **backend, struct span *there,
                  struct err *err);

/* The i-th backend in the order of the configuration; false past the last. `type` as the configuration has
 * it. */
bool secrets_backend_at(const struct secrets *secrets, size_t index, const char **name, const char **type);
/* Can it be reached and will it let us in? May block. `*detail` (room for SECRETS_DETAIL bytes) says what was
 * found: "Vault 1.14.0, logged in by approle, token for 59m". 0, or -1 with `err`, which says what to do. */
enum { SECRETS_DETAIL = 256 };
int secrets_probe(struct secrets *secrets, size_t index, char *detail, struct err *err);

#endif
