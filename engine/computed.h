/* computed.h - secrets whose ids messages compute, for one lane.
 *
 * The lane never waits. It tries a message first (computed_try): what the cache of secrets has is taken, and
 * held until computed_end; the first id that is not known is kept as what the message wants, so that the lane
 * can put the message aside and have it fetched, by a thread of this lane's own that wakes it. Then the
 * message is tried again from the start. Outside of a try what is not known is an SQL error. */
#ifndef ENGINE_COMPUTED_H
#define ENGINE_COMPUTED_H

#include "rules/config.h"
#include "secrets/secrets.h"
#include "sql/sql.h"

#include <stdbool.h>

enum { COMPUTED_MESSAGE_MAX = 64 }; /* secrets that one message may ask for */

struct computed;
struct render_secrets;

/* All borrowed; `wake_fd` is an event descriptor. NULL with `err`. */
struct computed *computed_new(const struct config *config, struct secrets *secrets, int wake_fd,
                              struct err *err);
/* Waits for a fetch under way: see secrets_give_up. NULL is a no-op. */
void computed_free(struct computed *computed);

/* The rest on the lane's thread alone. */

/* sql_host's `secret`, for arguments that are no constants. */
int computed_get(struct computed *computed, const struct sql_secret_query *query, struct span *out,
                 struct err *err);

/* From here on, until computed_wants or computed_end, the evaluation is a try. */
void computed_try(struct computed *computed);
/* The try is over: does the message want something that is not known yet? */
bool computed_wants(struct computed *computed);
/* Have it fetched, unless another fetch is under way. The descriptor tells the end of either. */
void computed_fetch(struct computed *computed);
bool computed_is_busy(const struct computed *computed);
/* The message is over: let go of what it held. */
void computed_end(struct computed *computed);

/* host.c: where the host turns for them. */
void host_set_computed(struct render_secrets *known, struct computed *computed);

#endif
