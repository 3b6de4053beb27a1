/* failure.h - what an error action is told: AWS's error message, as JSON. */
#ifndef ENGINE_FAILURE_H
#define ENGINE_FAILURE_H

#include "base/arena.h"
#include "rules/rule.h"

/* One failed action of a rule. */
struct failure {
    const struct rule_action *action; /* NULL: the statement itself */
    struct span resource, message;    /* what it went to, as far as known; why it failed */
    struct failure *next;
};

/* {"ruleName", "topic", "cloudwatchTraceId", "clientId", "base64OriginalPayload", "failures": [...]} in
 * `arena`; data NULL when that is full. Members as semantics.md section 11 has them. */
struct span failure_text(struct arena *arena, const struct rule *rule, const struct sql_message *message,
                         struct span trace_id, const struct failure *failures);

#endif
