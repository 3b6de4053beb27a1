/* engine/probe.h - would the MQTT brokers let us in, and what do they grant? For `topicrule doctor`. */
#ifndef ENGINE_PROBE_H
#define ENGINE_PROBE_H

#include "base/health.h"
#include "rules/config.h"
#include "secrets/secrets.h"

/* Look at every broker of the configuration: reach it, log in, take what it grants. Under a client id of its
 * own, so the daemon keeps its session; nothing is published, nothing subscribed but what the broker tells of
 * itself under $SYS, and no session is left behind.
 * Each step blocks `wait_ms` at most. `secrets` may be NULL. */
void engine_probe(const struct config *config, struct secrets *secrets, int wait_ms,
                  const struct health_report *report);

#endif
