#include "view.h"

#include "base/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { TEXTS_MAX = 32 << 20, HUNG_MS = 30000 };

/* ---- how it stands ---- */

const char *view_problem(const struct subject *of)
{
    if (atomic_load_explicit(of->stopping, memory_order_relaxed))
        return "stopping: what was read is brought to its end, and nothing more is taken";
    if (of->opening.problem[0])
        return of->opening.problem;
    if (!of->lane)
        return "starting: waiting for secrets that rules or the MQTT login need (`topicrule secrets` says "
               "why)";
    if (!session_is_ready(of->lane->session))
        return "the MQTT broker has not confirmed every subscription: messages may not be heard";
    return NULL;
}

bool view_is_hung(const struct subject *of)
{
    const int64_t beat =
        of->lane ? atomic_load_explicit(&of->lane->heartbeat_ms, memory_order_relaxed) : INT64_MAX;

    return beat != INT64_MAX && clock_mono_ms() - beat > HUNG_MS; /* INT64_MAX: it resolves a name */
}

const char *view_state_name(enum action_state state)
{
    switch (state) {
    case ACTION_STARTING: return "starting";
    case ACTION_READY: return "ready";
    case ACTION_AWAY: return "away";
    case ACTION_DEAD: return "dead";
    }
    return "unknown";
}

/* ---- the lane ---- */

void view_rule_take(struct view_rule *rule, const struct lane *lane, size_t place)
{
    for (size_t i = 0; lane && i < RULE_COUNTER_COUNT; i++)
        rule->count[i] = atomic_load_explicit(&lane->rules[place].counters.value[i], memory_order_relaxed);
}

static int take_rules(struct view *view)
{
    const struct rule_set *set = view->of->rules;

    view->rules = calloc(set->count + 1, sizeof *view->rules);
    if (!view->rules)
        return -1;
    view->rule_count = set->count;
    for (size_t i = 0; i < set->count; i++) {
        view->rules[i].rule = set->rules[i];
        view->enabled_count += !set->rules[i]->disabled;
        view_rule_take(&view->rules[i], view->of->lane, i);
    }
    return 0;
}

static int take_clients(struct view *view)
{
    const struct lane *lane = view->of->lane;

    view->clients = calloc(lane->options.target_count + 1, sizeof *view->clients);
    if (!view->clients)
        return -1;
    view->client_count = lane->options.target_count;
    for (size_t i = 0; i < view->client_count; i++) {
        const struct target *target = lane->clients[i].target;
        struct view_client *client = &view->clients[i];

        client->type = target->type->name;
        client->rule = target->rule->name;
        if (target->action->index == SIZE_MAX)
            (void)snprintf(client->action, sizeof client->action, "errorAction");
        else
            (void)snprintf(client->action, sizeof client->action, "actions[%zu]", target->action->index);
        client->state = glance_read(&lane->clients[i].seen, client->text);
    }
    return 0;
}

static void take_counters(struct view *view)
{
    const struct lane *lane = view->of->lane;

    for (size_t i = 0; i < COUNTER_COUNT; i++)
        view->count[i] = atomic_load_explicit(&lane->counters.value[i], memory_order_relaxed);
    view->in_flight = atomic_load_explicit(&lane->gauges.in_flight, memory_order_relaxed);
    view->held = atomic_load_explicit(&lane->gauges.held, memory_order_relaxed);
}

/* ---- secrets ---- */

static struct view_backend *find_backend(struct view *view, const char *name)
{
    for (size_t i = 0; i < view->backend_count; i++)
        if (strcmp(view->backends[i].name, name) == 0)
            return &view->backends[i];
    return NULL;
}

static struct span keep(struct view *view, struct span text)
{
    const char *copy = text.data ? arena_text(&view->arena, text) : NULL;

    return (struct span){copy, copy ? text.size : 0};
}

static void add_secret(struct view *view, const struct secrets_entry *entry)
{
    if (view->secret_count == view->secret_room) {
        size_t room = view->secret_room ? view->secret_room * 2 : 32;
        struct view_secret *secrets = realloc(view->secrets, room * sizeof *secrets);

        if (!secrets)
            return; /* one line less in a table */
        view->secrets = secrets;
        view->secret_room = room;
    }
    view->secrets[view->secret_count++] = (struct view_secret){
        .backend = entry->backend,
        .id = keep(view, entry->id),
        .role_arn = keep(view, entry->role_arn),
        .version = keep(view, span_of(entry->version)).data,
        .problem = keep(view, span_of(entry->problem)).data,
        .age_ms = entry->age_ms,
        .is_stale = entry->is_stale,
        .fetches = entry->fetches,
        .served = entry->served,
    };
}

static void see_secret(void *context, const struct secrets_entry *entry)
{
    struct view *view = context;
    struct view_backend *backend = find_backend(view, entry->backend);

    add_secret(view, entry);
    if (!backend)
        return;
    backend->is_away |= entry->is_away;
    if (entry->is_away && entry->problem[0] && !backend->problem)
        backend->problem = keep(view, span_of(entry->problem)).data;
    backend->fetches += entry->fetches;
    backend->stale += entry->is_stale;
    backend->missing += entry->age_ms < 0;
    backend->kept += entry->age_ms >= 0;
    if (entry->age_ms > backend->oldest_ms)
        backend->oldest_ms = entry->age_ms;
}

static int by_name(const void *a, const void *b)
{
    const struct view_secret *one = a, *other = b;
    int order = strcmp(one->backend, other->backend);

    if (order == 0)
        order = strcmp(one->id.data ? one->id.data : "", other->id.data ? other->id.data : "");
    return order ? order
                 : strcmp(one->role_arn.data ? one->role_arn.data : "",
                          other->role_arn.data ? other->role_arn.data : "");
}

static int take_secrets(struct view *view)
{
    struct secrets *secrets = view->of->secrets;
    const char *name, *type;

    if (!secrets)
        return 0;
    while (secrets_backend_at(secrets, view->backend_count, &name, &type))
        view->backend_count++;
    view->backends = calloc(view->backend_count + 1, sizeof *view->backends);
    if (!view->backends)
        return -1;
    for (size_t i = 0; i < view->backend_count; i++)
        (void)secrets_backend_at(secrets, i, &view->backends[i].name, &view->backends[i].type);
    secrets_each(secrets, see_secret, view);
    if (view->secret_count > 1)
        qsort(view->secrets, view->secret_count, sizeof *view->secrets, by_name);
    return 0;
}

/* ---- the process ---- */

static uint64_t count_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (!folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count - 1; /* the folder itself */
}

static void take_process(struct view *view)
{
    struct view_process *process = &view->process;
    FILE *status = fopen("/proc/self/status", "re");
    struct rusage usage;
    char line[128];

    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            process->rss_bytes = strtoull(line + 6, NULL, 10) * 1024;
        else if (strncmp(line, "Threads:", 8) == 0)
            process->threads = strtoull(line + 8, NULL, 10);
    }
    if (status)
        (void)fclose(status);
    process->fds = count_files();
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        process->cpu_ms = (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                          (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    process->uptime_ms = clock_wall_ms() - view->of->started_ms;
}

/* ---- all of it ---- */

int view_take(struct view *view, const struct subject *of)
{
    *view = (struct view){.of = of};
    arena_init(&view->arena, TEXTS_MAX);
    view->problem = view_problem(of);
    take_process(view);
    if (of->lane) {
        view->subscribed = session_is_ready(of->lane->session);
        session_look(of->lane->session, view->mqtt);
        take_counters(view);
    } else {
        (void)snprintf(view->mqtt, sizeof view->mqtt, "not connected yet: what rules need comes first");
    }
    if (of->lane && take_clients(view) != 0)
        return -1;
    return take_rules(view) == 0 && take_secrets(view) == 0 && view_take_store(view) == 0 ? 0 : -1;
}

void view_done(struct view *view)
{
    free(view->rules);
    free(view->clients);
    free(view->backends);
    free(view->secrets);
    free(view->queues);
    arena_done(&view->arena);
}
