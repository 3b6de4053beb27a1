/* Topic filters and the store: identifiers that are kept, and subscriptions that nobody needs any more. */
#include "plan.h"

#include "base/auto.h"
#include "base/log.h"

struct gone {
    struct route *route;
    struct err *err;
    int result;
};

static void seen(void *context, const char *filter, uint32_t id)
{
    struct gone *gone = context;

    if (gone->result == 0)
        gone->result = route_add_gone(gone->route, filter, id, gone->err);
}

static void seen_before(void *context, const char *filter, uint32_t id)
{
    (void)id;
    route_mark_old(context, filter);
}

int plan_identify(struct plan *plan, struct store *store, struct err *err)
{
    const size_t count = route_count(plan->route);
    AUTO(free_drop) const char **filters = calloc(count + 1, sizeof *filters);
    AUTO(free_drop) uint32_t *ids = calloc(count + 1, sizeof *ids);
    struct gone gone = {.route = plan->route, .err = err};

    if (!filters || !ids)
        return err_memory(err);
    for (size_t i = 0; i < count; i++)
        filters[i] = route_entry(plan->route, i)->filter;
    if (store_each_filter(store, seen_before, plan->route, err) != 0 ||
        store_filter_ids(store, filters, count, ids, err) != 0 ||
        route_identify(plan->route, ids, err) != 0 || store_each_filter(store, seen, &gone, err) != 0)
        return -1;
    return gone.result == 0 ? route_part_from_gone(plan->route, err) : -1;
}

/* In the order of the route: the broker answers in the order it was asked. Together, because each transaction
 * waits for the disk, and all rules may have changed. */
void plan_forget(struct plan *plan, struct store *store, const struct lane *lane)
{
    const size_t first = plan->forgotten, answered = session_unsubscribed(lane->session);
    AUTO(free_drop) const char **filters = NULL;
    struct err err;

    if (answered <= first || !(filters = calloc(answered - first, sizeof *filters)))
        return;
    for (size_t i = first; i < answered; i++)
        filters[i - first] = route_gone(plan->route, i);
    if (store_forget_filters(store, filters, answered - first, &err) == 0)
        plan->forgotten = answered; /* else the store says so itself, and this is tried again */
}
