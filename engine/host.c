/* The world as the engine lends it to SQL: the clock, randomness, and secrets that are already here. */
#include "engine/render.h"

#include "computed.h"
#include "known.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/random.h>

struct render_secrets {
    struct secrets *secrets;
    bool on_demand;
    struct known_list list;
    struct computed *computed; /* NULL: messages compute none */
};

static int fetch(struct render_secrets *known, struct known *item, struct err *err)
{
    struct wiped *value = secrets_get(known->secrets, &item->query, err);

    return value ? known_set(item, value, err) : -1;
}

struct render_secrets *render_secrets_new(struct secrets *secrets, bool on_demand, struct err *err)
{
    struct render_secrets *known = calloc(1, sizeof *known);

    if (!known) {
        err_memory(err);
        return NULL;
    }
    known->secrets = secrets;
    known->on_demand = on_demand;
    return known;
}

void render_secrets_free(struct render_secrets *known)
{
    if (!known)
        return;
    known_done(&known->list);
    free(known);
}

struct learning {
    struct render_secrets *known;
    struct err *err;
    int result;
};

static void learn(void *context, const struct sql_secret_query *query)
{
    struct learning *learning = context;
    struct err err = {0};
    struct known *item = known_find(&learning->known->list, query);

    if (!item)
        item = known_add(&learning->known->list, query, &err);
    if (item && (item->value || fetch(learning->known, item, &err) == 0))
        return;
    if (learning->result == 0)
        *learning->err = err;
    learning->result = -1;
}

static void learn_action(struct learning *learning, const struct rule_action *action)
{
    if (!action->type)
        return;
    for (size_t i = 0; action->type->fields[i].name; i++)
        if (action->fields[i])
            sql_template_secrets(action->fields[i], learn, learning);
    for (size_t i = 0; i < action->pair_count; i++) {
        sql_template_secrets(action->pairs[i].key, learn, learning);
        sql_template_secrets(action->pairs[i].value, learn, learning);
    }
}

int render_secrets_learn(struct render_secrets *known, const struct rule *rule, struct err *err)
{
    struct learning learning = {.known = known, .err = err};

    sql_program_secrets(rule->program, learn, &learning);
    for (size_t i = 0; i < rule->action_count; i++)
        learn_action(&learning, &rule->actions[i]);
    if (rule->error_action)
        learn_action(&learning, rule->error_action);
    return learning.result;
}

static bool action_computes(const struct rule_action *action)
{
    if (!action->type)
        return false;
    for (size_t i = 0; action->type->fields[i].name; i++)
        if (action->fields[i] && sql_template_computes_secrets(action->fields[i]))
            return true;
    for (size_t i = 0; i < action->pair_count; i++)
        if (sql_template_computes_secrets(action->pairs[i].key) ||
            sql_template_computes_secrets(action->pairs[i].value))
            return true;
    return false;
}

bool render_computes_secrets(const struct rule *rule)
{
    if (sql_program_computes_secrets(rule->program) ||
        (rule->error_action && action_computes(rule->error_action)))
        return true;
    for (size_t i = 0; i < rule->action_count; i++)
        if (action_computes(&rule->actions[i]))
            return true;
    return false;
}

static int64_t host_now(void *context)
{
    (void)context;
    return clock_wall_ms();
}

static void host_random(void *context, void *bytes, size_t size)
{
    char *at = bytes;

    (void)context;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);

        if (got < 0)
            continue; /* EINTR alone: the pool of a running system is ready, and the call exists since 3.17 */
        at += got;
        size -= (size_t)got;
    }
}

static int host_secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    struct render_secrets *known = context;

    /* Also where the same secret is named elsewhere: naming it does not let a message have it. */
    if (query->computed && !known->on_demand) {
        if (known->computed)
            return computed_get(known->computed, query, out, err);
        return err_set(err, ERR_SECRET,
                       "secret '" SPAN_FMT
                       "' is named by the message, and only ids that stand in the rule are fetched",
                       SPAN_ARG(query->id));
    }
    struct known *item = known_find(&known->list, query);
    if (known->on_demand) {
        if (!item && !(item = known_add(&known->list, query, err)))
            return -1;
        if (!item->value && fetch(known, item, err) != 0)
            return -1;
    }
    if (!item || !item->value)
        return err_set(err, ERR_SECRET, "secret '" SPAN_FMT "' could not be fetched", SPAN_ARG(query->id));
    *out = wiped_reveal(item->value);
    return 0;
}

void host_set_computed(struct render_secrets *known, struct computed *computed)
{
    known->computed = computed;
}

struct sql_host render_host(struct render_secrets *known)
{
    return (struct sql_host){
        .context = known, .now_ms = host_now, .random = host_random, .secret = known ? host_secret : NULL};
}
