/* conf.h - settings -> librdkafka's configuration of a producer. */
#ifndef KAFKA_CONF_H
#define KAFKA_CONF_H

#include "material.h"
#include "settings.h"

#include <librdkafka/rdkafka.h>

/* A new configuration without callbacks, owned by the caller; NULL with `err`. */
rd_kafka_conf_t *conf_new(const struct settings *settings, const struct material *material, struct err *err);

/* Take idempotence back, for a cluster that refuses it: order is then kept by one request at a time. */
int conf_without_idempotence(rd_kafka_conf_t *conf, struct err *err);

/* Another user name and password. */
int conf_set_login(rd_kafka_conf_t *conf, const struct settings *settings, struct err *err);

#endif
