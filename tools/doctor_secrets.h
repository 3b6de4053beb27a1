/* tools/doctor_secrets.h - what `topicrule doctor` asks of the backends of secrets. */
#ifndef TOOLS_DOCTOR_SECRETS_H
#define TOOLS_DOCTOR_SECRETS_H

#include "base/health.h"
#include "rules/rule.h"
#include "secrets/secrets.h"

/* Can each backend be reached, and does it let us in? `secrets` may be NULL: there are none. Blocks. */
void doctor_backends(struct secrets *secrets, const struct health_report *report);

/* Fetch every secret that the rule names, and tell of each that cannot be had; of a backend that does not
 * answer once. Blocks. How many were told of. */
size_t doctor_rule_secrets(struct secrets *secrets, const struct rule *rule,
                           const struct health_report *report);

#endif
