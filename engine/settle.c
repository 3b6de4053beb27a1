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

/* As AWS does: logged, and that is all. */
static bool is_dropped(const struct lane *lane, const struct lane_failure *failure)
{
    return failure->of_rule && lane->options.config->delivery.drop_rule_errors;
}

/* Does it become a dead letter? */
static bool is_kept(const struct lane *lane, const struct lane_failure *failure)
{
    return lane->options.store && !lane->options.config->delivery.drop_failures && !is_dropped(lane, failure);
}

static void finish(struct lane *lane, struct firing *firing)
{
    if (firing->row)
        spool_drop(lane, firing->row);
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

/* What has nothing to do with each other must not keep each other out of the log. */
static struct limiter *limiter_of(struct lane_rule *rule, const struct lane_failure *failure)
{
    if (!failure->action)
        return &rule->complaints;
    return failure->of_rule ? &failure->action->misfits : &failure->action->complaints;
}

static void complain(struct lane *lane, struct lane_rule *rule, const char *what,
                     const struct lane_failure *failure)
{
    const struct span stream = failure->stream;
    const char *code = failure->code ? failure->code : "";
    uint64_t left_out;
    char more[64] = "";

    if (!limiter_allows(limiter_of(rule, failure), lane->now_ms, &left_out))
        return;
    if (left_out > 0)
        (void)snprintf(more, sizeof more, " (and %llu more since the last line)",
                       (unsigned long long)left_out);
    log_error("rule", "%s: %s%s" SPAN_FMT "%s failed for good%s%s%s: %s; %s%s", rule->rule->name, what,
              stream.size ? " to '" : "", SPAN_ARG(stream), stream.size ? "'" : "", code[0] ? " (" : "", code,
              code[0] ? ")" : "", failure->text, is_kept(lane, failure) ? "kept as a dead letter" : "dropped",
              more);
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
    } else { /* it was to be sent again, but the broker has forgotten it */
        count_rule(lane, firing->rule, dropped, firing->failed);
        finish(lane, firing);
    }
}

/* The error action itself failed. */
static void lose_report(struct lane *lane, struct firing *firing, const struct lane_failure *failure)
{
    complain(lane, firing->rule, "its error action", failure);
    if (is_kept(lane, failure)) {
        spool_miss(lane, firing, failure, firing->failed);
        return;
    }
    count_rule(lane, firing->rule, dropped, firing->failed);
    settle_close(lane, firing);
}

/* For the report, where an action's code stands in front of its sentence. One that does not fit in memory is
 * left out of it. */
static void note_failure(struct lane *lane, struct firing *firing, const struct lane_failure *of)
{
    struct failure *failure = batch_alloc(lane, firing->batch, sizeof *failure);
    const bool has_code = !of->of_rule && of->code && of->code[0];
    char text[sizeof lane->err.text + 64];

    if (!failure)
        return;
    (void)snprintf(text, sizeof text, "%s%s%s", has_code ? of->code : "", has_code ? ": " : "", of->text);
    *failure =
        (struct failure){of->action ? of->action->action : NULL, copy_in(lane, firing->batch, of->stream),
                         copy_in(lane, firing->batch, span_of(text)), NULL};
    *firing->failures_end = failure;
    firing->failures_end = &failure->next;
}

void settle_failure(struct lane *lane, struct firing *firing, const struct lane_failure *failure)
{
    if (firing->reporting) {
        lose_report(lane, firing, failure);
        return;
    }
    if (firing->message && !is_dropped(lane, failure)) {
        firing->failed++;
        note_failure(lane, firing, failure);
    } else if (settle_is_resent(lane, firing)) { /* it fails again, and is told then */
        firing->failed++;
    } else {
        complain(lane, firing->rule, failure->action ? failure->action->action->type_name : "the statement",
                 failure);
        if (is_kept(lane, failure)) {
            spool_miss(lane, firing, failure, 1);
            return;
        }
        count_rule(lane, firing->rule, dropped, 1);
    }
    settle_close(lane, firing);
}

void settle_stored(struct lane *lane, struct firing *firing)
{
    if (firing->reporting) { /* the failures are told; the report is one more thing to deliver */
        count_rule(lane, firing->rule, error_action, firing->failed);
        count_rule(lane, firing->rule, begun, 1);
    }
    count_rule(lane, firing->rule, stored, 1);
    settle_close(lane, firing);
}

void settle_kept(struct lane *lane, struct firing *firing, uint32_t actions)
{
    count_rule(lane, firing->rule, dead, actions);
    settle_close(lane, firing);
}

bool settle_row_failure(struct lane *lane, const struct sql_message *message,
                        const struct lane_failure *failure, int64_t row)
{
    struct batch *batch = lane->batch;
    struct firing *firing = batch_alloc(lane, batch, sizeof *firing);
    const struct message borrowed = {.sql = *message};

    if (!firing)
        return false;
    *firing = (struct firing){.rule = failure->action->rule, .batch = batch, .row = row, .open = 1};
    firing->failures_end = &firing->failures;
    lane->kept = NULL;
    firing->message = keep(lane, &borrowed);
    lane->kept = NULL;
    if (!firing->message)
        return false;
    batch->open++;
    firing->failed = 1;
    note_failure(lane, firing, failure);
    settle_close(lane, firing);
    return true;
}

void settle_abandoned(struct lane *lane, struct firing *firing)
{
    give_up(lane, firing, firing->reporting ? firing->failed : 1);
    settle_close(lane, firing);
}

void settle_count_abandoned(struct lane *lane, struct firing *firing, uint32_t actions)
{
    if (firing->row == 0)
        count_rule(lane, firing->rule, abandoned, actions ? actions : firing->failed);
    if (actions == 0)
        firing->failed = 0;
}

static void count_delivered(struct lane *lane, const struct delivery *delivery)
{
    const struct firing *firing = delivery->firing;

    if (firing && firing->reporting)
        count_rule(lane, firing->rule, error_action, firing->failed);
    else
        count_rule(lane, delivery->action->rule, delivered, 1);
}

static void take_delivered(struct lane *lane, struct delivery *delivery)
{
    struct firing *firing = delivery->firing;

    dispatch_delivered(lane, delivery);
    count_delivered(lane, delivery);
    if (!firing) {
        spool_drop(lane, delivery->row);
        delivery_free(lane, delivery);
        return;
    }
    dispatch_is_safe(lane, delivery);
    dispatch_over(lane, delivery);
    settle_close(lane, firing);
}

static void take_failed(struct lane *lane, struct delivery *delivery, const struct action_result *result)
{
    struct firing *firing = delivery->firing;
    const struct lane_failure failure = {.action = delivery->action,
                                         .stream = delivery->stream->name,
                                         .code = result->code,
                                         .text = result->text ? result->text : "",
                                         .record = &delivery->record};

    dispatch_failed(lane, delivery);
    if (!firing) {
        spool_row_failed(lane, delivery->action, delivery->stream, delivery->row, failure.code, failure.text);
        delivery_free(lane, delivery);
        return;
    }
    dispatch_is_safe(lane, delivery);
    settle_failure(lane, firing, &failure);
    dispatch_over(lane, delivery);
}

void settle_result(void *context, const struct action_result *result)
{
    struct client *client = context;
    struct delivery *delivery = result->tag;

    assert(delivery->state == DELIVERY_SENT);
    switch (result->outcome) {
    case ACTION_DELIVERED: take_delivered(client->lane, delivery); return;
    case ACTION_WAIT: dispatch_again(client->lane, delivery, false, result->text); return;
    case ACTION_REFUSED: dispatch_again(client->lane, delivery, true, result->text); return;
    case ACTION_FAILED: take_failed(client->lane, delivery, result); return;
    }
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
    if (payload.data && render_record(action->action, lane->scope, payload, &record, err) == 0) {
        dispatch(lane, firing, action, &record);
        return;
    }
    const struct lane_failure failure = {
        .action = action,
        .code = payload.data ? "TEMPLATE" : "LIMIT",
        .text = payload.data ? err->text : "its report takes more memory than one message may",
        .message = firing->message};
    lose_report(lane, firing, &failure);
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
            if (lane->computed)
                computed_end(lane->computed);
        }
    }
}
