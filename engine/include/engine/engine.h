/* engine/engine.h - the daemon: MQTT sessions, lanes, routing, settling.
 *
 * The promise: a QoS 1 message is acknowledged to the broker only after every matching action is safe. See
 * engine/README.md for hold, then flush. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "actions/action.h"
#include "base/err.h"
#include "rules/config.h"
#include "rules/rule.h"
#include "secrets/secrets.h"

#include <stdint.h>

struct engine;

/* All borrowed for the life of the engine, but the rule set, of which it takes a reference of its own. */
struct engine_options {
    const struct config *config;
    struct rule_set *rules;
    struct secrets *secrets; /* NULL: none configured */
};

/* Make sessions and clients; contacts nothing yet. NULL with `err`. */
struct engine *engine_new(const struct engine_options *options, struct err *err);
void engine_free(struct engine *engine);

/* Run until engine_stop, then settle, flush and half-close within the grace time. Returns 0, or -1 with `err`
 * when it could not go on. Calls sd_notify (READY=1, STATUS=, WATCHDOG=1, STOPPING=1). */
int engine_run(struct engine *engine, struct err *err);

/* Async-signal-safe and thread safe. */
void engine_stop(struct engine *engine);

/* Counters by cause, so that sums close. Readable at any time from any thread. */
struct engine_counters {
    uint64_t received, bytes, retained_ignored, not_json;
    uint64_t matched, filtered, failed;               /* rule evaluations */
    uint64_t begun, delivered, error_action, dropped; /* actions; begun = the others + in flight */
    uint64_t retried, acknowledged, reconnects;
};
void engine_counters(const struct engine *engine, struct engine_counters *out);

#endif
