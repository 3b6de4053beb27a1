/* engine/engine.h - the daemon: MQTT sessions, lanes, routing, settling.
 *
 * The promise: a QoS 1 message is acknowledged to the broker only after every matching action is safe. See
 * engine/README.md for hold, then flush. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "actions/action.h"
#include "base/buf.h"
#include "base/err.h"
#include "rules/config.h"
#include "rules/rule.h"
#include "secrets/secrets.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* Where a reload has configuration and rules from. */
struct engine_source {
    void *context;
    /* Read both anew: 0 with both, which are the engine's from then on, or -1. What is to be said of them, a
     * line for each finding, is logged and put into `said`. On the thread of engine_run. */
    int (*load)(void *context, struct config **config, struct rule_set **rules, struct buf *said);
};

/* All borrowed for the life of the engine, but the rule set, of which it takes a reference of its own. */
struct engine_options {
    const struct config *config;
    struct rule_set *rules;
    struct secrets *secrets; /* NULL: none configured */
    const char *version;     /* of the program, for those who look at it; NULL: not told */
    const char *store_path; /* of the database for what cannot be delivered yet. NULL: no store, it is held */
    struct engine_source source; /* `load` NULL: there is no reload */
};

/* Make sessions and clients; contacts nothing yet. NULL with `err`. */
struct engine *engine_new(const struct engine_options *options, struct err *err);
/* Once it has run, its secrets are of no more use: secrets_give_up. NULL is a no-op. */
void engine_free(struct engine *engine);

/* Run until engine_stop, then settle, flush and half-close within the grace time. Returns 0, or -1 with `err`
 * when it could not go on. Calls sd_notify (READY=1, STATUS=, WATCHDOG=1, STOPPING=1). */
int engine_run(struct engine *engine, struct err *err);

/* Async-signal-safe and thread safe. */
void engine_stop(struct engine *engine);

/* Read configuration and rules anew, and go on with them if nothing is wrong with them; messages and the
 * connection to the broker stay. What came of it is logged and told at /reload. Async-signal-safe and thread
 * safe. */
void engine_reload(struct engine *engine);

/* True once every session is connected and the broker has answered its subscriptions: from here on a message
 * that is published is heard. Any thread, but with a `source` that of engine_run alone. Goes back to false
 * while a connection is lost. */
bool engine_is_ready(const struct engine *engine);

/* Counters by cause, so that sums close. Readable at any time from any thread (but see above). Copies that a
 * broker of MQTT 5 sends for overlapping subscriptions are received messages each. */
struct engine_counters {
    uint64_t received, bytes;  /* messages, and bytes of their payloads */
    uint64_t retained_ignored; /* replays of what the broker keeps */
    uint64_t not_json;         /* heard by a rule, and no JSON object or array */
    uint64_t too_large;        /* over limits.payload: dropped */
    uint64_t unmatched;        /* heard by no rule */
    /* Rule evaluations: evaluated = matched + filtered + failed. */
    uint64_t evaluated, matched, filtered, failed;
    /* Actions: begun + recovered = delivered + error_action + dead + dropped + abandoned + withdrawn + those
     * in flight + the rows of the store. A failed evaluation counts as one action begun, and so does a report
     * that goes to the disk. Abandoned: given up with the connection, because the broker sends the message
     * again. Stored: put on the disk, ever. Recovered: rows that were there at the start, and dead letters
     * that are sent again, of which each has been counted as dead, here or before the start. Withdrawn: rows
     * that `topicrule dead` took away. */
    uint64_t begun, delivered, error_action, dead, dropped, abandoned, stored, recovered, withdrawn;
    uint64_t retried;      /* sent again after an answer that was not final */
    uint64_t acknowledged; /* QoS 1 messages whose PUBACK was written */
    uint64_t reconnects;   /* connections after the first */
    uint64_t duplicates;   /* came again, were safe already, and were passed over: not in `received` */
};
void engine_counters(const struct engine *engine, struct engine_counters *out);

#endif
