/* A lane is made from a plan, or takes over from the one before it (lane.h, lane_succeed). */
#include "lane.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

DEFINE_DROP(lane, struct lane *, lane_free)

static bool wants_properties(const struct config *config, const struct rule_set *rules)
{
    if (config->identity.client_id.user_property || config->identity.principal.user_property ||
        config->identity.source_ip.user_property)
        return true;
    for (size_t i = 0; i < rules->count; i++)
        if (rule_calls(rules->rules[i], "get_mqtt_property") ||
            rule_calls(rules->rules[i], "get_user_properties"))
            return true;
    return false;
}

static struct lane_action *add_action(struct lane *lane, struct lane_rule *rule, int place,
                                      const struct rule_action *action, size_t target)
{
    struct lane_action *added = &lane->actions[lane->action_count++];

    *added = (struct lane_action){
        .action = action, .rule = rule, .place = place, .client = &lane->clients[target]};
    while (action->type->fields[added->field_count].name)
        added->field_count++;
    return added;
}

static int make_rules(struct lane *lane, struct err *err)
{
    const struct rule_set *set = lane->options.rules;
    size_t actions = 0;

    for (size_t i = 0; i < set->count; i++)
        actions += set->rules[i]->action_count + 1;
    lane->rules = calloc(set->count + 1, sizeof *lane->rules);
    lane->actions = calloc(actions + 1, sizeof *lane->actions);
    lane->matches = calloc(set->count + 1, sizeof *lane->matches);
    if (!lane->rules || !lane->actions || !lane->matches)
        return err_memory(err);
    for (size_t i = 0; i < set->count; i++) {
        const struct rule *rule = set->rules[i];
        const size_t *targets = lane->options.target_of[i];
        struct lane_rule *made = &lane->rules[i];

        *made = (struct lane_rule){.rule = rule, .actions = &lane->actions[lane->action_count]};
        for (size_t a = 0; a < rule->action_count; a++)
            if (rule->actions[a].type) {
                (void)add_action(lane, made, (int)a, &rule->actions[a], targets[a]);
                made->action_count++;
            }
        if (rule->error_action && rule->error_action->type)
            made->error_action =
                add_action(lane, made, STORE_ERROR_ACTION, rule->error_action, targets[rule->action_count]);
        made->asks = render_computes_secrets(rule);
        made->traced = made->error_action && rule_calls(rule, "traceid");
    }
    return 0;
}

static int make_clients(struct lane *lane, struct err *err)
{
    return client_init(lane, SOURCE_CLIENTS) == 0 ? 0 : err_memory(err);
}

static int make_loop(struct lane *lane, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOURCE_WAKE};

    lane->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    lane->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lane->epoll_fd < 0 || lane->wake_fd < 0 ||
        epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, lane->wake_fd, &event) != 0)
        return err_set(err, ERR_IO, "cannot make an event loop: %s", strerror(errno));
    return 0;
}

static int make_spool(struct lane *lane, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOURCE_STORE};

    if (spool_init(lane, err) != 0)
        return -1;
    if (spool_fd(lane) >= 0 && epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, spool_fd(lane), &event) != 0)
        return err_set(err, ERR_IO, "cannot watch the store: %s", strerror(errno));
    return 0;
}

static int make_scope(struct lane *lane, struct err *err)
{
    lane->host = render_host(NULL);
    lane->scope = sql_scope_new(&lane->host, SQL_LIMITS_DEFAULT, err);
    lane->trace_id = sql_template_compile(SPAN("${traceid()}"), NULL, SQL_2016_03_23, err);
    return lane->scope && lane->trace_id ? 0 : -1;
}

static int make_computed(struct lane *lane, struct err *err)
{
    const struct lane_options *options = &lane->options;
    bool asked = false;

    for (size_t i = 0; i < options->rules->count; i++)
        asked |= lane->rules[i].asks && !lane->rules[i].rule->disabled;
    if (!asked || !options->secrets)
        return 0;
    lane->computed = computed_new(options->config, options->secrets, lane->wake_fd, err);
    return lane->computed ? 0 : -1;
}

static struct session_options session_options(struct lane *lane)
{
    const struct lane_options *options = &lane->options;

    return (struct session_options){
        .config = options->config,
        .login = options->login,
        .route = options->route,
        .rules = options->rules,
        .wants_properties = wants_properties(options->config, options->rules),
        .epoll_fd = lane->epoll_fd,
        .epoll_data = SOURCE_SESSION,
        .hold = &lane->hold,
        .counters = &lane->counters,
        .events = lane_session_events(lane),
    };
}

static int make_session(struct lane *lane, struct err *err)
{
    const struct session_options options = session_options(lane);

    lane->session = session_new(&options, err);
    return lane->session ? 0 : -1;
}

struct lane *lane_new(const struct lane_options *options, struct err *err)
{
    AUTO(lane_drop) struct lane *lane = calloc(1, sizeof *lane);

    if (!lane) {
        err_memory(err);
        return NULL;
    }
    lane->options = *options;
    lane->epoll_fd = lane->wake_fd = -1;
    lane->hold.epoch = 1;
    lane->reports_end = &lane->reports;
    atomic_init(&lane->heartbeat_ms, clock_mono_ms());
    dispatch_init(lane);
    if (batch_init(lane) != 0) {
        err_memory(err);
        return NULL;
    }
    if (make_loop(lane, err) != 0 || make_spool(lane, err) != 0 || make_clients(lane, err) != 0 ||
        make_rules(lane, err) != 0 || make_scope(lane, err) != 0 || make_computed(lane, err) != 0 ||
        (!options->is_heir && make_session(lane, err) != 0))
        return NULL;
    return TAKE(lane);
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    client_done(lane); /* what comes back from it may be given up, which the session is told */
    session_free(lane->session);
    computed_free(lane->computed);
    park_done(lane);
    spool_done(lane);
    dispatch_done(lane);
    batch_done(lane);
    sql_template_free(lane->trace_id);
    sql_scope_free(lane->scope);
    render_secrets_free(lane->secrets);
    render_secrets_free(atomic_load(&lane->fresh_secrets));
    free(lane->rules);
    free(lane->actions);
    free(lane->matches);
    if (lane->epoll_fd >= 0)
        (void)close(lane->epoll_fd);
    if (lane->wake_fd >= 0)
        (void)close(lane->wake_fd);
    free(lane);
}

/* ---- taking over ---- */

static int by_name(const void *a, const void *b)
{
    const struct lane_rule *const *one = a, *const *other = b;

    return strcmp((*one)->rule->name, (*other)->rule->name);
}

static void copy_counters(_Atomic uint64_t *to, const _Atomic uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&to[i], atomic_load_explicit(&from[i], memory_order_relaxed),
                              memory_order_relaxed);
}

/* A rule goes on counting where the one of its name has stopped. */
static void take_rule_counters(struct lane *lane, struct lane *former)
{
    const size_t count = former->options.rules->count;
    struct lane_rule **sorted = calloc(count + 1, sizeof(struct lane_rule *));

    if (!sorted)
        lane_out_of_memory();
    for (size_t i = 0; i < count; i++)
        sorted[i] = &former->rules[i];
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < lane->options.rules->count; i++) {
        struct lane_rule *rule = &lane->rules[i], *const * found;

        found = bsearch(&rule, sorted, count, sizeof *sorted, by_name);
        if (found)
            copy_counters(rule->counters.value, (*found)->counters.value, RULE_COUNTER_COUNT);
    }
    free(sorted);
}

/* What it could not bring to an end: messages with QoS 0, which nobody sends again, and those of a lane that
 * has not parted. */
static void abandon(struct lane *former)
{
    for (struct delivery *at = former->unsafe; at; at = at->newer) {
        if (!at->firing->reporting)
            settle_count_abandoned(former, at->firing, 1);
        settle_count_abandoned(former, at->firing, 0);
    }
    for (struct firing *at = former->reports; at; at = at->next)
        settle_count_abandoned(former, at, 0);
    spool_abandon(former);
}

void lane_succeed(struct lane *lane, struct lane *former)
{
    const struct session_options options = session_options(lane);
    struct err err;

    spool_settle(former);
    abandon(former);
    copy_counters(lane->counters.value, former->counters.value, COUNTER_COUNT);
    take_rule_counters(lane, former);
    spool_succeed(lane, former);
    /* Without a firing left there is nothing that the former one could still tell its session. */
    if (former->parted && session_move(former->session, &options, &err) == 0) {
        lane->session = former->session;
        former->session = NULL;
        lane->hold = former->hold; /* nothing in it but the number of the connection */
        lane->session_since = former->session_since;
        lane->resent_before = former->resent_before;
        park_move(lane, former);
        return;
    }
    session_free(former->session); /* before the next one connects */
    former->session = NULL;
    if (make_session(lane, &err) != 0)
        lane_out_of_memory();
}
