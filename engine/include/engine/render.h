/* engine/render.h - rule and message -> record: the same code for the daemon, `topicrule eval` and `topicrule
 * test`. */
#ifndef ENGINE_RENDER_H
#define ENGINE_RENDER_H

#include "actions/action.h"
#include "base/err.h"
#include "rules/rule.h"
#include "secrets/secrets.h"
#include "sql/sql.h"

#include <stdatomic.h>

/* Expand the templates of one action against the scope's current message, of which `payload` is what SELECT
 * gave. Everything in `out` lives in the scope's arena or in `payload`. Returns 0, or -1 with `err` (which
 * names the field): the final failure "template error". Only for actions with a type. */
int render_record(const struct rule_action *action, struct sql_scope *scope, struct span payload,
                  struct action_record *out, struct err *err);

/* The settings of one action, templates expanded, secrets in wiped memory. Names, paths and origins are
 * borrowed from the action. `secrets` may be NULL; may block on backends, so never on a lane. `masked`:
 * secrets are not fetched; settings with get_secret stay templates (is_template), as `check`, `eval` and
 * `test` want it. NULL with `err`, which names setting and secret id. */
struct render_settings {
    struct action_settings settings; /* items owned by this struct */
    atomic_uint references;
};
struct render_settings *render_settings_new(const struct rule_action *action, struct secrets *secrets,
                                            bool masked, struct err *err);
/* Another reference, for another thread; NULL stays NULL. */
struct render_settings *render_settings_ref(struct render_settings *settings);
void render_settings_free(struct render_settings *settings); /* one reference; NULL is a no-op */

/* What clientid(), principal(), sourceip() and accountid() say for this message: config.identity applied.
 * A value is overwritten only where the configuration says where to take it from. */
struct config;
void render_identity(const struct config *config, struct sql_message *message);

/* The secrets that rules ask for while a message is evaluated. A lane may not wait for a backend, so the ids
 * that stand in the rules are learnt beforehand and only looked up then; with `on_demand` one that is not
 * known is fetched when it is asked for, which may block. (Those that messages compute: computed.h.)
 * `secrets` is borrowed. One thread at a time. */
struct render_secrets;
struct render_secrets *render_secrets_new(struct secrets *secrets, bool on_demand, struct err *err);
void render_secrets_free(struct render_secrets *known); /* NULL is a no-op */
/* Fetch every secret that the rule's statement and templates name by constants. May block. A secret that
 * cannot be had is tried again by the next call, and an SQL error meanwhile. Returns 0, or -1 with `err` for
 * the first one missing (the others are tried all the same). */
int render_secrets_learn(struct render_secrets *known, const struct rule *rule, struct err *err);

/* Does the rule ask for secrets that are known only with the message? */
bool render_computes_secrets(const struct rule *rule);

/* The host callbacks of a program that evaluates: wall clock, getrandom(2), and `known` secrets (NULL: none).
 * `known` must outlive the scopes that are given this host. */
struct sql_host render_host(struct render_secrets *known);

#endif
