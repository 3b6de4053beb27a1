/* gather.h - every secret that configuration and rules name, fetched before the first message.
 *
 * On the thread of engine_run alone: it blocks on backends. */
#ifndef ENGINE_GATHER_H
#define ENGINE_GATHER_H

#include "base/err.h"
#include "rules/config.h"
#include "rules/rule.h"
#include "secrets/secrets.h"

struct gathering {
    const struct config *config;
    const struct rule_set *rules;
    struct secrets *secrets; /* NULL: none configured */
    void *context;
    /* One that cannot be had: `err` names rule or configuration file, the field, secret and backend. */
    void (*missing)(void *context, const struct err *err, bool is_away);
    /* Before each fetch. False: give up, for the end has come. */
    bool (*go_on)(void *context);
};

struct gathered {
    size_t refused; /* the backend answers, and it cannot be had */
    size_t away;    /* the backend does not answer */
    bool gave_up;
};

/* Everything is tried, and the rest is told. What is there is in the cache of `secrets` now. */
struct gathered gather(const struct gathering *gathering);

#endif
