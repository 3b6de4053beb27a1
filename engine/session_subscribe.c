/* Which topic filters the broker knows of us: SUBSCRIBE and UNSUBSCRIBE, and what it answers. Called by
 * libmosquitto from inside mosquitto_loop_read, as session_mqtt.c is. What is queued here leaves with the
 * next flush. */
#include "session_state.h"

#include "base/log.h"

#include <stdio.h>

enum {
    FILTERS = 64,     /* in one packet */
    BYTES = 16 << 10, /* about, of their texts */
    ASK_AGAIN_MS = 30000,
};

/* Those that it has already come before new ones: until it has another identifier, a filter may have the
 * shared one, and a message for it and for a new one that overlaps it would come as two that cannot be told
 * apart. A broker that others keep busy lets them in between any two packets. */
int session_plan(struct session *session, const struct route *route, const struct route *former,
                 struct err *err)
{
    const size_t count = route_count(route);
    uint32_t *order = calloc(count + 1, sizeof *order);
    bool *denied = calloc(count + 1, sizeof *denied);
    size_t shared = 0, own;

    if (!order || !denied) {
        free(order);
        free(denied);
        return err_memory(err);
    }
    for (size_t i = 0; i < count; i++)
        if (route_entry(route, i)->id == ROUTE_SHARED)
            order[shared++] = (uint32_t)i;
    own = shared;
    for (int later = 0; later < 2; later++)
        for (size_t i = 0; i < count; i++) {
            const struct route_entry *entry = route_entry(route, i);
            const bool is_new = former && !route_hears(former, entry->filter);

            if (entry->id != ROUTE_SHARED && is_new == (later == 1))
                order[own++] = (uint32_t)i;
        }
    free(session->order);
    free(session->denied);
    session->order = order;
    session->denied = denied;
    session->order_count = count;
    session->shared_count = shared;
    return 0;
}

static const struct route_entry *planned(const struct session *session, size_t place)
{
    return route_entry(session->options.route, session->order[place]);
}

static int subscribe(struct session *session, uint32_t first, uint32_t count, uint32_t id)
{
    char *filters[FILTERS];
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

/* Once all that rules hear is subscribed: what an old filter and a new one both take must not fall between
 * them (copies.h has what becomes of its copies). One UNSUBSCRIBE at a time; the next leaves when it is
 * answered. */
static void unsubscribe(struct session *session)
{
    const size_t first = atomic_load(&session->unsubscribed);
    const size_t left = route_gone_count(session->options.route) - first;
    size_t count = left < FILTERS ? left : FILTERS;
    char *filters[FILTERS];

    session->unsubscribe_count = 0;
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        filters[i] = (char *)(uintptr_t)route_gone(session->options.route, first + i);
    int rc;
    do
        rc = mosquitto_unsubscribe_multiple(session->mosq, &session->unsubscribe_mid, (int)count, filters,
                                            NULL);
    while (rc == MOSQ_ERR_OVERSIZE_PACKET && (count /= 2) > 0);
    if (rc == MOSQ_ERR_SUCCESS)
        session->unsubscribe_count = count;
    else
        log_warn("mqtt", "cannot unsubscribe from '%s': %s", filters[0], mosquitto_strerror(rc));
}

/* On every connect, also on a resumed session: the rules may be others, and a broker may have forgotten. The
 * packets leave with the first flush. */
void session_subscribe(struct session *session)
{
    const bool identifiers = session->identifiers;
    size_t together = identifiers ? session->shared_count : session->order_count;

    session->subscribe_count = session->answered = session->denied_count = 0;
    session->asking_again = false;
    copies_unhear(&session->copies);
    for (size_t first = 0; first < session->order_count;) {
        uint32_t count = 1, bytes = 0;
        uint32_t id = !identifiers ? 0 : first < together ? ROUTE_SHARED : planned(session, first)->id;

        while (first + count < together && count < FILTERS && bytes < BYTES)
            bytes += (uint32_t)strlen(planned(session, first + count++)->filter);
        int rc = subscribe(session, (uint32_t)first, count, id);
        /* More than the broker takes in one packet. */
        while (rc == MOSQ_ERR_OVERSIZE_PACKET && count > 1)
            rc = subscribe(session, (uint32_t)first, count /= 2, id);
        if (rc == MOSQ_ERR_OVERSIZE_PACKET) {
            denied(session, first, MQTT_RC_PACKET_TOO_LARGE);
        } else if (rc != MOSQ_ERR_SUCCESS) {
            session_say_why(session, "cannot subscribe to '%s': %s", planned(session, first)->filter,
                            mosquitto_strerror(rc));
            session->ended = true;
            return;
        }
        first += count;
    }
    atomic_store(&session->ready, session->subscribe_count == 0);
    if (session->subscribe_count == 0)
        unsubscribe(session);
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

void session_on_suback(struct mosquitto *mosq, void *context, int mid, int count, const int *reasons,
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
    unsubscribe(session);
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

void session_on_unsuback(struct mosquitto *mosq, void *context, int mid, const mosquitto_property *properties)
{
    struct session *session = context;

    (void)mosq;
    (void)properties;
    session->packets++;
    if (session->unsubscribe_count == 0 || mid != session->unsubscribe_mid)
        return;
    const size_t all = atomic_load(&session->unsubscribed) + session->unsubscribe_count;
    if (all == route_gone_count(session->options.route))
        log_info("mqtt", "%zu topic filters that no rule has any more are unsubscribed", all);
    atomic_store(&session->unsubscribed, all);
    unsubscribe(session);
}

size_t session_unsubscribed(const struct session *session)
{
    return atomic_load(&session->unsubscribed);
}
