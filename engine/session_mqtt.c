/* What is said on a connection: CONNACK, PUBLISH, DISCONNECT. Called by libmosquitto
 * from inside mosquitto_loop_read, so nothing here may drop the connection: it leaves a note. */
#include "connack.h"
#include "session_state.h"

#include "base/log.h"

#include <stdio.h>

enum {
    REASON_TAKEN_OVER = 0x8e, /* MQTT 5, 3.14.2.1 */
};

/* ---- CONNACK ---- */

static void on_refused(struct session *session, int reason, const mosquitto_property *properties)
{
    char *said = NULL;

    session->refused = true;
    if (connack_wants_old_protocol(reason, session->old_protocol)) {
        session_say_why(session, "the broker does not know MQTT 5, so MQTT 3.1.1 is next");
        session->old_for_good = true;
        return;
    }
    atomic_store(&session->in_doubt, true);
    (void)mosquitto_property_read_string(properties, MQTT_PROP_REASON_STRING, &said, false);
    session_say_why(session, "the broker refuses us: %s%s%.80s%s%s",
                    connack_text(reason, session->old_protocol), said ? " (" : "", said ? said : "",
                    said ? ")" : "", connack_advice(reason, true));
    free(said);
}

void session_refused_as_old(struct session *session)
{
    session->ended = true;
    session->silent = 0;
    on_refused(session, MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION, NULL);
}

/* The broker may grant less than we asked for. */
static void look_at_grants(struct session *session, const mosquitto_property *properties)
{
    const int64_t asked = session->options.config->mqtt.session_expiry_s;
    uint16_t keepalive;
    uint32_t expiry;
    uint8_t most_qos;

    if (mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &keepalive, false))
        session->keepalive_s = keepalive;
    if (mosquitto_property_read_int32(properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &expiry, false) &&
        expiry < asked)
        log_warn("mqtt",
                 "%s keeps our session for %u s only, not for %lld s: what is published during a longer "
                 "absence is lost",
                 session->name, expiry, (long long)asked);
    if (session->options.config->mqtt.qos > 0 &&
        mosquitto_property_read_byte(properties, MQTT_PROP_MAXIMUM_QOS, &most_qos, false) && most_qos == 0)
        log_warn("mqtt", "%s offers QoS 0 only: messages can be lost on the way to us", session->name);
}

static bool identifiers_available(const mosquitto_property *properties)
{
    uint8_t available = 1;

    (void)mosquitto_property_read_byte(properties, MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE, &available, false);
    return available != 0;
}

/* The library tells the DUP flag in its debug lines alone, and formats one for every message while somebody
 * listens. A line that we do not know says no DUP: then the message is evaluated. */
static void listen_for_dup(struct session *session)
{
    const bool wanted = redelivery_expects(session->redelivery);

    session->dup = false;
    if (wanted)
        return;
    session->dup_heard = false;
    mosquitto_log_callback_set(session->mosq, NULL);
    if (session->passed_over > 0)
        log_info("mqtt", "%u messages came again that are safe already: acknowledged, not produced again",
                 session->passed_over);
}

static void on_connect(struct mosquitto *mosq, void *context, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct session *session = context;
    const bool resumed = flags & 1;
    char line[GLANCE_TEXT];

    (void)mosq;
    session->packets++;
    session->silent = 0;
    if (reason != 0) {
        on_refused(session, reason, properties);
        return;
    }
    atomic_store(&session->in_doubt, false);
    session->spoke_v5 |= !session->old_protocol;
    redelivery_connected(session->redelivery, resumed, session->broker, !session->old_protocol);
    copies_forget(&session->copies);
    session->passed_over = 0;
    session->dup_heard = true; /* since the callbacks were set */
    listen_for_dup(session);
    session->phase = SESSION_UP;
    session->up_since_ms = session->heard_ms = session->now_ms;
    look_at_grants(session, properties);
    session->ping_ms = session->now_ms + session->keepalive_s * 500;
    if (session->was_up)
        counters_one(session->options.counters, reconnects);
    session->was_up = true;
    session->problem[0] = '\0';
    session->reason[0] = '\0';
    (void)snprintf(line, sizeof line, "connected to %s as '%s' (MQTT %s, %s)", session->name,
                   session->login->client_id, session->old_protocol ? "3.1.1" : "5",
                   resumed ? "session resumed" : "new session");
    glance_write(&session->seen, 0, line);
    log_info("mqtt", "%s", line);
    session->identifiers = !session->old_protocol && identifiers_available(properties);
    if (!session->old_protocol && !session->identifiers && session->order_count > session->shared_count)
        log_warn("mqtt",
                 "%s offers no subscription identifiers: where topic filters of rules overlap, it may send "
                 "copies that cannot be told apart, and a rule then runs for each",
                 session->name);
    session_subscribe(session);
    session->options.events.connected(session->options.events.context, resumed);
}

/* ---- PUBLISH ---- */

static void read_ids(struct message *message, const mosquitto_property *properties)
{
    const mosquitto_property *at = properties;
    bool skip = false;
    uint32_t id;

    while ((at = mosquitto_property_read_varint(at, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, &id, skip))) {
        if (message->id_count == MESSAGE_IDS) {
            message->id_count = 0; /* more than we can tell apart: the topic decides */
            return;
        }
        message->ids[message->id_count++] = id;
        skip = true;
    }
}

/* The library gives copies only. They are freed by drop_properties. */
static void read_properties(struct session *session, struct message *message,
                            const mosquitto_property *properties)
{
    struct sql_message *sql = &message->sql;
    const mosquitto_property *at = properties;
    char *text = NULL, *key;
    void *bytes = NULL;
    uint16_t size;
    uint8_t format;

    if (mosquitto_property_read_byte(properties, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, &format, false))
        sql->payload_format = format;
    if (mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &text, false))
        sql->content_type = span_of(text);
    if (mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &text, false))
        sql->response_topic = span_of(text);
    if (mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &bytes, &size, false))
        sql->correlation_data = (struct span){bytes, size};
    sql->user_properties = session->properties;
    for (bool skip = false; sql->user_property_count < MESSAGE_PROPERTIES; skip = true) {
        at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &key, &text, skip);
        if (!at)
            break;
        session->properties[sql->user_property_count++] =
            (struct sql_user_property){span_of(key), span_of(text)};
    }
}

static void drop_span(struct span span)
{
    free((void *)(uintptr_t)span.data);
}

static void drop_properties(struct message *message)
{
    drop_span(message->sql.content_type);
    drop_span(message->sql.response_topic);
    drop_span(message->sql.correlation_data);
    for (size_t i = 0; i < message->sql.user_property_count; i++) {
        drop_span(message->sql.user_properties[i].key);
        drop_span(message->sql.user_properties[i].value);
    }
}

/* While it is in doubt what a message is, nothing may be acknowledged: one more thing is unsettled. */
static void hold_doubt(struct session *session)
{
    const bool doubt = redelivery_in_doubt(session->redelivery);

    if (doubt == session->doubting)
        return;
    session->doubting = doubt;
    session->doubt_ms = session->now_ms;
    if (doubt)
        (void)hold_take(session->options.hold);
    else
        hold_release(session->options.hold, session->options.hold->epoch);
}

/* Has it come again, though it is safe already? */
static bool is_duplicate(struct session *session, struct message *message, uint16_t mid)
{
    const bool dup = session->dup;

    assert(session->options.hold->orphans == 0); /* else nothing is read */
    enum redelivery_verdict verdict =
        redelivery_read(session->redelivery, message, mid, dup, &message->place);
    if (verdict == REDELIVERY_BROKEN)
        session_doubt_is_broken(session);
    else
        hold_doubt(session);
    if (verdict == REDELIVERY_PASS_OVER) {
        counters_one(session->options.counters, duplicates);
        session->passed_over++;
    }
    if (session->dup_heard)
        listen_for_dup(session);
    return verdict != REDELIVERY_EVALUATE;
}

static void take(struct session *session, struct message *message, uint16_t mid)
{
    if (message->qos > 0)
        session->to_acknowledge++;
    if ((message->qos == 1 && is_duplicate(session, message, mid)) ||
        copies_pass_over(&session->copies, session->options.route, message))
        return;
    /* Unsettled until the lane has seen to it, whatever it does meanwhile. */
    const uint32_t epoch = message->qos > 0 ? hold_take(session->options.hold) : 0;

    session->options.events.message(session->options.events.context, message);
    if (message->qos > 0)
        hold_release(session->options.hold, epoch);
}

/* Nothing that comes after the end is evaluated, but it is worth to be remembered. */
static void leave(struct session *session, const struct message *message, uint16_t mid)
{
    if (message->qos == 1 && session->options.hold->orphans == 0)
        redelivery_left(session->redelivery, message, mid, session->dup);
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *in,
                       const mosquitto_property *properties)
{
    struct session *session = context;

    (void)mosq;
    session->packets++;
    struct message message = {
        .sql.topic = span_of(in->topic),
        .sql.payload = {in->payload ? in->payload : "", (size_t)in->payloadlen},
        .sql.payload_format = -1,
        .qos = in->qos,
        .retained = in->retain,
    };
    if (properties) {
        read_ids(&message, properties);
        if (session->options.wants_properties)
            read_properties(session, &message, properties);
    }
    if (session->discarding)
        leave(session, &message, (uint16_t)in->mid);
    else
        take(session, &message, (uint16_t)in->mid);
    if (properties && session->options.wants_properties)
        drop_properties(&message);
}

/* ---- DISCONNECT, and what the library has to say before we are connected ---- */

static void on_disconnect(struct mosquitto *mosq, void *context, int reason,
                          const mosquitto_property *properties)
{
    struct session *session = context;

    (void)mosq;
    (void)properties;
    session->ended = true;
    if (reason == REASON_TAKEN_OVER) {
        session->taken_over = true;
        session_say_why(session,
                        "another client has connected as '%s': give every instance its own mqtt.client_id",
                        session->login->client_id);
    } else if (reason >= 0x80) {
        session_say_why(session, "the broker ended it: %s", mosquitto_reason_string(reason));
    }
}

static void on_log(struct mosquitto *mosq, void *context, int level, const char *text)
{
    struct session *session = context;
    const size_t size = strlen(session->dup_line);
    const char *last = strrchr(text, ':');

    (void)mosq;
    if (level == MOSQ_LOG_DEBUG && strncmp(text, session->dup_line, size) == 0)
        session->dup = text[size] == '1';
    if (level != MOSQ_LOG_ERR || strncmp(text, "OpenSSL Error", 13) != 0)
        return;
    session->tls_failed = true;
    session_say_why(session, "TLS: %s", last && last[1] ? last + 1 : text);
}

void session_set_callbacks(struct session *session)
{
    mosquitto_connect_v5_callback_set(session->mosq, on_connect);
    mosquitto_subscribe_v5_callback_set(session->mosq, session_on_suback);
    mosquitto_unsubscribe_v5_callback_set(session->mosq, session_on_unsuback);
    mosquitto_message_v5_callback_set(session->mosq, on_message);
    mosquitto_disconnect_v5_callback_set(session->mosq, on_disconnect);
    mosquitto_log_callback_set(session->mosq, on_log);
}
