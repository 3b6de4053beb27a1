/* What is said on a connection: CONNACK, SUBSCRIBE and SUBACK, PUBLISH, DISCONNECT. Called by libmosquitto
 * from inside mosquitto_loop_read, so nothing here may drop the connection: it leaves a note. */
#include "session_state.h"

#include "base/log.h"

#include <stdio.h>

enum {
    SUBSCRIBE_FILTERS = 64,     /* in one SUBSCRIBE */
    SUBSCRIBE_BYTES = 16 << 10, /* about, of their texts */
    ASK_AGAIN_MS = 30000,
    REASON_TAKEN_OVER = 0x8e, /* MQTT 5, 3.14.2.1 */
};

/* ---- CONNACK ---- */

static const char *advice(int reason)
{
    switch (reason) {
    case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
    case CONNACK_REFUSED_BAD_USERNAME_PASSWORD: return "; check mqtt.username and mqtt.password";
    case MQTT_RC_NOT_AUTHORIZED:
    case CONNACK_REFUSED_NOT_AUTHORIZED:
        return "; check mqtt.username and mqtt.password, and what the broker allows this client";
    case MQTT_RC_CLIENTID_NOT_VALID:
    case CONNACK_REFUSED_IDENTIFIER_REJECTED: return "; check mqtt.client_id";
    default: return "";
    }
}

static void refused(struct session *session, int reason, const mosquitto_property *properties)
{
    char *said = NULL;

    session->refused = true;
    if (reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION ||
        (reason == CONNACK_REFUSED_PROTOCOL_VERSION && !session->old_protocol)) {
        session_say_why(session, "the broker does not know MQTT 5, so MQTT 3.1.1 is next");
        session->old_for_good = true;
        return;
    }
    (void)mosquitto_property_read_string(properties, MQTT_PROP_REASON_STRING, &said, false);
    const char *text =
        session->old_protocol ? mosquitto_connack_string(reason) : mosquitto_reason_string(reason);
    session_say_why(session, "the broker refuses us: %s%s%.80s%s%s", text, said ? " (" : "", said ? said : "",
                    said ? ")" : "", advice(reason));
    free(said);
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

static void subscribe_all(struct session *session);

static void on_connect(struct mosquitto *mosq, void *context, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct session *session = context;
    const bool resumed = flags & 1;
    char line[GLANCE_TEXT];

    (void)mosq;
    session->packets++;
    if (reason != 0) {
        refused(session, reason, properties);
        return;
    }
    redelivery_connected(session->redelivery, resumed, session->broker);
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
    subscribe_all(session);
    session->options.events.connected(session->options.events.context, resumed);
}

/* ---- SUBSCRIBE ---- */

int session_plan(struct session *session, struct err *err)
{
    const struct route *route = session->options.route;
    size_t count = route_count(route), own;

    session->order = calloc(count + 1, sizeof *session->order);
    session->denied = calloc(count + 1, sizeof *session->denied);
    if (!session->order || !session->denied)
        return err_memory(err);
    for (size_t i = 0; i < count; i++)
        if (route_entry(route, i)->id == ROUTE_SHARED)
            session->order[session->shared_count++] = (uint32_t)i;
    own = session->shared_count;
    for (size_t i = 0; i < count; i++)
        if (route_entry(route, i)->id != ROUTE_SHARED)
            session->order[own++] = (uint32_t)i;
    session->order_count = count;
    return 0;
}

static const struct route_entry *planned(const struct session *session, size_t place)
{
    return route_entry(session->options.route, session->order[place]);
}

static int subscribe(struct session *session, uint32_t first, uint32_t count, uint32_t id)
{
    char *filters[SUBSCRIBE_FILTERS];
    mosquitto_property *properties = NULL;
    int mid, options = session->old_protocol ? 0 : MQTT_SUB_OPT_SEND_RETAIN_NEVER;

    if (session->subscribe_count == session->subscribe_room) {
        size_t room = session->subscribe_room ? session->subscribe_room * 2 : 16;
        struct session_subscribe *subscribes = realloc(session->subscribes, room * sizeof *subscribes);

        if (!subscribes)
            return MOSQ_ERR_NOMEM;
        session->subscribes = subscribes;
        session->subscribe_room = room;
    }
    for (uint32_t i = 0; i < count; i++)
        filters[i] = (char *)(uintptr_t)planned(session, first + i)->filter;
    if (id && mosquitto_property_add_varint(&properties, MQTT_PROP_SUBSCRIPTION_IDENTIFIER, id) != 0)
        return MOSQ_ERR_NOMEM;
    int rc = mosquitto_subscribe_multiple(session->mosq, &mid, (int)count, filters,
                                          session->options.config->mqtt.qos, options, properties);
    mosquitto_property_free_all(&properties);
    if (rc == MOSQ_ERR_SUCCESS)
        session->subscribes[session->subscribe_count++] = (struct session_subscribe){mid, first, count};
    return rc;
}

/* On every connect, also on a resumed session: the rules may be others, and a broker may have forgotten. The
 * packets leave with the first flush. */
static void subscribe_all(struct session *session)
{
    const bool identifiers = session->identifiers;
    size_t together = identifiers ? session->shared_count : session->order_count;

    session->subscribe_count = session->answered = session->denied_count = 0;
    session->asking_again = false;
    for (size_t first = 0; first < session->order_count;) {
        uint32_t count = 1, bytes = 0;
        uint32_t id = !identifiers ? 0 : first < together ? ROUTE_SHARED : planned(session, first)->id;

        while (first + count < together && count < SUBSCRIBE_FILTERS && bytes < SUBSCRIBE_BYTES)
            bytes += (uint32_t)strlen(planned(session, first + count++)->filter);
        int rc = subscribe(session, (uint32_t)first, count, id);
        if (rc != MOSQ_ERR_SUCCESS) {
            session_say_why(session, "cannot subscribe to '%s': %s", planned(session, first)->filter,
                            mosquitto_strerror(rc));
            session->ended = true;
            return;
        }
        first += count;
    }
    atomic_store(&session->ready, session->order_count == 0);
}

/* Rights change: what is refused is asked for again, and told once. */
static void denied(struct session *session, size_t place, int reason)
{
    const struct route_entry *entry = planned(session, place);
    const struct rule *rule = session->options.rules->rules[entry->rules[0]];
    char more[40] = "";

    session->denied_count++;
    session->ask_again_ms = session->now_ms + ASK_AGAIN_MS;
    if (session->denied[place])
        return;
    session->denied[place] = true;
    if (entry->rule_count > 1)
        (void)snprintf(more, sizeof more, " (and %zu more)", entry->rule_count - 1);
    log_error(
        "rule",
        "%s%s hears nothing: the broker refuses the subscription to '%s': %s; asked again from time to time",
        rule->name, more, entry->filter,
        session->old_protocol ? "no reason given" : mosquitto_reason_string(reason));
}

static void granted(struct session *session, size_t place, int qos)
{
    const struct route_entry *entry = planned(session, place);

    if (session->denied[place])
        log_info("mqtt", "the broker grants '%s' now", entry->filter);
    session->denied[place] = false;
    if (qos < session->options.config->mqtt.qos)
        log_warn("mqtt", "the broker grants QoS %d for '%s': messages can be lost on the way to us", qos,
                 entry->filter);
}

static void on_subscribe(struct mosquitto *mosq, void *context, int mid, int count, const int *reasons,
                         const mosquitto_property *properties)
{
    struct session *session = context;
    size_t at = session->answered, left = session->subscribe_count;

    (void)mosq;
    (void)properties;
    session->packets++;
    /* Brokers may answer in any order; as asked is the usual one, so look there first. */
    for (; left > 0 && session->subscribes[at % session->subscribe_count].mid != mid; left--)
        at++;
    if (left == 0)
        return;
    const struct session_subscribe *asked = &session->subscribes[at % session->subscribe_count];
    for (uint32_t i = 0; i < asked->count && i < (uint32_t)count; i++) {
        if (reasons[i] >= 0x80)
            denied(session, asked->first + i, reasons[i]);
        else
            granted(session, asked->first + i, reasons[i]);
    }
    if (++session->answered < session->subscribe_count || session->asking_again)
        return;
    atomic_store(&session->ready, true);
    log_info("mqtt", "%zu of %zu topic filters subscribed", session->order_count - session->denied_count,
             session->order_count);
}

void session_ask_again(struct session *session)
{
    if (session->denied_count == 0 || session->answered < session->subscribe_count ||
        session->now_ms < session->ask_again_ms || session->options.hold->unsettled > 0 || session->flushing)
        return;
    session->asking_again = true;
    session->subscribe_count = session->answered = session->denied_count = 0;
    for (size_t place = 0; place < session->order_count; place++)
        if (session->denied[place] &&
            subscribe(session, (uint32_t)place, 1, session->identifiers ? planned(session, place)->id : 0) !=
                0) {
            session->denied_count++;
            session->ask_again_ms = session->now_ms + ASK_AGAIN_MS;
        }
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

/* Has it come again, though it is safe already? */
static bool is_duplicate(struct session *session, struct message *message, uint16_t mid)
{
    const bool dup = session->dup;

    assert(session->options.hold->orphans == 0); /* else nothing is read */
    const bool duplicate = redelivery_read(session->redelivery, message, mid, dup, &message->place);
    if (duplicate) {
        counters_one(session->options.counters, duplicates);
        session->passed_over++;
    }
    if (session->dup_heard)
        listen_for_dup(session);
    return duplicate;
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *in,
                       const mosquitto_property *properties)
{
    struct session *session = context;

    (void)mosq;
    session->packets++;
    if (session->discarding)
        return;
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
    if (in->qos > 0)
        session->to_acknowledge++;
    if (in->qos != 1 || !is_duplicate(session, &message, (uint16_t)in->mid)) {
        /* Unsettled until the lane has seen to it, whatever it does meanwhile. */
        const uint32_t epoch = in->qos > 0 ? hold_take(session->options.hold) : 0;

        session->options.events.message(session->options.events.context, &message);
        if (in->qos > 0)
            hold_release(session->options.hold, epoch);
    }
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
    mosquitto_subscribe_v5_callback_set(session->mosq, on_subscribe);
    mosquitto_message_v5_callback_set(session->mosq, on_message);
    mosquitto_disconnect_v5_callback_set(session->mosq, on_disconnect);
    mosquitto_log_callback_set(session->mosq, on_log);
}
