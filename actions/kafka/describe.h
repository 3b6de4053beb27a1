/* describe.h - settings as text: for people, and as an identity. */
#ifndef KAFKA_DESCRIBE_H
#define KAFKA_DESCRIBE_H

#include "settings.h"

/* Every effective property as one JSON object, secrets as "****". Unreadable settings are left out. */
void describe(const struct action_settings *in, struct buf *out);

/* One line a property, in a fixed order; secrets and the content of files as a keyed digest, whose key is
 * made when the process starts, so that the text gives nothing away. With `login` false user name and
 * password are left out: two clients that differ only there can take each other's place. */
int identity(const struct settings *settings, bool login, struct buf *out, struct err *err);

#endif
