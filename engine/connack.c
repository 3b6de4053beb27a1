#include "connack.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>

bool connack_wants_old_protocol(int reason, bool old)
{
    return reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION ||
           (reason == CONNACK_REFUSED_PROTOCOL_VERSION && !old);
}

const char *connack_text(int reason, bool old)
{
    return old ? mosquitto_connack_string(reason) : mosquitto_reason_string(reason);
}

const char *connack_advice(int reason, bool known_id)
{
    switch (reason) {
    case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
    case CONNACK_REFUSED_BAD_USERNAME_PASSWORD: return "; check mqtt.username and mqtt.password";
    case MQTT_RC_NOT_AUTHORIZED:
    case CONNACK_REFUSED_NOT_AUTHORIZED:
        return "; check mqtt.username and mqtt.password, and what the broker allows this client";
    case MQTT_RC_CLIENTID_NOT_VALID:
    case CONNACK_REFUSED_IDENTIFIER_REJECTED:
        return known_id ? "; check mqtt.client_id"
                        : "; it may allow certain client ids alone, and doctor never uses the daemon's";
    default: return "";
    }
}
