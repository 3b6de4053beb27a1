/* plan.h - what lanes are made from: which rule goes where, and who we are for the broker. Secrets are
 * fetched here, so it may block; on the thread of engine_run alone. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "lane.h"
#include "store.h"

struct plan {
    const struct config *config;
    const struct rule_set *rules;
    struct secrets *secrets; /* NULL: none configured */
    struct route *route;
    struct session_login *login;
    bool login_behind; /* it could not be made when it was tried last */
    struct target *targets;
    size_t target_count;
    size_t **target_of; /* target_of[rule][action]; the error action's is the last */
    size_t forgotten;   /* filters that are gone, and the store knows it: the first so many of the route's */
};

/* Returns 0, or -1 with `err`. A secret that a rule's client needs and that cannot be had is logged and left
 * for plan_refresh; one that the MQTT login needs is an error. */
int plan_make(struct plan *plan, const struct config *config, const struct rule_set *rules,
              struct secrets *secrets, struct err *err);
void plan_done(struct plan *plan);
/* Of a plan that takes over: the broker keeps our messages under the client id that there was. */
void plan_keep_client_id(struct plan *plan, const struct plan *former);

/* Subscription identifiers from the store, which keeps them; and the filters that no rule has any more, which
 * sessions unsubscribe. After plan_make, before lanes are made. Blocks. 0, or -1 with `err`. */
int plan_identify(struct plan *plan, struct store *store, struct err *err);
/* The store forgets the filters whose end the broker has answered. Blocks; cheap when there are none. Not
 * when the lane is gone. */
void plan_forget(struct plan *plan, struct store *store, const struct lane *lane);

/* Make again what could not be made, or, with `all`, all that secrets take part in, and give the lane what
 * came out differently. What cannot be made stays as it is, with one line in the log. May block on secrets.
 */
void plan_refresh(struct plan *plan, struct lane *lane, bool all);
/* Something could not be made: try again. */
bool plan_is_behind(const struct plan *plan);

#endif
