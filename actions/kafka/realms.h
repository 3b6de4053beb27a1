/* realms.h - the Kerberos configuration of this process, in memory.
 *
 * MIT's library and its GSSAPI read a configuration file, named by KRB5_CONFIG, and a rule names its realm
 * and KDC. So KRB5_CONFIG names /proc/self/fd/N, and behind N stands a file in memory with the realms that
 * are in use now. This is state of the whole process, as Kerberos' own is; it has its lock. */
#ifndef KAFKA_REALMS_H
#define KAFKA_REALMS_H

#include "base/err.h"
#include "base/span.h"

/* Make N and set KRB5_CONFIG. Once, before threads. */
int realms_init(struct err *err);

/* Have `realm` served by `kdcs` ("host:port,host"), checked as below, until realms_remove with the same. When
 * two clients name different KDCs for one realm, both are asked, those named last first. */
int realms_add(struct span realm, struct span kdcs, struct err *err);
void realms_remove(struct span realm, struct span kdcs);

/* Is this text fit to be written into the configuration? 0 or -1 with `err`. */
int realms_check_name(struct span realm, struct err *err);
int realms_check_kdcs(struct span kdcs, struct err *err);

#endif
