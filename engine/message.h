/* message.h - one PUBLISH, as it came. All of it is borrowed for the duration of the call it is given to. */
#ifndef ENGINE_MESSAGE_H
#define ENGINE_MESSAGE_H

#include "sql/sql.h"

#include <stdbool.h>
#include <stdint.h>

enum { MESSAGE_IDS = 32, MESSAGE_PROPERTIES = 128 };

struct message {
    struct sql_message sql;
    uint32_t ids[MESSAGE_IDS]; /* subscription identifiers; none under MQTT 3.1.1 */
    size_t id_count;
    int qos;
    uint32_t place; /* QoS 1: see redelivery.h */
    bool retained;  /* a replay of what the broker keeps, not a publication */
};

#endif
