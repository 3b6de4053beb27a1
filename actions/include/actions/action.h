/* actions/action.h - the contract between the engine and a kind of action.
 *
 * An action takes rendered records to some other system and says later what became of each. The engine knows
 * actions by this header alone; the room `rules` checks a rule's fields against the table that the action
 * publishes. A new kind of action is a new folder and one line in tools/main.c.
 *
 * Words: a *type* is a kind of action ("kafka"). *Settings* are what a connection is made from (Kafka's
 * clientProperties), the same for every message. A *client* is one open connection or producer, made from one
 * set of settings and shared by all rules that have the same. A *record* is one thing to deliver.
 *
 * Threads: a client belongs to the lane that opened it: every call below on the lane's thread. */
#ifndef ACTIONS_ACTION_H
#define ACTIONS_ACTION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/report.h"
#include "base/span.h"
#include "base/wiped.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- what a rule may say ---- */

enum action_field_kind {
    ACTION_TEXT,     /* a string without templates, kept but given to nobody: destinationArn */
    ACTION_TEMPLATE, /* a string, expanded for every message, given in the record */
    ACTION_PAIRS, /* a list of {key, value}, both expanded for every message, given in the record; one at most
                   */
    ACTION_SETTINGS, /* an object of strings, expanded when a client is made; one at most */
};

struct action_field {
    const char *name;
    enum action_field_kind kind;
    bool required;
    bool null_if_absent; /* a TEMPLATE of one single ${...} that gives Undefined or Null is absent, not "" */
    bool is_number;      /* printed without quotes by `topicrule eval` */
    size_t most;         /* PAIRS: most entries; 0 no bound */
    const char *help;    /* one line, for the manual */
};

/* One setting as the rule, the destination or kafka.defaults wrote it. */
struct action_setting {
    const char *name;     /* as written */
    struct span value;    /* expanded; or, when checked at load, the template's text if `is_template` */
    struct wiped *secret; /* not NULL: the value is here, and `value` is empty */
    bool is_template;     /* check only: the value is known once a client is made */
    struct pos pos;       /* in `file`, for messages; {0,0} unknown */
    const char *path;     /* JSON path of the setting; "" or NULL when it comes from the configuration */
    const char *origin;   /* file it stands in, for messages; NULL: the rule's */
};

struct action_settings {
    struct action_setting *items; /* later ones win over earlier ones of the same meaning */
    size_t count;
};

/* ---- what is delivered ---- */

struct action_value {
    struct span text;
    bool absent; /* the rule has no such field, or null_if_absent applied */
};

struct action_pair {
    struct span key, value;
};

/* Borrowed by the callee for the duration of a call. */
struct action_record {
    struct span payload;
    const struct action_value
        *fields; /* one for each row of type->fields, in order; PAIRS and SETTINGS unused */
    const struct action_pair *pairs;
    size_t pair_count;
};

enum action_send {
    ACTION_SENT,    /* an outcome for `tag` will follow */
    ACTION_BUSY,    /* the client's queue is full: nothing was taken, try again after the next outcomes */
    ACTION_NOT_YET, /* the client cannot take this record now, but may later (`err` says why): the outcome
                       `wait` */
    ACTION_STREAM,  /* nothing was taken; this record's stream is refused (`err` says why): `refused` */
    ACTION_FINAL,   /* nothing was taken and never will be: `err` says why */
};

enum action_outcome {
    ACTION_DELIVERED,
    ACTION_WAIT,    /* may succeed later: cluster away, producer replaced, purged */
    ACTION_REFUSED, /* may succeed later, and concerns this record's stream alone: unknown topic, no right */
    ACTION_FAILED,  /* never will */
};

struct action_result {
    void *tag;
    enum action_outcome outcome;
    const char *code; /* short and stable, for metrics and error actions: "MSG_SIZE_TOO_LARGE"; static */
    const char *text; /* a sentence; valid during the callback */
};

/* ---- a client's life ---- */

enum action_state {
    ACTION_STARTING, /* made, not yet usable: producer id, first connection */
    ACTION_READY,    /* delivers */
    ACTION_AWAY,     /* the system behind it cannot be reached or refuses us; goes on trying by itself */
    ACTION_DEAD,     /* never delivers again: close it and open another */
};

struct action_events {
    void *context;
    /* From `poll` only, on the lane's thread. */
    void (*result)(void *context, const struct action_result *result);
    /* On every change; `text` says why and what to do, one sentence. */
    void (*state)(void *context, enum action_state state, const char *text);
};

/* ---- looking into it, for `doctor` ---- */

enum action_finding {
    ACTION_GOOD,
    ACTION_DOUBT, /* works, and will surprise somebody */
    ACTION_BAD,
    ACTION_SKIPPED,
    ACTION_BEGUN, /* not a finding: this is looked at now, and may take a while; no text */
};

/* One thing that was tried. All text is valid during the callback, and free of secrets. */
struct action_step {
    const char *what; /* "DNS", "TLS", "login" */
    const char *whom; /* a host, a topic; "" none */
    enum action_finding finding;
    const char *text; /* what was seen, or what is wrong and what to do */
};

struct action_client; /* each type has its own */

struct action_type {
    const char *name;                  /* the key in a rule's `actions` list */
    const struct action_field *fields; /* ended by a row with a NULL name */

    /* Check what a rule says, before any message: constant templates and settings (in the order defaults,
     * rule, destination), unknown names with the nearest known one, dependencies between them. `constants`
     * has one entry per field row; data NULL where the field is missing or a template. Findings carry the
     * setting's pos and path; the caller names file and action. With `release` false things of later versions
     * are accepted with a warning
     * (`check`); with true they are refused (`run`). */
    void (*check)(const struct span *constants, const struct action_settings *settings, bool release,
                  struct report *report);

    /* Can `literal`, which stands beside the expressions of a template, be in a value of that field? -1 with
     * `err`: never, so every record would fail. NULL: anything can. */
    int (*check_part)(size_t field, struct span literal, struct err *err);

    /* The client that these settings make, as "name" -> "value" lines for people; secrets are masked as
     * "****". Writes one JSON object. */
    void (*describe)(const struct action_settings *settings, struct buf *out);

    /* One text that is equal for two sets of settings exactly when one client can serve both (secrets take
     * part by digest). Returns 0 or -1 with `err`. */
    int (*identity)(const struct action_settings *settings, struct buf *out, struct err *err);

    /* Open a client. Returns at once; contacts nothing before it returns that could block. `events` is
     * borrowed until close. NULL with `err` when the settings cannot make a client. */
    struct action_client *(*open)(const struct action_settings *settings, const struct action_events *events,
                                  struct err *err);
    /* Becomes readable when `poll` has something to do. Owned by the client. */
    int (*fd)(const struct action_client *client);
    void (*poll)(struct action_client *client);

    /* What is in the way of this record before it is queued: ACTION_SENT if nothing, else FINAL with `err`.
     * For `eval` too, so it needs no client. */
    enum action_send (*inspect)(const struct action_record *record, struct err *err);
    enum action_send (*send)(struct action_client *client, const struct action_record *record, void *tag,
                             struct err *err);
    /* Records that belong together in order and in fate have one stream: for Kafka the topic. Borrowed from
     * record. */
    struct span (*stream)(const struct action_record *record);

    /* Take new values for what can be changed in place (passwords). Returns 1 if done, 0 if a new client is
     * needed. */
    int (*update)(struct action_client *client, const struct action_settings *settings);

    /* Wait at most `wait_ms` for what is queued, then drop the rest: every record still open gets the outcome
     * WAIT before `close` returns. Frees the client. */
    void (*close)(struct action_client *client, int wait_ms);

    /* Try what a client of these settings needs, one thing after another: names, connections, certificates,
     * login, and rights on the streams of the actions that share it: `constants[0]` to `[count - 1]`, each
     * as for check. Nothing is delivered. Blocks, for a minute or so at worst, so never on a lane; `settings`
     * are expanded. NULL: there is nothing to try. */
    void (*examine)(const struct span *const *constants, size_t count, const struct action_settings *settings,
                    void (*step)(void *context, const struct action_step *step), void *context);
};

#endif
