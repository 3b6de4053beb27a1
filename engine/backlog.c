#include "backlog.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    LOOK_MS = 1000,
    GRACE_MS = 2000, /* what a short hiccup leaves is gone before anybody could read of it */
    PROGRESS_MS = 30000,
};

/* ---- what is there ---- */

static struct backlog_rule *find(struct backlog *backlog, struct span rule)
{
    for (size_t i = 0; i < backlog->count; i++)
        if (span_is(rule, backlog->rules[i].rule))
            return &backlog->rules[i];
    if (backlog->count == BACKLOG_RULES || rule.size >= BACKLOG_NAME)
        return NULL;
    struct backlog_rule *added = &backlog->rules[backlog->count++];
    *added = (struct backlog_rule){.since_ms = -1};
    (void)snprintf(added->rule, sizeof added->rule, SPAN_FMT, SPAN_ARG(rule));
    return added;
}

void backlog_see(void *context, const struct store_queue *queue)
{
    struct backlog_rule *rule = find(context, queue->name.rule);

    if (!rule)
        return;
    rule->rows += queue->rows;
    rule->queues++;
    if (queue->rows > rule->fullest) {
        rule->fullest = queue->rows;
        (void)snprintf(
            rule->stream, sizeof rule->stream, "%.*s",
            (int)(queue->name.stream.size < BACKLOG_STREAM ? queue->name.stream.size : BACKLOG_STREAM - 1),
            queue->name.stream.data ? queue->name.stream.data : "");
    }
}

/* ---- what is said ---- */

static const char *records(uint64_t count)
{
    return count == 1 ? "record" : "records";
}

static void begins(const struct backlog_rule *rule, char *out, size_t room)
{
    char more[48] = "";

    if (rule->queues > 1)
        (void)snprintf(more, sizeof more, " and %" PRIu64 " more", rule->queues - 1);
    (void)snprintf(out, room,
                   "rule %s: %" PRIu64 " %s for '%s'%s on the disk, to be delivered first and in order; "
                   "`topicrule doctor` finds out why they wait",
                   rule->rule, rule->rows, records(rule->rows), rule->stream, more);
}

static void goes_on(const struct backlog_rule *rule, int64_t now_ms, char *out, size_t room)
{
    (void)snprintf(out, room, "rule %s: %" PRIu64 " %s still on the disk, %" PRIu64 " fewer than %lld s ago",
                   rule->rule, rule->rows, records(rule->rows), rule->told_rows - rule->rows,
                   (long long)(now_ms - rule->told_ms) / 1000);
}

static void is_over(const struct backlog_rule *rule, int64_t now_ms, char *out, size_t room)
{
    const long long lasted_s = (long long)(now_ms - rule->since_ms) / 1000;

    (void)snprintf(out, room,
                   "rule %s: nothing waits on the disk any more; up to %" PRIu64 " %s did, for %lldm %llds",
                   rule->rule, rule->most, records(rule->most), lasted_s / 60, lasted_s % 60);
}

/* False: nothing is to be said of it. */
static bool look_at(struct backlog_rule *rule, int64_t now_ms, char *out, size_t room)
{
    if (rule->since_ms < 0)
        rule->since_ms = now_ms;
    if (rule->rows > rule->most)
        rule->most = rule->rows;
    if (rule->rows == 0) {
        is_over(rule, now_ms, out, room);
        return rule->told;
    }
    if (!rule->told && now_ms - rule->since_ms < GRACE_MS)
        return false;
    if (rule->told && now_ms - rule->told_ms < PROGRESS_MS)
        return false;
    const bool is_less = rule->told && rule->rows < rule->told_rows;
    const bool says = !rule->told || is_less;
    if (is_less)
        goes_on(rule, now_ms, out, room);
    else if (!rule->told)
        begins(rule, out, room);
    rule->told = true;
    rule->told_ms = now_ms;
    rule->told_rows = rule->rows;
    return says;
}

void backlog_tell(struct backlog *backlog, int64_t now_ms, void (*say)(const char *line))
{
    char line[512];
    size_t kept = 0;

    for (size_t i = 0; i < backlog->count; i++) {
        struct backlog_rule *rule = &backlog->rules[i];

        if (look_at(rule, now_ms, line, sizeof line))
            say(line);
        if (rule->rows > 0)
            backlog->rules[kept++] = *rule;
    }
    backlog->count = kept;
}

static void write_line(const char *line)
{
    log_info("store", "%s", line);
}

void backlog_turn(struct backlog *backlog, struct store *store, int64_t now_ms)
{
    if (!store || now_ms < backlog->due_ms)
        return;
    backlog->due_ms = now_ms + LOOK_MS;
    for (size_t i = 0; i < backlog->count; i++)
        backlog->rules[i].rows = backlog->rules[i].queues = backlog->rules[i].fullest = 0;
    store_each_queue(store, backlog_see, backlog);
    backlog_tell(backlog, now_ms, write_line);
}
