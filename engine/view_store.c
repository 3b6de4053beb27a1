/* What waits on disk, and whether the rule it waits for is still there. */
#include "view.h"

#include "base/clock.h"

#include <stdlib.h>

enum { QUEUES_MOST = 20000 }; /* a topic of Kafka each, at least: docs/operations.md says how to see more */

static int by_rule_name(const void *key, const void *item)
{
    const struct rule *const *rule = item;

    return strcmp(key, (*rule)->name);
}

/* Rules stand by name. */
static bool is_gone(const struct view *view, const struct view_queue *queue)
{
    const struct rule_set *set = view->of->rules;
    struct rule *const *found =
        set->count ? bsearch(queue->rule, set->rules, set->count, sizeof *set->rules, by_rule_name) : NULL;
    const struct rule_action *action;

    if (!found || (*found)->disabled)
        return true;
    if (queue->action == STORE_ERROR_ACTION)
        action = (*found)->error_action;
    else
        action = (size_t)queue->action < (*found)->action_count ? &(*found)->actions[queue->action] : NULL;
    return !action || !action->type || strcmp(action->type->name, queue->type) != 0;
}

static const char *keep(struct view *view, struct span text)
{
    const char *copy = arena_text(&view->arena, text);

    return copy ? copy : "";
}

/* Under the store's lock: copied, and looked at later. */
static void see_queue(void *context, const struct store_queue *queue)
{
    struct view *view = context;

    if (view->queue_count == view->queue_room && view->queue_room < QUEUES_MOST) {
        size_t room = view->queue_room ? view->queue_room * 2 : 64;
        struct view_queue *queues = realloc(view->queues, room * sizeof *queues);

        if (queues) {
            view->queues = queues;
            view->queue_room = room;
        }
    }
    if (view->queue_count == view->queue_room) {
        view->queues_left_out++;
        return;
    }
    view->queues[view->queue_count++] = (struct view_queue){
        .rule = keep(view, queue->name.rule),
        .type = keep(view, queue->name.type),
        .stream = keep(view, queue->name.stream),
        .action = queue->name.action,
        .rows = queue->rows,
        .bytes = queue->bytes,
        .oldest_ms = queue->oldest_ms,
    };
}

static int by_rows(const void *a, const void *b)
{
    const struct view_queue *one = a, *other = b;

    if (one->rows != other->rows)
        return one->rows < other->rows ? 1 : -1;
    int order = strcmp(one->rule, other->rule);
    return order ? order : strcmp(one->stream, other->stream);
}

int view_take_store(struct view *view)
{
    const int64_t now_ms = clock_wall_ms();

    if (!view->of->store)
        return 0;
    view->has_store = true;
    store_figures(view->of->store, &view->store);
    store_each_queue(view->of->store, see_queue, view);
    for (size_t i = 0; i < view->queue_count; i++) {
        struct view_queue *queue = &view->queues[i];
        const int64_t age_ms = now_ms - queue->oldest_ms;

        queue->oldest_ms = age_ms > 0 ? age_ms : 0;
        queue->is_gone = is_gone(view, queue);
        view->gone_rows += queue->is_gone ? queue->rows : 0;
        view->gone_bytes += queue->is_gone ? queue->bytes : 0;
        if (queue->oldest_ms > view->oldest_ms)
            view->oldest_ms = queue->oldest_ms;
    }
    if (view->queue_count > 1)
        qsort(view->queues, view->queue_count, sizeof *view->queues, by_rows);
    return 0;
}

const char *view_store_state(const struct view *view)
{
    switch (view->store.state) {
    case STORE_DONE: return "fine";
    case STORE_FULL: return "full";
    case STORE_FAILED: return "failed";
    }
    return "unknown";
}
