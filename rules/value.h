/* value.h - durations, sizes and broker addresses as people write them. */
#ifndef RULES_VALUE_H
#define RULES_VALUE_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* "200ms", "1s", "15m", "24h", "7d" -> milliseconds. False: not of that form, or beyond int64_t. */
bool value_duration(struct span text, int64_t *ms);

/* "65536", "64KiB", "1MiB", "10GiB" -> bytes. */
bool value_size(struct span text, int64_t *bytes);

/* mqtt://host, mqtts://host:8883, mqtt://[::1]:1883. `host` points into `text`, brackets taken off. NULL, or
 * what is wrong. */
const char *value_broker(struct span text, struct span *host, int *port, bool *tls);

#endif
