/* view.h - a moment of the daemon, as plain data, for those who tell it.
 *
 * Taken without a lock that a lane could meet: counters are atomic, sentences are glances (glance.h). So a
 * moment is not one instant: while messages flow, a counter may be a few ahead of the next. */
#ifndef ENGINE_VIEW_H
#define ENGINE_VIEW_H

#include "counters.h"
#include "lane.h"
#include "opening.h"
#include "reload.h"

#include "base/arena.h"
#include "base/buf.h"
#include "secrets/secrets.h"

/* What is looked at. Borrowed, and must not change while a view of it is in use. */
struct subject {
    const struct config *config;
    const struct rule_set *rules;
    const struct lane *lane; /* NULL: not made yet */
    struct secrets *secrets; /* NULL: none configured */
    struct store *store;     /* NULL: none, or not open yet */
    struct opening opening;
    struct reload *reload;
    const atomic_bool *stopping;
    const char *version; /* of the program; NULL: not known */
    int64_t started_ms;  /* wall clock */
};

struct view_rule {
    const struct rule *rule;
    uint64_t count[RULE_COUNTER_COUNT];
};

struct view_client {
    const char *type, *rule; /* the first rule that asks for it */
    char action[32];         /* and which of its actions: "actions[0]", "errorAction" */
    enum action_state state;
    char text[GLANCE_TEXT];
};

struct view_secret {
    const char *backend;
    struct span id, role_arn;
    const char *version, *problem;
    int64_t age_ms; /* -1: there is no value */
    bool is_stale;
    uint64_t fetches, served;
};

struct view_backend {
    const char *name, *type;
    bool is_away;
    const char *problem; /* why it is away; NULL: it is not */
    uint64_t kept, missing, stale, fetches;
    int64_t oldest_ms; /* the age of its oldest value; 0: there is none */
};

/* What waits on disk of one action and one stream. */
struct view_queue {
    const char *rule, *type, *stream;
    int action; /* or STORE_ERROR_ACTION */
    uint64_t rows, bytes;
    int64_t oldest_ms; /* its age */
    bool is_gone; /* no rule that runs has this action: it waits for one that has, or for `topicrule dead` */
};

struct view_process {
    uint64_t rss_bytes, fds, threads;
    int64_t cpu_ms, uptime_ms;
};

struct view {
    struct arena arena; /* what is kept of texts that change */
    const struct subject *of;
    const char *problem; /* why not ready, a sentence; NULL: it is */
    char mqtt[GLANCE_TEXT];
    bool subscribed;
    uint64_t count[COUNTER_COUNT];
    uint64_t in_flight, held;
    struct view_rule *rules; /* in the order of the set */
    size_t rule_count, enabled_count;
    struct view_client *clients;
    size_t client_count;
    struct view_backend *backends;
    size_t backend_count;
    struct view_secret *secrets;
    size_t secret_count, secret_room;
    bool has_store;
    struct store_figures store;
    struct view_queue *queues; /* the fullest first */
    size_t queue_count, queue_room;
    uint64_t queues_left_out; /* for want of memory */
    uint64_t gone_rows, gone_bytes;
    int64_t oldest_ms; /* the age of the oldest row; 0: there is none */
    struct view_process process;
};

/* 0, or -1 without memory; view_done either way. */
int view_take(struct view *view, const struct subject *of);
void view_done(struct view *view);
/* The counters of the `place`th rule; `lane` NULL: none. */
void view_rule_take(struct view_rule *rule, const struct lane *lane, size_t place);

/* view_store.c */
int view_take_store(struct view *view);
const char *view_store_state(const struct view *view);

const char *view_state_name(enum action_state state);
/* Why messages are not heard now; NULL: they are. May lie in the subject. */
const char *view_problem(const struct subject *of);
/* The lane's loop has stood still for longer than any work of it takes. */
bool view_is_hung(const struct subject *of);

/* ---- what is made of it, one text each (see buf.failed) ---- */

void metrics_text(const struct view *view, struct buf *out); /* Prometheus, text format 0.0.4 */
void status_json(const struct view *view, struct buf *out);  /* JSON, these all */
void rules_json(const struct view *view, struct buf *out);
void rule_json(const struct view_rule *rule, struct buf *out);
void secrets_json(const struct view *view, struct buf *out);

#endif
