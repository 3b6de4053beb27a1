/* plan.h - what lanes are made from: which rule goes where, and who we are for the broker. Secrets are
 * fetched here, so it may block; on the thread of engine_run alone. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "lane.h"

struct plan {
    const struct config *config;
    const struct rule_set *rules;
    struct secrets *secrets; /* NULL: none configured */
    struct route *route;
    struct session_login login;
    struct target *targets;
    size_t target_count, target_room;
    size_t **target_of; /* target_of[rule][action]; the error action's is the last */
    size_t unresolved;  /* targets without settings: a secret is missing */
};

/* Returns 0, or -1 with `err`. A secret that a rule's client needs and that cannot be had is logged and left
 * for plan_resolve; one that the MQTT login needs is an error. */
int plan_make(struct plan *plan, const struct config *config, const struct rule_set *rules,
              struct secrets *secrets, struct err *err);
void plan_done(struct plan *plan);

/* Who we are for the broker: the configuration with its templates expanded. 0, or -1 with `err`; leaves
 * `login` fit for plan_login_done either way. May block on secrets. */
int plan_login(struct session_login *login, const struct config *config, struct secrets *secrets,
               struct err *err);
void plan_login_done(struct session_login *login);

/* Try again for what is missing. True when something came. */
bool plan_resolve(struct plan *plan);

#endif
