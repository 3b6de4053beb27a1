/* What became of it: every action ends here, once, and with the last one of a message its acknowledgement is
 * free.
 *
 * Failures go forward too. A rule with an error action is reported when the last of its actions has its
 * answer: one record with all failures of that rule and message. Reports are made between messages, because
 * they evaluate. */
#include "lane.h"

#include "failure.h"

#include "base/log.h"

static struct span copy_in(struct lane *lane, struct batch *batch, struct span text)
{
    char *copy = text.size > 0 ? batch_alloc(lane, batch, text.size) : NULL;

    if (!copy)
        return (struct span){text.data && text.size == 0 ? "" : NULL, 0};
    memcpy(copy, text.data, text.size);
    return (struct span){copy, text.size};
}

/* The message for an error action, once for all its rules. NULL when it does not fit. */
static struct sql_message *keep(struct lane *lane, const struct message *message)
{
    const struct sql_message *from = &message->sql;
    struct batch *batch = lane->batch;

    if (lane->kept)
        return lane->kept;
    struct sql_message *to = batch_alloc(lane, batch, sizeof *to);
    if (!to)
        return NULL;
    *to = *from;
    to->topic = copy_in(lane, batch, from->topic);
    to->payload = copy_in(lane, batch, from->payload);
    to->client_id = copy_in(lane, batch, from->client_id);
    to->principal = copy_in(lane, batch, from->principal);
    to->source_ip = copy_in(lane, batch, from->source_ip);
    to->content_type = copy_in(lane, batch, from->content_type);
    to->response_topic = copy_in(lane, batch, from->response_topic);
    to->correlation_data = copy_in(lane, batch, from->correlation_data);
    struct sql_user_property *properties =
        from->user_property_count ? batch_alloc(lane, batch, from->user_property_count * sizeof *properties)
                                  : NULL;
    to->user_properties = properties;
    to->user_property_count = properties ? from->user_property_count : 0;
    for (size_t i = 0; i < to->user_property_count; i++)
        properties[i] = (struct sql_user_property){copy_in(lane, batch, from->user_properties[i].key),
                                                   copy_in(lane, batch, from->user_properties[i].value)};
    return lane->kept = to;
}

struct firing *settle_open(struct lane *lane, struct lane_rule *rule, const struct message *message)
{
    struct batch *batch = lane->batch;
    struct firing *firing = batch_alloc(lane, batch, sizeof *firing);

    if (!firing)
        return NULL;
    *firing = (struct firing){.rule = rule, .batch = batch, .open = 1};
    firing->failures_end = &firing->failures;
    if (rule->error_action) {
        struct sql_message *kept = keep(lane, message);
        struct sql_text text;

        /* What the rule calls traceid() must be the same in its error action. */
        if (kept && rule->traced && !kept->trace_id.data &&
            sql_template_expand(lane->trace_id, lane->scope, &text, &lane->err) == 0)
            kept->trace_id = copy_in(lane, batch, text.text);
        firing->message = kept;
    }
    batch->open++;
    if (message->qos > 0) {
        firing->acknowledged = true;
        firing->epoch = hold_take(&lane->hold);
        firing->place = message->place;
    }
    return firing;
}

static void finish(struct lane *lane, struct firing *firing)
{
    if (firing->acknowledged)
        hold_release(&lane->hold, firing->epoch);
    batch_release(lane, firing->batch); /* the firing's own memory: nothing after this */
}

/* Some of it is given up, because the broker sends the message again: which then must be evaluated. */
static void give_up(struct lane *lane, const struct firing *firing, uint32_t actions)
{
    count_rule(lane, firing->rule, abandoned, actions);
    session_given_up(lane->session, firing->epoch, firing->place);
}

bool settle_is_resent(const struct lane *lane, const struct firing *firing)
{
    return firing->acknowledged && firing->epoch >= lane->session_since &&
           firing->epoch < lane->resent_before;
}

static void complain(struct lane *lane, struct lane_rule *rule, const char *what, struct span resource,
                     const char *text)
{
    uint64_t left_out;
    char more[64] = "";

    if (!limiter_allows(&rule->complaints, lane->now_ms, &left_out))
        return;
    if (left_out > 0)
        (void)snprintf(more, sizeof more, " (and %llu more since the last line)",
                       (unsigned long long)left_out);
    log_error("rule", "%s: %s%s" SPAN_FMT "%s failed for good: %s; dropped%s", rule->rule->name, what,
              resource.size ? " to '" : "", SPAN_ARG(resource), resource.size ? "'" : "", text, more);
}

void settle_close(struct lane *lane, struct firing *firing)
{
    if (--firing->open > 0)
        return;
    if (firing->failed == 0 || firing->reporting) {
        finish(lane, firing);
    } else if (settle_is_resent(lane, firing)) {
        give_up(lane, firing, firing->failed);
        finish(lane, firing);
    } else if (firing->message) {
        firing->reporting = true;
        *lane->reports_end = firing;
        lane->reports_end = &firing->next;
    } else {
        count_rule(lane, firing->rule, dropped, firing->failed);
        finish(lane, firing);
    }
}

/* The error action itself failed. */
static void drop_report(struct lane *lane, struct firing *firing, struct span resource, const char *text)
{
    complain(lane, firing->rule, "its error action", resource, text);
    count_rule(lane, firing->rule, dropped, firing->failed);
    settle_close(lane, firing);
}

/* For the report. One that does not fit in memory is left out of it. */
static void note_failure(struct lane *lane, struct firing *firing, const struct rule_action *action,
                         struct span resource, const char *text)
{
    struct failure *failure = batch_alloc(lane, firing->batch, sizeof *failure);

    if (!failure)
        return;
    *failure = (struct failure){action, copy_in(lane, firing->batch, resource),
                                copy_in(lane, firing->batch, span_of(text)), NULL};
    *firing->failures_end = failure;
    firing->failures_end = &failure->next;
}

void settle_failure(struct lane *lane, struct firing *firing, const struct rule_action *action,
                    struct span resource, const char *text)
{
    if (firing->reporting) {
        drop_report(lane, firing, resource, text);
        return;
    }
    firing->failed++;
    if (firing->message)
        note_failure(lane, firing, action, resource, text);
    else if (!settle_is_resent(lane, firing)) /* else it fails again, and is told then */
        complain(lane, firing->rule, action ? action->type_name : "the statement", resource, text);
    settle_close(lane, firing);
}

void settle_abandoned(struct lane *lane, struct firing *firing)
{
    give_up(lane, firing, firing->reporting ? firing->failed : 1);
    settle_close(lane, firing);
}

void settle_result(void *context, const struct action_result *result)
{
    struct client *client = context;
    struct lane *lane = client->lane;
    struct delivery *delivery = result->tag;
    struct firing *firing = delivery->firing;

    assert(delivery->state == DELIVERY_SENT);
    switch (result->outcome) {
    case ACTION_DELIVERED:
        dispatch_delivered(lane, delivery);
        delivery_free(lane, delivery);
        if (firing->reporting)
            count_rule(lane, firing->rule, error_action, firing->failed);
        else
            count_rule(lane, firing->rule, delivered, 1);
        settle_close(lane, firing);
        return;
    case ACTION_WAIT: dispatch_again(lane, delivery, false, result->text); return;
    case ACTION_REFUSED: dispatch_again(lane, delivery, true, result->text); return;
    case ACTION_FAILED: break;
    }
    const struct rule_action *action = delivery->action->action;
    const struct span resource = delivery->stream->name;
    char text[sizeof lane->err.text];
    (void)snprintf(text, sizeof text, "%s%s%s", result->code ? result->code : "", result->code ? ": " : "",
                   result->text ? result->text : "");
    dispatch_failed(lane, delivery);
    delivery_free(lane, delivery);
    settle_failure(lane, firing, action, resource, text);
}

/* ---- error actions ---- */

static void report(struct lane *lane, struct firing *firing)
{
    struct lane_action *action = firing->rule->error_action;
    const struct rule *rule = firing->rule->rule;
    struct action_record record;
    struct span ignored;
    struct sql_text trace = {0};
    struct err *err = &lane->err;

    firing->open = 1;
    sql_scope_begin(lane->scope, firing->message);
    (void)sql_run(rule->program, lane->scope, &ignored, err); /* for the templates that see its variables */
    (void)sql_template_expand(lane->trace_id, lane->scope, &trace, err);
    struct span payload =
        failure_text(sql_scope_arena(lane->scope), rule, firing->message, trace.text, firing->failures);
    if (!payload.data)
        drop_report(lane, firing, (struct span){0}, "its report takes more memory than one message may");
    else if (render_record(action->action, lane->scope, payload, &record, err) != 0)
        drop_report(lane, firing, (struct span){0}, err->text);
    else
        dispatch(lane, firing, action, &record);
    if (lane->computed)
        computed_end(lane->computed);
}

static struct firing *next_report(struct lane *lane)
{
    struct firing *firing = lane->reports;

    if (!firing)
        return NULL;
    lane->reports = firing->next;
    if (!lane->reports)
        lane->reports_end = &lane->reports;
    return firing;
}

void settle_reports(struct lane *lane)
{
    struct firing *firing;

    while ((firing = next_report(lane))) {
        if (settle_is_resent(lane, firing)) {
            give_up(lane, firing, firing->failed);
            finish(lane, firing);
        } else {
            report(lane, firing);
        }
    }
}
