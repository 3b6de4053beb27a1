/* jaas.h - a Java login line, read into the properties that say the same.
 *
 *     org.apache.kafka.common.security.scram.ScramLoginModule required username="a" password="b";
 *
 * One module, as Kafka clients demand. Quoting and escapes are those of Kafka's JaasConfig (a
 * java.io.StreamTokenizer): "..." or '...', with \" \\ \n \t and octal inside. */
#ifndef KAFKA_JAAS_H
#define KAFKA_JAAS_H

#include "settings.h"

void jaas_read(struct settings *settings, const struct action_setting *from, struct span text,
               struct report *report);

#endif
