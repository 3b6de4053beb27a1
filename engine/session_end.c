/* The end of a connection: why, what is forgotten with it, and when and how the next one is made. */
#include "session_state.h"

#include "base/dial.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    RETRY_LEAST_MS = 200,  /* back-off between rounds over the brokers */
    RETRY_MOST_MS = 5000,  /* */
    TAKEN_LEAST_MS = 5000, /* back-off after another client has taken our id */
    TAKEN_MOST_MS = 120000,
    STEADY_MS = 10000,      /* a connection that held this long was a good one */
    UNDISPUTED_MS = 600000, /* and after this long nobody else wants our id any more */
    SILENT = 3,             /* connections closed without an answer, after which MQTT 3.1.1 is tried once */
    SILENT_V5 = 10,         /* the same with a broker that has spoken MQTT 5 before */
    REPEAT_MS = 60000,      /* the same problem is logged again after this */
    ORPHANS_MS = 1000,      /* a new connection waits so long for what the last one has read */
};

void session_say_why(struct session *session, const char *format, ...)
{
    va_list args;

    if (session->reason[0]) /* the first is the cause, the rest are its effects */
        return;
    va_start(args, format);
    (void)vsnprintf(session->reason, sizeof session->reason, format, args);
    va_end(args);
}

const char session_closed[] = "the broker closed the connection";

static void log_problem(struct session *session, bool was_up)
{
    char line[sizeof session->problem];
    const char *verb = was_up ? "connection lost to" : "cannot connect to";
    /* MQTT 3.1.1 has no word for it. */
    const char *guess = was_up && session->old_protocol && session->attempt >= 2
                            ? " (does another client use this mqtt.client_id?)"
                            : "";

    if (!session->reason[0])
        session_say_why(session, "%s%s", session_closed, was_up ? "" : " before it answered");
    /* mosquitto 2.0.11 ends a session that is taken over without a word, also under MQTT 5. */
    if (was_up && session->attempt >= 2 && strcmp(session->reason, session_closed) == 0) {
        session->reason[0] = '\0';
        session_say_why(session,
                        "%s soon after it was made, again: another client with the same client id '%s' would "
                        "do that; give every instance its own mqtt.client_id",
                        session_closed, session->login->client_id);
    }
    (void)snprintf(line, sizeof line, "%s %s: %s%s; trying again until it works", verb, session->name,
                   session->reason, guess);
    glance_write(&session->seen, 0, line);
    if (!was_up && strcmp(line, session->problem) == 0 && session->now_ms - session->problem_ms < REPEAT_MS)
        return;
    memcpy(session->problem, line, sizeof line);
    session->problem_ms = session->now_ms;
    log_warn("mqtt", "%s", line);
}

static int64_t back_off(unsigned attempt, int64_t least, int64_t most)
{
    int64_t wait = least;

    while (attempt-- > 1 && wait < most)
        wait *= 2;
    return wait < most ? wait : most;
}

/* The broker was not reached by the first family of addresses that its name has. */
static bool has_other_family(const struct session *session)
{
    return session->phase == SESSION_CONNECTING && !session->tcp_up && session->other_family != 0;
}

/* When and where the next attempt goes: milliseconds from now. */
static int64_t next_attempt(struct session *session, bool was_up)
{
    const int64_t lived = was_up ? session->now_ms - session->up_since_ms : 0;

    session->family = has_other_family(session) ? session->other_family : 0;
    if (session->family != 0)
        return 0;
    if (lived >= UNDISPUTED_MS)
        session->takeovers = 0;
    if (session->taken_over) {
        session->taken_over = false;
        session->broker = 0;
        return back_off(++session->takeovers, TAKEN_LEAST_MS, TAKEN_MOST_MS);
    }
    if (lived >= STEADY_MS)
        session->attempt = 0;
    if (was_up) {
        session->broker = 0;
        return session->attempt++ ? back_off(session->attempt, RETRY_LEAST_MS, RETRY_MOST_MS) : 0;
    }
    if (++session->broker < session->options.config->mqtt.broker_count)
        return 0;
    session->broker = 0;
    return back_off(++session->attempt, RETRY_LEAST_MS, RETRY_MOST_MS);
}

/* A broker that closes without an answer may be one that does not know MQTT 5: try the other now and then.
 * Only one that says so is believed for good. More likely it is just starting, or something before it is, and
 * what it has queued for MQTT 5 comes without identifiers under the other, a copy for each filter. */
static void choose_protocol(struct session *session, bool was_up)
{
    const unsigned patience = session->spoke_v5 ? SILENT_V5 : session->was_up ? 1 : SILENT;

    if (was_up || session->old_for_good)
        session->old_protocol = session->old_for_good;
    else if (session->asked && !session->refused && !session->tls_failed)
        session->old_protocol = ++session->silent % patience == 0 && !session->old_protocol;
}

void session_doubt_is_broken(struct session *session)
{
    redelivery_forget_doubt(session->redelivery);
    session->ended = true;
    session_say_why(session, "what came again is not what was read before; all of it is taken afresh");
}

static enum redelivery_end how_it_ended(const struct session *session, bool was_up)
{
    if (session->taken_over)
        return REDELIVERY_TAKEN;
    return was_up || (session->asked && !session->refused) ? REDELIVERY_LOST : REDELIVERY_UNASKED;
}

void session_drop(struct session *session)
{
    const int64_t hold_ms = session->options.config->delivery.hold_ms;
    bool was_up = session->phase == SESSION_UP;

    if (session->verdict.text[0])
        (void)snprintf(session->reason, sizeof session->reason, "%s", session->verdict.text);
    if (session->phase != SESSION_FINISHING && !has_other_family(session))
        log_problem(session, was_up);
    redelivery_lost(session->redelivery, how_it_ended(session, was_up), session->options.hold->epoch);
    session->due_ms = session->now_ms + next_attempt(session, was_up);
    choose_protocol(session, was_up);
    if (was_up)
        session->patience_ms = session->now_ms + (hold_ms > 0 && hold_ms < ORPHANS_MS ? hold_ms : ORPHANS_MS);
    dial_forget(session->lookup);
    session->lookup = NULL;
    mosquitto_destroy(session->mosq);
    session->mosq = NULL;
    session->fd = -1;
    session->armed = 0;
    session->phase = SESSION_DOWN;
    session->flushing = session->between_packets = session->discarding = session->ended = session->refused =
        false;
    session->tcp_up = session->asked = session->tls_failed = false;
    session->to_acknowledge = 0;
    session->ping_left = 0;
    session->subscribe_count = 0;
    atomic_store(&session->ready, false);
    if (session->doubting)
        hold_release(session->options.hold, session->options.hold->epoch);
    session->doubting = false;
    hold_drop(session->options.hold);
    session->options.events.lost(session->options.events.context);
}
