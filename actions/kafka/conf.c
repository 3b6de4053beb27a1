#include "conf.h"

#include "base/auto.h"

#include <stdio.h>
#include <stdlib.h>

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char why[256] = "";

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(err, ERR_VALUE, "%s: %s", name, why);
}

/* librdkafka takes terminated text; ours may hold a password, so the copy is wiped. */
static int set_span(rd_kafka_conf_t *conf, const char *name, struct span value, struct err *err)
{
    AUTO(free_drop) char *copy = malloc(value.size + 1);

    if (!copy)
        return err_memory(err);
    memcpy(copy, value.data, value.size);
    copy[value.size] = '\0';
    int result = set(conf, name, copy, err);
    wipe(copy, value.size);
    return result;
}

static int set_tls(rd_kafka_conf_t *conf, const struct material *material, struct err *err)
{
    if (material->trust) {
        if (set_span(conf, "ssl.ca.pem", wiped_reveal(material->trust), err) != 0)
            return -1;
    } else {
        const char *place = material->trust_directory[0] ? material->trust_directory : material->system_trust;
        if (place && set(conf, "ssl.ca.location", place, err) != 0)
            return -1;
    }
    if (!material->key)
        return 0;
    return set_span(conf, "ssl.certificate.pem", wiped_reveal(material->chain), err) != 0 ||
                   set_span(conf, "ssl.key.pem", wiped_reveal(material->key), err) != 0
               ? -1
               : 0;
}

int conf_set_login(rd_kafka_conf_t *conf, const struct settings *settings, struct err *err)
{
    if (!settings->sasl)
        return 0;
    if (set_span(conf, "sasl.mechanisms", setting_text(settings, PROP_MECHANISM), err) != 0)
        return -1;
    if (settings->mechanism ==
        MECHANISM_GSSAPI) /* tickets are ours: this keeps librdkafka from running kinit */
        return set(conf, "sasl.kerberos.min.time.before.relogin", "0", err);
    if (settings->username.size && set_span(conf, "sasl.username", settings->username, err) != 0)
        return -1;
    return settings->password.size ? set_span(conf, "sasl.password", settings->password, err) : 0;
}

int conf_without_idempotence(rd_kafka_conf_t *conf, struct err *err)
{
    return set(conf, "enable.idempotence", "false", err) != 0 ||
                   set(conf, "max.in.flight.requests.per.connection", "1", err) != 0
               ? -1
               : 0;
}

/* Without idempotence two requests in flight can change places when the first is repeated, so there is one;
 * with acks=0 nothing is repeated. */
static int set_order(rd_kafka_conf_t *conf, const struct settings *settings, struct err *err)
{
    if (settings->idempotent)
        return set(conf, "enable.idempotence", "true", err);
    if (settings->slots[PROP_IN_FLIGHT].set || span_is(setting_text(settings, PROP_ACKS), "0"))
        return 0;
    return conf_without_idempotence(conf, err);
}

rd_kafka_conf_t *conf_new(const struct settings *settings, const struct material *material, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    for (size_t id = 0; id < PROP_COUNT; id++) {
        struct span value = setting_text(settings, (enum prop_id)id);

        if (!props[id].rdkafka[0] || value.size == 0)
            continue;
        if (id == PROP_SERVICE && settings->mechanism != MECHANISM_GSSAPI)
            continue;
        if (id == PROP_BOOTSTRAP && settings->slots[PROP_MOCK].set)
            continue; /* the embedded cluster names its own */
        if ((id == PROP_CRL || id == PROP_CIPHERS || id == PROP_CURVES || id == PROP_SIGALGS) &&
            !settings->tls)
            continue;
        if (id == PROP_COMPRESSION && span_is(value, "none"))
            continue;
        if (set_span(conf, props[id].rdkafka, value, err) != 0) {
            if (settings->slots[id].from && settings->slots[id].from->secret)
                err_set(err, ERR_VALUE, "%s: librdkafka refuses the value, which is a secret",
                        props[id].name);
            if (settings->slots[id].from)
                err_in(err, settings->slots[id].from->origin, settings->slots[id].from->path);
            goto fail;
        }
    }
    if (set_order(conf, settings, err) != 0 || conf_set_login(conf, settings, err) != 0 ||
        (settings->tls && set_tls(conf, material, err) != 0))
        goto fail;
    return conf;
fail:
    rd_kafka_conf_destroy(conf);
    return NULL;
}
