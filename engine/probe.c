/* probe.c - one look at each broker, with a client id that is nobody else's. */
#include "engine/probe.h"

#include "connack.h"
#include "dropped.h"
#include "login.h"
#include "redelivery.h"
#include "tls.h"

#include "base/clock.h"
#include "base/dial.h"
#include "reach.h"

#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEP_MS = 100, SYS_MS = 1500 };

struct looking {
    const struct config *config;
    const struct config_broker *broker;
    const struct session_login *login;
    const struct health_report *report;
    const char *who; /* part of the client id */
    int64_t until_ms;
    int reason; /* of CONNACK; -1: none yet */
    int family; /* of the broker's address: AF_INET, AF_INET6; 0: not known */
    bool old_protocol, lost;
    bool tells_dropped; /* and `dropped` is what it says */
    uint64_t dropped;
    char version[80]; /* "mosquitto version 2.0.11"; empty: it does not say */
};

/* ---- what the broker grants ---- */

static void tell_session(const struct looking *looking, const mosquitto_property *properties)
{
    const int64_t asked = looking->config->mqtt.session_expiry_s;
    uint32_t expiry;

    if (!mosquitto_property_read_int32(properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &expiry, false) ||
        expiry >= asked)
        health_tell(looking->report, HEALTH_FINE, "session", "kept for %lld s, as asked", (long long)asked);
    else
        health_tell(looking->report, HEALTH_DOUBT, "session",
                    "kept for %u s, not for the %lld s asked: what is published during a longer absence is "
                    "lost; for mosquitto raise persistent_client_expiration",
                    expiry, (long long)asked);
}

static void tell_window(const struct looking *looking, const mosquitto_property *properties)
{
    uint16_t window = REDELIVERY_RECEIVE_MAXIMUM + 1; /* if it says nothing */

    (void)mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &window, false);
    health_tell(looking->report, HEALTH_FINE, "window", "we take %d unacknowledged messages, the broker %u",
                REDELIVERY_RECEIVE_MAXIMUM, window);
}

static void tell_qos(const struct looking *looking, const mosquitto_property *properties)
{
    uint8_t most = 2;

    (void)mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &most, false);
    if (most < looking->config->mqtt.qos)
        health_tell(looking->report, HEALTH_DOUBT, "QoS",
                    "the broker offers QoS 0 only: messages can be lost on the way to us; for mosquitto "
                    "max_qos 1");
    else
        health_tell(looking->report, HEALTH_FINE, "QoS", "up to %u", most);
}

static void tell_size(const struct looking *looking, const mosquitto_property *properties)
{
    const int64_t payload = looking->config->limits.payload_bytes;
    uint32_t most;

    if (!mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &most, false))
        health_tell(looking->report, HEALTH_FINE, "packet size",
                    "no limit of the broker; ours for a payload is %lld bytes", (long long)payload);
    else
        health_tell(looking->report, (int64_t)most < payload ? HEALTH_DOUBT : HEALTH_FINE, "packet size",
                    "the broker's limit is %u bytes, ours for a payload %lld", most, (long long)payload);
}

static void tell_grants(const struct looking *looking, const mosquitto_property *properties)
{
    if (looking->old_protocol) {
        health_tell(looking->report, HEALTH_DOUBT, "protocol",
                    "the broker knows MQTT 3.1.1 alone, which tells nothing of its limits; for mosquitto set "
                    "max_inflight_messages 65535");
        return;
    }
    tell_session(looking, properties);
    tell_window(looking, properties);
    tell_qos(looking, properties);
    tell_size(looking, properties);
}

static bool wants_old_protocol(const struct looking *looking)
{
    return !looking->old_protocol && connack_wants_old_protocol(looking->reason, false);
}

static void on_connect(struct mosquitto *mosq, void *context, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct looking *looking = context;

    (void)mosq, (void)flags;
    looking->reason = reason;
    if (wants_old_protocol(looking))
        return; /* asked again */
    if (reason != 0) {
        health_tell(looking->report, HEALTH_BROKEN, "login", "the broker refuses us: %s%s",
                    connack_text(reason, looking->old_protocol), connack_advice(reason, false));
        return;
    }
    health_tell(looking->report, HEALTH_FINE, "login", "let in by MQTT %s%s%s",
                looking->old_protocol ? "3.1.1" : "5", looking->login->username ? " as " : "",
                looking->login->username ? looking->login->username : "");
    tell_grants(looking, properties);
}

static void on_disconnect(struct mosquitto *mosq, void *context, int reason,
                          const mosquitto_property *properties)
{
    struct looking *looking = context;

    (void)mosq, (void)reason, (void)properties;
    looking->lost = true;
}

/* ---- what it tells of itself ---- */

/* Topics of mosquitto; others that have them mean the same. They are retained, so the answer is there at
 * once, and a broker without them says nothing. */
static const char sys_dropped[] = "$SYS/broker/publish/messages/dropped",
                  sys_version[] = "$SYS/broker/version";

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct looking *looking = context;
    char text[sizeof looking->version];

    (void)mosq, (void)properties;
    (void)snprintf(text, sizeof text, "%.*s", message->payloadlen > 0 ? message->payloadlen : 0,
                   message->payload ? (const char *)message->payload : "");
    if (strcmp(message->topic, sys_version) == 0)
        memcpy(looking->version, text, sizeof text);
    else if (strcmp(message->topic, sys_dropped) == 0)
        looking->tells_dropped = sscanf(text, "%" SCNu64, &looking->dropped) == 1;
}

/* At QoS 0, in a session that ends with this connection. */
static void ask_broker(struct looking *looking, struct mosquitto *mosq)
{
    char *topics[] = {(char *)(uintptr_t)sys_dropped, (char *)(uintptr_t)sys_version};
    const int64_t until_ms = clock_mono_ms() + SYS_MS;

    if (mosquitto_subscribe_multiple(mosq, NULL, 2, topics, 0, 0, NULL) != MOSQ_ERR_SUCCESS)
        return;
    while (!(looking->tells_dropped && looking->version[0]) && !looking->lost && clock_mono_ms() < until_ms)
        if (mosquitto_loop(mosq, STEP_MS, 1) != MOSQ_ERR_SUCCESS)
            return;
}

static void tell_queue(const struct looking *looking)
{
    const bool mosquitto = strncmp(looking->version, "mosquitto", 9) == 0;
    const char *advice = mosquitto
                             ? "for mosquitto set max_queued_messages 0 (its default is 1000 a client), "
                               "persistence true and autosave_interval 60 (its default is half an hour)"
                             : "see to it that it queues without a limit, and on disk";

    if (looking->tells_dropped && looking->dropped > 0)
        health_tell(looking->report, HEALTH_DOUBT, "queue",
                    "the broker has dropped %" PRIu64
                    " messages since its start, because the queue of a client "
                    "was full, ours or another's; %s",
                    looking->dropped, advice);
    else if (looking->tells_dropped)
        health_tell(looking->report, HEALTH_FINE, "queue",
                    "nothing dropped since the broker's start; MQTT does not tell its limits: %s", advice);
    else
        health_tell(looking->report, HEALTH_FINE, "queue", "the broker does not tell what it drops; %s",
                    advice);
}

/* ---- the connection ---- */

/* What the daemon asks for, and a session that ends with the connection: see say_goodbye. */
static int set_properties(const struct looking *looking, struct mosquitto *mosq)
{
    const int64_t asked = looking->config->mqtt.session_expiry_s;
    mosquitto_property *properties = NULL;
    int rc = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                          asked > UINT32_MAX ? UINT32_MAX : (uint32_t)asked);

    if (rc == MOSQ_ERR_SUCCESS) /* keeps the properties, and refuses the port: see session_dial.c */
        rc = mosquitto_connect_bind_v5(mosq, looking->broker->host, -1, 60, NULL, properties);
    mosquitto_property_free_all(&properties);
    return rc == MOSQ_ERR_INVAL ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
}

static int set_up(const struct looking *looking, struct mosquitto *mosq, SSL_CTX *tls)
{
    const struct wiped *password = looking->login->password;
    int rc = mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
                                  looking->old_protocol ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);

    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_int_option(mosq, MOSQ_OPT_RECEIVE_MAXIMUM, REDELIVERY_RECEIVE_MAXIMUM);
    if (rc == MOSQ_ERR_SUCCESS && (looking->login->username || password))
        rc = mosquitto_username_pw_set(mosq, looking->login->username ? looking->login->username : "",
                                       password ? wiped_reveal(password).data : NULL);
    if (rc == MOSQ_ERR_SUCCESS && tls) {
        rc = mosquitto_void_option(mosq, MOSQ_OPT_SSL_CTX, tls);
        if (rc == MOSQ_ERR_SUCCESS)
            rc = mosquitto_int_option(mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    }
    return rc == MOSQ_ERR_SUCCESS && !looking->old_protocol ? set_properties(looking, mosq) : rc;
}

/* The broker forgets us at once. */
static void say_goodbye(const struct looking *looking, struct mosquitto *mosq)
{
    mosquitto_property *properties = NULL;

    if (!looking->old_protocol)
        (void)mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 0);
    (void)mosquitto_disconnect_v5(mosq, MQTT_RC_NORMAL_DISCONNECTION, properties);
    mosquitto_property_free_all(&properties);
    for (int i = 0; i < 20 && !looking->lost; i++)
        (void)mosquitto_loop(mosq, STEP_MS, 1);
}

static void log_in(struct looking *looking, SSL_CTX *tls)
{
    char id[64];
    unsigned char random[8] = {0};
    int rc;

    if (getrandom(random, sizeof random, 0) < 0) /* then the process alone tells two of us apart */
        random[0] = (unsigned char)getpid();
    (void)snprintf(id, sizeof id, "topicrule-%s-%02x%02x%02x%02x%02x%02x", looking->who, random[0], random[1],
                   random[2], random[3], random[4], random[5]);
    looking->reason = -1;
    looking->lost = false;
    struct mosquitto *mosq = mosquitto_new(id, true, looking);
    rc = mosq ? set_up(looking, mosq, tls) : MOSQ_ERR_NOMEM;
    if (rc == MOSQ_ERR_SUCCESS) {
        mosquitto_connect_v5_callback_set(mosq, on_connect);
        mosquitto_disconnect_v5_callback_set(mosq, on_disconnect);
        mosquitto_message_v5_callback_set(mosq, on_message);
        rc = mosquitto_connect_bind_async(mosq, looking->broker->host, looking->broker->port, 60,
                                          dial_any_address(looking->family));
    }
    while (rc == MOSQ_ERR_SUCCESS && looking->reason < 0 && clock_mono_ms() < looking->until_ms)
        rc = mosquitto_loop(mosq, STEP_MS, 1);
    if (looking->reason < 0 && rc == MOSQ_ERR_MALFORMED_PACKET && !looking->old_protocol)
        looking->reason = MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION; /* libmosquitto 2.0.21: see peek.h */
    if (looking->reason < 0)
        health_tell(looking->report, HEALTH_BROKEN, "login", "%s",
                    rc == MOSQ_ERR_SUCCESS ? "the broker does not answer in time; does that port speak MQTT?"
                    : rc == MOSQ_ERR_CONN_LOST
                        ? "the broker hangs up; does that port speak MQTT (and TLS, for "
                          "mqtts)?"
                    : rc == MOSQ_ERR_ERRNO ? strerror(errno)
                                           : mosquitto_strerror(rc));
    if (looking->reason == 0) {
        ask_broker(looking, mosq);
        tell_queue(looking);
        say_goodbye(looking, mosq);
    }
    mosquitto_destroy(mosq);
}

static void look_at(struct looking *looking, int wait_ms)
{
    const struct session_login *login = looking->login;
    const struct tls_files files = {login->ca_file, login->cert_file, login->key_file, login->key_password};
    struct reach_server server = {
        .host = looking->broker->host,
        .port = looking->broker->port,
        .trust = files.ca ? "mqtt.tls.ca_file" : "the system's authorities",
        .until_ms = clock_mono_ms() + wait_ms,
    };
    struct tls_verdict verdict;
    struct err err = {0};

    if (looking->broker->tls) {
        server.tls = tls_context(&files, looking->broker->host, &verdict, &err);
        if (!server.tls) {
            health_tell(looking->report, HEALTH_BROKEN, "TLS", "%s", err.text);
            return;
        }
    }
    if (reach(&server, &looking->family, looking->report)) {
        looking->until_ms = clock_mono_ms() + wait_ms;
        log_in(looking, server.tls);
        if (wants_old_protocol(looking)) {
            looking->old_protocol = true;
            log_in(looking, server.tls);
        }
    }
    SSL_CTX_free(server.tls);
}

/* ---- every broker ---- */

struct labelled {
    const struct health_report *report;
    char label[300];
};

static void tell_labelled(void *context, enum health health, const char *what, const char *text)
{
    const struct labelled *labelled = context;
    char full[340];

    (void)snprintf(full, sizeof full, "%s %s", what, labelled->label);
    labelled->report->tell(labelled->report->context, health, full, text);
}

void engine_probe(const struct config *config, struct secrets *secrets, int wait_ms,
                  const struct health_report *report)
{
    struct session_login *login;
    struct err err = {0};

    if (config->mqtt.broker_count == 0) {
        health_tell(report, HEALTH_BROKEN, "MQTT", "mqtt.url is missing: there is no broker to connect to");
        return;
    }
    if (!(login = session_login_new(config, secrets, &err))) {
        health_tell(report, HEALTH_BROKEN, "MQTT", "%s", err.text);
        return;
    }
    (void)mosquitto_lib_init();
    for (size_t i = 0; i < config->mqtt.broker_count; i++) {
        const struct config_broker *broker = &config->mqtt.brokers[i];
        struct labelled labelled = {.report = report};
        const struct health_report one = {&labelled, tell_labelled};
        struct looking looking = {
            .config = config, .broker = broker, .login = login, .report = &one, .who = "doctor"};

        (void)snprintf(labelled.label, sizeof labelled.label,
                       strchr(broker->host, ':') ? "%s://[%s]:%d" : "%s://%s:%d",
                       broker->tls ? "mqtts" : "mqtt", broker->host, broker->port);
        look_at(&looking, wait_ms);
    }
    (void)mosquitto_lib_cleanup();
    session_login_free(login);
}

/* ---- for the daemon ---- */

static void tell_nobody(void *context, enum health health, const char *what, const char *text)
{
    (void)context, (void)health, (void)what, (void)text;
}

static void look_quietly(struct looking *looking, int wait_ms)
{
    const struct session_login *login = looking->login;
    const struct tls_files files = {login->ca_file, login->cert_file, login->key_file, login->key_password};
    struct tls_verdict verdict;
    struct err err;
    SSL_CTX *tls = NULL;

    if (looking->broker->tls && !(tls = tls_context(&files, looking->broker->host, &verdict, &err)))
        return;
    looking->until_ms = clock_mono_ms() + wait_ms;
    log_in(looking, tls);
    if (looking->reason < 0 && !dial_is_address(looking->broker->host)) {
        looking->family = AF_INET; /* as IPv6 comes first where there are both */
        log_in(looking, tls);
    }
    if (wants_old_protocol(looking)) {
        looking->old_protocol = true;
        log_in(looking, tls);
    }
    SSL_CTX_free(tls);
}

enum dropped dropped_ask(const struct config *config, const struct session_login *login, int wait_ms,
                         uint64_t *count)
{
    const struct health_report nobody = {NULL, tell_nobody};

    for (size_t i = 0; i < config->mqtt.broker_count; i++) {
        struct looking looking = {.config = config,
                                  .broker = &config->mqtt.brokers[i],
                                  .login = login,
                                  .report = &nobody,
                                  .who = "watch"};

        look_quietly(&looking, wait_ms);
        if (looking.reason < 0)
            continue; /* not there */
        *count = looking.dropped;
        return looking.tells_dropped ? DROPPED_TOLD : DROPPED_SECRET;
    }
    return DROPPED_AWAY;
}
