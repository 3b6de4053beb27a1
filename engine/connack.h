/* connack.h - what a broker says when it does not let us in, and what to do. For the daemon and for doctor.
 */
#ifndef ENGINE_CONNACK_H
#define ENGINE_CONNACK_H

#include <stdbool.h>

/* It does not know MQTT 5: ask again by MQTT 3.1.1. `old`: this was MQTT 3.1.1 already. */
bool connack_wants_old_protocol(int reason, bool old);

/* The reason code in words. */
const char *connack_text(int reason, bool old);

/* "; check mqtt.username ...", or empty. `known_id`: the client id was that of mqtt.client_id, not one made
 * up for a look. */
const char *connack_advice(int reason, bool known_id);

#endif
