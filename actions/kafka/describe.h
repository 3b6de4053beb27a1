/* describe.h - settings as text: for people, and as an identity. */
#ifndef KAFKA_DESCRIBE_H
#define KAFKA_DESCRIBE_H

#include "settings.h"

/* Every effective property as one JSON object, secrets as "****". Unreadable settings are left out. */
void describe(const struct action_settings *in, struct buf *out);

/* One line a property, in a fixed order; secrets and the content of files as a keyed digest, whose key is
 * made when the process starts, so that the text gives nothing away. With `password` false that of a PLAIN or
 * SCRAM login is left out: a client that differs only there can be given the other one's. */
int identity(const struct settings *settings, bool password, struct buf *out, struct err *err);

#endif
