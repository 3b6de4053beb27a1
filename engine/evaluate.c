/* A message meets the rules that hear it. */
#include "lane.h"

#include "base/log.h"

/* Run the statement. A message that many rules hear may fill the scope's memory: then the next rule starts
 * with a fresh one. */
static enum sql_outcome run(struct lane *lane, const struct rule *rule, const struct sql_message *message,
                            bool *fresh, struct span *payload)
{
    enum sql_outcome outcome = sql_run(rule->program, lane->scope, payload, &lane->err);

    if (outcome == SQL_FAILED && lane->err.code == ERR_LIMIT && !*fresh) {
        sql_scope_begin(lane->scope, message);
        outcome = sql_run(rule->program, lane->scope, payload, &lane->err);
    }
    *fresh = false;
    return outcome;
}

/* A template, too, may find the memory filled by the rules before. `message` is the copy for the error action
 * where there is one, as that knows the trace id. */
static int render(struct lane *lane, const struct rule *rule, const struct rule_action *action,
                  const struct sql_message *message, struct span *payload, struct action_record *record)
{
    if (render_record(action, lane->scope, *payload, record, &lane->err) == 0)
        return 0;
    if (lane->err.code != ERR_LIMIT)
        return -1;
    sql_scope_begin(lane->scope, message);
    if (sql_run(rule->program, lane->scope, payload, &lane->err) != SQL_MATCHED)
        return -1;
    return render_record(action, lane->scope, *payload, record, &lane->err);
}

static void fail(struct lane *lane, struct firing *firing, struct lane_action *action, const char *code,
                 const struct sql_message *message)
{
    const struct lane_failure failure = {
        .action = action, .code = code, .text = lane->err.text, .message = message, .of_rule = true};

    settle_failure(lane, firing, &failure);
}

static void fire(struct lane *lane, struct firing *firing, const struct sql_message *message,
                 struct span payload)
{
    struct lane_rule *rule = firing->rule;

    count_rule(lane, rule, begun, rule->action_count);
    firing->open += (uint32_t)rule->action_count;
    for (size_t i = 0; i < rule->action_count; i++) {
        struct lane_action *action = &rule->actions[i];
        struct action_record record;

        if (render(lane, rule->rule, action->action, message, &payload, &record) == 0)
            dispatch(lane, firing, action, &record);
        else
            fail(lane, firing, action, "TEMPLATE", message);
    }
}

static void no_room(struct lane *lane, struct lane_rule *rule)
{
    uint64_t left_out;

    count_rule(lane, rule, begun, 1);
    count_rule(lane, rule, dropped, 1);
    if (limiter_allows(&rule->complaints, lane->now_ms, &left_out))
        log_error("rule", "%s: the message makes more records than fit in memory; dropped", rule->rule->name);
}

static void evaluate_rule(struct lane *lane, struct lane_rule *rule, const struct message *message,
                          bool *fresh)
{
    struct span payload;
    struct firing *firing;

    counters_one(&lane->counters, evaluated);
    switch (run(lane, rule->rule, &message->sql, fresh, &payload)) {
    case SQL_FILTERED: count_rule(lane, rule, filtered, 1); return;
    case SQL_MATCHED:
        count_rule(lane, rule, matched, 1);
        if (rule->action_count == 0)
            return;
        firing = settle_open(lane, rule, message);
        if (!firing) {
            no_room(lane, rule);
            return;
        }
        fire(lane, firing, firing->message ? firing->message : &message->sql, payload);
        settle_close(lane, firing);
        return;
    case SQL_FAILED: break;
    }
    count_rule(lane, rule, failed, 1);
    firing = settle_open(lane, rule, message);
    if (!firing) {
        no_room(lane, rule);
        return;
    }
    count_rule(lane, rule, begun, 1);
    firing->open++;
    fail(lane, firing, NULL, "SQL", &message->sql);
    settle_close(lane, firing);
}

static bool is_welcome(struct lane *lane, const struct message *message)
{
    uint64_t left_out;

    if (message->retained) {
        counters_one(&lane->counters, retained_ignored);
        return false;
    }
    counters_one(&lane->counters, received);
    counters_add(&lane->counters, COUNT_bytes, message->sql.payload.size);
    if (message->sql.payload.size <= (size_t)lane->options.config->limits.payload_bytes)
        return true;
    counters_one(&lane->counters, too_large);
    if (limiter_allows(&lane->large, lane->now_ms, &left_out))
        log_error("mqtt",
                  "a message of %zu bytes to '" SPAN_FMT "' is over limits.payload; dropped (%llu more)",
                  message->sql.payload.size, SPAN_ARG(message->sql.topic), (unsigned long long)left_out);
    return false;
}

static void say_stranger(struct lane *lane, const struct message *message)
{
    uint64_t left_out;

    if (limiter_allows(&lane->strangers, lane->now_ms, &left_out))
        log_warn("rule", "no enabled rule has the name in '" SPAN_FMT "'; ignored (%llu more)",
                 SPAN_ARG(message->sql.topic), (unsigned long long)left_out);
}

static void begin(struct lane *lane, struct message *message, struct span topic)
{
    message->sql.topic = topic;
    render_identity(lane->options.config, &message->sql);
    sql_scope_begin(lane->scope, &message->sql);
}

void evaluate_now(struct lane *lane, const struct message *in)
{
    struct route_match match =
        route_match(lane->options.route, in->sql.topic, in->ids, in->id_count, lane->matches);
    struct message message = *in;
    bool fresh = true;

    if (match.count == 0) {
        counters_one(&lane->counters, unmatched);
        if (match.no_such_rule)
            say_stranger(lane, in);
        return;
    }
    lane->kept = NULL;
    begin(lane, &message, match.topic);
    for (size_t i = 0; i < match.count; i++)
        evaluate_rule(lane, &lane->rules[lane->matches[i]], &message, &fresh);
    if (!sql_scope_payload_is_json(lane->scope))
        counters_one(&lane->counters, not_json);
    if (lane->computed)
        computed_end(lane->computed);
}

/* All that one rule may ask for. Its error action sees the same message, so it asks for the same. */
static void try_rule(struct lane *lane, const struct lane_rule *rule)
{
    struct action_record record;
    struct span payload;

    if (sql_run(rule->rule->program, lane->scope, &payload, &lane->err) == SQL_MATCHED)
        for (size_t i = 0; i < rule->action_count; i++)
            (void)render_record(rule->actions[i].action, lane->scope, payload, &record, &lane->err);
    if (rule->error_action)
        (void)render_record(rule->error_action->action, lane->scope, SPAN(""), &record, &lane->err);
}

bool evaluate_wants(struct lane *lane, const struct message *in)
{
    struct route_match match =
        route_match(lane->options.route, in->sql.topic, in->ids, in->id_count, lane->matches);
    struct message message = *in;

    computed_try(lane->computed);
    for (size_t i = 0; i < match.count; i++)
        if (lane->rules[lane->matches[i]].asks) {
            begin(lane, &message, match.topic);
            try_rule(lane, &lane->rules[lane->matches[i]]);
        }
    if (!computed_wants(lane->computed))
        return false;
    computed_fetch(lane->computed);
    computed_end(lane->computed);
    return true;
}

void evaluate(struct lane *lane, const struct message *in)
{
    lane->read_messages++;
    lane->read_bytes += in->sql.payload.size;
    if (!is_welcome(lane, in))
        return;
    if (lane->computed && (!park_is_empty(lane) || evaluate_wants(lane, in)))
        park_add(lane, in);
    else
        evaluate_now(lane, in);
}
