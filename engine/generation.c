#include "generation.h"

#include "base/log.h"
#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

struct generation *generation_new(const struct config *config, struct config *own_config,
                                  struct rule_set *rules, struct err *err)
{
    struct generation *generation = calloc(1, sizeof *generation);

    if (!generation) {
        err_memory(err);
        config_free(own_config);
        rule_set_free(rules);
        return NULL;
    }
    *generation = (struct generation){.config = config, .own_config = own_config, .rules = rules};
    return generation;
}

void generation_free(struct generation *generation)
{
    if (!generation)
        return;
    lane_free(generation->lane);
    plan_done(&generation->plan);
    rule_set_free(generation->rules);
    config_free(generation->own_config);
    free(generation);
}

/* Without kept identifiers a message that was queued for us may run a rule twice: no reason not to start, but
 * one to go on with what there is. */
static int identify_filters(struct plan *plan, const struct generation_frame *frame, struct err *err)
{
    if (!frame->store || plan_identify(plan, frame->store, err) == 0)
        return 0;
    if (frame->former)
        return -1;
    log_err(LOG_WARN, "store", err);
    return 0;
}

int generation_make(struct generation *generation, const struct generation_frame *frame, struct err *err)
{
    struct plan *plan = &generation->plan;

    if (plan_make(plan, generation->config, generation->rules, frame->secrets, err) != 0)
        return -1;
    if (frame->former)
        plan_keep_client_id(plan, &frame->former->plan);
    if (identify_filters(plan, frame, err) != 0)
        return -1;
    const struct lane_options options = {
        .config = generation->config,
        .rules = generation->rules,
        .route = plan->route,
        .secrets = frame->secrets,
        .login = plan->login,
        .targets = plan->targets,
        .target_count = plan->target_count,
        .store = frame->store,
        .target_of = (const size_t *const *)plan->target_of,
        .is_heir = frame->former,
    };
    generation->lane = lane_new(&options, err);
    return generation->lane ? 0 : -1;
}

static void *run_lane(void *lane)
{
    lane_run(lane);
    return NULL;
}

int generation_start(struct generation *generation, struct err *err)
{
    const int error = thread_start(&generation->thread, run_lane, generation->lane);

    generation->running = error == 0;
    return error ? err_set(err, ERR_IO, "cannot start a thread: %s", strerror(error)) : 0;
}

void generation_join(struct generation *generation)
{
    if (generation->running)
        (void)pthread_join(generation->thread, NULL);
    generation->running = false;
}
