#include "park.h"

#include "lane.h"

#include <stdlib.h>

struct parked {
    struct parked *next;
    struct message message; /* points into `bytes` */
    struct sql_user_property properties[MESSAGE_PROPERTIES];
    int64_t deadline_ms;
    bool held;      /* QoS 1, and the connection that it came on is there */
    uint32_t epoch; /* of the hold, then of the connection that is gone */
    char bytes[];
};

static size_t size_of(const struct sql_message *sql)
{
    size_t size = sql->topic.size + sql->payload.size + sql->content_type.size + sql->response_topic.size +
                  sql->correlation_data.size;

    for (size_t i = 0; i < sql->user_property_count; i++)
        size += sql->user_properties[i].key.size + sql->user_properties[i].value.size;
    return size;
}

static struct span copy_to(char **at, struct span from)
{
    if (from.size == 0)
        return (struct span){from.data ? "" : NULL, 0};
    memcpy(*at, from.data, from.size);
    struct span copy = {*at, from.size};
    *at += from.size;
    return copy;
}

static void copy(struct parked *to, const struct message *from)
{
    struct sql_message *sql = &to->message.sql;
    char *at = to->bytes;

    to->message = *from;
    sql->topic = copy_to(&at, from->sql.topic);
    sql->payload = copy_to(&at, from->sql.payload);
    sql->content_type = copy_to(&at, from->sql.content_type);
    sql->response_topic = copy_to(&at, from->sql.response_topic);
    sql->correlation_data = copy_to(&at, from->sql.correlation_data);
    for (size_t i = 0; i < from->sql.user_property_count; i++)
        to->properties[i] = (struct sql_user_property){copy_to(&at, from->sql.user_properties[i].key),
                                                       copy_to(&at, from->sql.user_properties[i].value)};
    sql->user_properties = to->properties;
}

void park_add(struct lane *lane, const struct message *message)
{
    struct parked *parked = malloc(sizeof *parked + size_of(&message->sql));

    if (!parked)
        lane_out_of_memory();
    copy(parked, message);
    parked->next = NULL;
    parked->deadline_ms = lane->now_ms + lane_hold_ms(lane);
    parked->held = message->qos > 0;
    if (parked->held)
        parked->epoch = hold_take(&lane->hold);
    if (!lane->park.first)
        lane->park.end = &lane->park.first;
    *lane->park.end = parked;
    lane->park.end = &parked->next;
}

/* Out of the list, which it is in behind `link`. */
static void let_go(struct lane *lane, struct parked **link)
{
    struct parked *parked = *link;

    *link = parked->next;
    if (!parked->next)
        lane->park.end = link;
    if (parked->held)
        hold_release(&lane->hold, parked->epoch);
    free(parked);
}

bool park_is_empty(const struct lane *lane)
{
    return !lane->park.first;
}

bool park_is_moving(const struct lane *lane)
{
    return lane->park.first && !(lane->park.offline && lane->park.first->message.qos > 0);
}

int64_t park_work(struct lane *lane)
{
    while (park_is_moving(lane)) {
        struct parked *first = lane->park.first;
        const bool is_late = lane->now_ms >= first->deadline_ms;

        /* After a reload there may be no rule left that asks. */
        if (!is_late && lane->computed &&
            (computed_is_busy(lane->computed) || evaluate_wants(lane, &first->message)))
            return first->deadline_ms;
        evaluate_now(lane, &first->message);
        let_go(lane, &lane->park.first);
        if (lane->park.first) /* it comes to its turn now */
            lane->park.first->deadline_ms = lane->now_ms + lane_hold_ms(lane);
    }
    return INT64_MAX;
}

void park_lost(struct lane *lane)
{
    lane->park.offline = true;
    for (struct parked *parked = lane->park.first; parked; parked = parked->next) {
        if (parked->held)
            hold_release(&lane->hold, parked->epoch); /* the next connection need not wait for it */
        parked->held = false;
    }
}

/* What redelivery.h would take for safe is not: nothing was done with it. */
void park_connected(struct lane *lane)
{
    lane->park.offline = false;
    for (struct parked **link = &lane->park.first; *link;) {
        struct parked *parked = *link;

        if (parked->message.qos > 0 && !parked->held && parked->epoch >= lane->session_since &&
            parked->epoch < lane->resent_before) {
            session_given_up(lane->session, parked->epoch, parked->message.place);
            let_go(lane, link);
            continue;
        }
        if (parked->message.qos > 0 && !parked->held) { /* nobody else has it any more */
            parked->held = true;
            parked->epoch = hold_take(&lane->hold);
            parked->message.place = UINT32_MAX;
        }
        link = &parked->next;
    }
}

void park_move(struct lane *lane, struct lane *former)
{
    lane->park = former->park;
    if (lane->park.first && lane->park.end == &former->park.first)
        lane->park.end = &lane->park.first;
    former->park = (struct park){0};
}

void park_done(struct lane *lane)
{
    while (lane->park.first)
        let_go(lane, &lane->park.first);
}
