#include "renewal.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    RETRY_MS = 5000,  /* between two attempts for a missing secret */
    DOUBT_MS = 60000, /* between two looks whether one that is refused has changed */
};

DEFINE_DROP(known, struct render_secrets *, render_secrets_free)

/* Fetch them all for the lane. Missing ones are tried again while the lane runs. */
static void give_secrets(struct renewal *renewal, bool first)
{
    AUTO(known_drop) struct render_secrets *known = NULL;
    const bool missed_before = renewal->missing;
    struct err err;

    if (!renewal->secrets || !(known = render_secrets_new(renewal->secrets, false, &err)))
        return;
    renewal->missing = false;
    for (size_t i = 0; i < renewal->plan->rules->count; i++) {
        const struct rule *rule = renewal->plan->rules->rules[i];

        if (rule->disabled || render_secrets_learn(known, rule, &err) == 0)
            continue;
        renewal->missing = true;
        if (!missed_before)
            log_error("secrets", "rule %s: %s; tried again until it is there", rule->name, err.text);
    }
    if (missed_before && !renewal->missing)
        log_info("secrets", "all secrets that rules name are here now");
    if (first || !renewal->missing)
        lane_give_secrets(atomic_load(&renewal->lane), TAKE(known));
}

/* On a thread of the secrets. */
static void on_secret(void *context, const struct secrets_event *event)
{
    struct renewal *renewal = context;

    switch (event->what) {
    case SECRETS_CHANGED:
        log_info("secrets", "\"" SPAN_FMT "\" in backend \"%s\" has changed", SPAN_ARG(event->id),
                 event->backend);
        atomic_store(&renewal->changed, true);
        break;
    case SECRETS_AWAY:
        log_warn("secrets", "backend \"%s\" is away%s: %s", event->backend,
                 atomic_load(&renewal->lane) ? ", last good values are used" : "", event->text);
        break;
    case SECRETS_BACK: log_info("secrets", "backend \"%s\" answers again", event->backend); break;
    case SECRETS_LOST:
        log_error("secrets", "\"" SPAN_FMT "\" in backend \"%s\" can be used no longer: %s",
                  SPAN_ARG(event->id), event->backend, event->text);
        atomic_store(&renewal->changed, true); /* who needs it is told, and goes on with what he has */
        break;
    }
}

/* What logs in with a secret is not let in: perhaps that has been changed, and nobody has told us yet. */
static void doubt(struct renewal *renewal, int64_t now_ms)
{
    const struct lane *lane = atomic_load(&renewal->lane);

    if (now_ms < renewal->doubt_ms || !(client_any_in_doubt(lane) || session_is_in_doubt(lane->session)))
        return;
    secrets_look_again(renewal->secrets);
    renewal->doubt_ms = now_ms + DOUBT_MS;
}

/* Those that have changed, and now and then those that are missing. */
static void look(struct renewal *renewal, int64_t now_ms)
{
    const bool changed = atomic_exchange(&renewal->changed, false),
               missing = renewal->missing || plan_is_behind(renewal->plan);

    if (!changed && !(missing && now_ms >= renewal->retry_ms))
        return;
    plan_refresh(renewal->plan, atomic_load(&renewal->lane), changed);
    if (changed || renewal->missing)
        give_secrets(renewal, false);
    renewal->retry_ms = clock_mono_ms() + RETRY_MS;
}

int renewal_start(struct renewal *renewal, struct secrets *secrets, struct err *err)
{
    if (!secrets)
        return 0;
    renewal->secrets = secrets;
    if (secrets_start(secrets, on_secret, renewal, err) == 0)
        return 0;
    renewal->secrets = NULL;
    return -1;
}

void renewal_begin(struct renewal *renewal, struct plan *plan, struct lane *lane)
{
    renewal->plan = plan;
    atomic_store(&renewal->lane, lane);
    give_secrets(renewal, true);
    renewal->retry_ms = clock_mono_ms() + RETRY_MS;
}

void renewal_turn(struct renewal *renewal, int64_t now_ms)
{
    if (!renewal->secrets)
        return;
    doubt(renewal, now_ms);
    look(renewal, now_ms);
}

void renewal_end(struct renewal *renewal)
{
    if (!renewal->secrets)
        return;
    secrets_quiet(renewal->secrets);
    secrets_give_up(renewal->secrets); /* a lane may have one fetched */
}
