/* engine/render.h - rule and message -> record: the same code for the daemon, `topicrule eval` and `topicrule
 * test`. */
#ifndef ENGINE_RENDER_H
#define ENGINE_RENDER_H

#include "actions/action.h"
#include "base/err.h"
#include "rules/rule.h"
#include "secrets/secrets.h"
#include "sql/sql.h"

/* Expand the templates of one action against the scope's current message, of which `payload` is what SELECT
 * gave. Everything in `out` lives in the scope's arena or in `payload`. Returns 0, or -1 with `err` (which
 * names the field): the final failure "template error". Only for actions with a type. */
int render_record(const struct rule_action *action, struct sql_scope *scope, struct span payload,
                  struct action_record *out, struct err *err);

/* The settings of one action, templates expanded, secrets in wiped memory. `secrets` may be NULL; may block
 * on backends, so never on a lane. `masked`: secrets are not fetched; settings with get_secret stay templates
 * (is_template), as `check`, `eval` and `test` want it. NULL with `err`, which names setting and secret id.
 */
struct render_settings {
    struct action_settings settings; /* items owned by this struct */
};
struct render_settings *render_settings_new(const struct rule_action *action, struct secrets *secrets,
                                            bool masked, struct err *err);
void render_settings_free(struct render_settings *settings);

/* What clientid(), principal(), sourceip() and accountid() say for this message: config.identity applied. */
struct config;
void render_identity(const struct config *config, struct sql_message *message);

/* The host callbacks of a daemon: wall clock, getrandom(2), and `secrets` (NULL: none). The struct must
 * outlive scopes. */
struct sql_host render_host(struct secrets *secrets);

#endif
