/* lane.h - one MQTT session with its thread, its loop, its arenas and its own clients; what the files of a
 * lane share.
 *
 * A message goes forward only: session -> evaluate -> dispatch -> (the world) -> settle. A failure goes
 * forward too, to settle. Everything below belongs to the lane's thread; what other threads may touch is
 * atomic.
 *
 *   message    one PUBLISH. Borrowed, gone when evaluate returns.
 *   firing     one rule that matched one message. Open until every action of it has its final answer.
 *   delivery   one record on its way, with a copy of it. Freed by its outcome alone, so no late answer ever
 *              meets another delivery in its place. Once it is on the disk (spool.h) it needs neither firing
 *              nor copy any more.
 *   stream     records of one client that keep their order among each other (Kafka: one topic).
 *   batch      the memory of firings and deliveries: one arena, reset when the last firing in it is closed.
 */
#ifndef ENGINE_LANE_H
#define ENGINE_LANE_H

#include "computed.h"
#include "counters.h"
#include "failure.h"
#include "glance.h"
#include "hold.h"
#include "limiter.h"
#include "message.h"
#include "park.h"
#include "route.h"
#include "session.h"
#include "spool.h"

#include "base/arena.h"
#include "engine/render.h"

#include <stdatomic.h>

/* What is read before it is settled. One message more is always taken whole. */
enum {
    LANE_MESSAGES = 10000,
    LANE_PAYLOAD = 8 << 20, /* bytes */
    LANE_RECORDS = 20000,
    LANE_RECORD_BYTES = 32 << 20,
};

/* What epoll reports: one of these, or SOURCE_CLIENTS + the client's place. */
enum { SOURCE_WAKE, SOURCE_SESSION, SOURCE_STORE, SOURCE_CLIENTS };

struct lane;

/* ---- where records go ---- */

/* One set of settings that makes a client, for all lanes. What may change is looked at by the engine's thread
 * alone, which gives it to the lanes: lane_give_settings. */
struct target {
    const struct action_type *type;
    const struct rule_action *action; /* the first that asks for it */
    const struct rule *rule;
    struct render_settings *settings; /* NULL: a secret could not be had yet */
    char *identity;                   /* of them and of where their secrets come from; NULL as they are */
    bool has_secrets;
    bool behind; /* they could not be made when it was tried last */
};

struct connection {
    struct client *client;
    struct action_client *handle;
    struct action_events events;
    enum action_state state;
    bool was_ready;
};

/* A lane's own client of a target: a connection, and beside it the next one while settings change. */
struct client {
    struct lane *lane;
    const struct target *target;
    struct action_client *handle; /* takes records: that of `current`. NULL: records stand in line */
    struct connection *current, *next;
    struct render_settings *settings;      /* of `current`, or to open it with; NULL: not there yet */
    struct render_settings *wanted;        /* of `next`, or to open it with; NULL: nothing newer */
    struct render_settings *_Atomic fresh; /* given by another thread, not looked at yet */
    int64_t switch_ms;                     /* `next` takes over then at the latest, once it has begun to */
    unsigned attempts;                     /* to open what is missing, in vain */
    int64_t due_ms;                        /* next attempt */
    struct glance seen;                    /* state and sentence, for other threads */
    atomic_bool in_doubt;                  /* it is away: its secrets may be others now */
    uint64_t epoll_data;

    size_t in_flight; /* deliveries it has */
    size_t reads;     /* of rows for it, under way */
    /* Its queue was full: no row is read for it until it has `rest` deliveries or fewer, or that late. */
    size_t rest;
    int64_t full_until;
    struct stream_line readers; /* that would read, and may not for one of these reasons */
    int64_t delivered_ms;       /* when it last delivered something */
    bool stalled;               /* what is for it waits on the disk; see spool.h */
    int64_t probe_ms;           /* then: when to try a topic of which it has nothing */
    int64_t strange_until;      /* until then a topic it has not delivered to yet gets no hold */
};

struct stream {
    struct client *client;
    struct span name; /* points to `text` */
    uint64_t hash;
    struct stream *next; /* in its bucket */

    size_t in_flight; /* deliveries without an outcome */
    /* Deliveries that wait. `returned` came back and go first, in their old order, once nothing is in flight;
     * then `queued`, which had to stand in line behind them. */
    struct delivery *returned, *queued, *queued_last;
    bool waiting, refused;
    unsigned attempts;
    int64_t due_ms;  /* nothing is sent before */
    int64_t wake_ms; /* when it is looked at */
    size_t place;    /* in streams->waiting */
    struct stream *next_in_line;
    bool in_line;
    struct stream_spool spool;
    char text[];
};

enum { STREAM_BUCKETS = 1024, STREAM_IDLE_MOST = 4096 };

struct streams {
    struct stream **buckets, *few[STREAM_BUCKETS];
    size_t bucket_count;
    size_t count, idle_most; /* beyond that many the idle ones are forgotten */
    struct stream **waiting; /* those with something that waits, a heap by wake_ms */
    size_t waiting_count, waiting_room;
    int64_t due_ms; /* the earliest wake_ms */
    size_t refused; /* so many are */
    uint64_t looks; /* how often one was looked at because it was due: what all of them cost */
    struct limiter refusals;
};

/* ---- what is on its way ---- */

struct batch {
    struct arena arena;
    size_t open;  /* firings */
    size_t bytes; /* handed out */
    struct batch *next;
};

struct firing {
    struct lane_rule *rule;
    struct batch *batch;
    const struct sql_message *message; /* kept for an error action; NULL if the rule has none */
    int64_t row;                       /* of the store, dropped when this is finished; 0 none */
    struct failure *failures, **failures_end;
    uint32_t epoch;
    uint32_t place;      /* of its message: see redelivery.h */
    uint32_t open;       /* actions without a final answer */
    uint32_t failed;     /* of those that have one */
    bool acknowledged;   /* QoS > 0: an acknowledgement waits for it */
    bool reporting;      /* its error action is on its way */
    struct firing *next; /* in lane->reports */
};

enum delivery_state { DELIVERY_FREE, DELIVERY_WAITING, DELIVERY_SENT };

struct delivery {
    struct firing *firing; /* NULL: on the disk, which is safe */
    struct lane_action *action;
    struct stream *stream;
    struct action_record record; /* a copy, in the firing's batch; of a row: borrowed while it is sent */
    uint64_t number;             /* in the order of dispatch */
    enum delivery_state state;
    struct delivery *next;

    int64_t born_ms;
    int64_t row;                    /* its number in the store; 0: none */
    bool storing;                   /* being put; not safe yet */
    bool over;                      /* had its answer while it was being put */
    bool again;                     /* some client had it before: it may be there already */
    struct delivery *older, *newer; /* in lane->unsafe, while it has a firing */
};

enum { DELIVERY_CHUNK = 1024 };

struct delivery_chunk {
    struct delivery_chunk *next;
    struct delivery items[DELIVERY_CHUNK];
};

struct deliveries {
    struct delivery_chunk *chunks;
    struct delivery *free;
    size_t used;
    uint64_t number;
};

/* ---- rules ---- */

struct lane_action {
    const struct rule_action *action;
    struct lane_rule *rule;
    int place; /* in the rule, or STORE_ERROR_ACTION */
    struct client *client;
    size_t field_count;
    struct stream *last;                /* the stream of its last record: most actions have one topic */
    struct limiter complaints, misfits; /* of records that failed for good; of templates */
};

struct lane_rule {
    const struct rule *rule;
    struct lane_action *actions; /* those that are built */
    size_t action_count;
    struct lane_action *error_action; /* NULL: none */
    bool asks;                        /* it computes ids of secrets from messages */
    bool traced;                      /* rule or error action calls traceid() */
    struct limiter complaints;        /* of its statement */
    struct rule_counters counters;
};

/* What failed for good. All is borrowed for the call it is given to. */
struct lane_failure {
    struct lane_action *action; /* NULL: the statement */
    struct span stream;         /* where it was to go; empty: it did not come that far */
    const char *code, *text;
    const struct action_record *record; /* NULL: it never came to be; then `message` is there */
    const struct sql_message *message;
    bool of_rule; /* the statement or a template failed, which AWS only logs */
};

/* ---- the lane ---- */

/* Borrowed for the life of the lane. */
struct lane_options {
    const struct config *config;
    const struct rule_set *rules;
    const struct route *route;
    struct secrets *secrets; /* NULL: none configured */
    struct session_login *login;
    struct target *targets;
    size_t target_count;
    struct store *store; /* NULL: what is not safe is held */
    /* For each rule its actions' targets: target_of[rule][action]; the error action's is the last. */
    const size_t *const *target_of;
    bool is_heir; /* it takes over from another lane that still runs: lane_succeed */
};

struct lane {
    struct lane_options options;
    struct counters counters;
    struct gauges gauges;
    atomic_bool stop;
    atomic_bool parting;          /* to stop, and leave the connection to an heir */
    bool parted;                  /* it did, and nothing it had is open */
    atomic_bool prepared, begun;  /* of an heir: its clients are ready; it has taken over */
    atomic_bool over;             /* its thread is about to end */
    _Atomic int64_t heartbeat_ms; /* of the loop, for the watchdog */

    int epoll_fd, wake_fd;
    int64_t now_ms;
    struct session *session; /* NULL: an heir that has not taken over, or a lane that has one that did */
    struct hold hold;
    /* The broker keeps our session since the connection `session_since`, and sends again what was not
     * acknowledged on those before `resent_before`. What came earlier than the session, nobody else has. */
    uint32_t session_since, resent_before;
    size_t read_messages, read_bytes;
    int64_t holding_since_ms; /* 0: not holding */
    bool holding_logged;

    struct sql_host host;
    struct render_secrets *secrets;               /* what the host looks up; NULL: there are none */
    struct render_secrets *_Atomic fresh_secrets; /* to be used from the next batch on */
    struct computed *computed;                    /* NULL: no rule computes ids of secrets */
    struct park park;
    struct sql_scope *scope;
    struct sql_template *trace_id;
    struct err err;           /* scratch: a kilobyte that need not be cleared for every record */
    struct sql_message *kept; /* of the message being evaluated; NULL: not kept yet */
    uint32_t *matches;
    struct limiter strangers, large;

    struct lane_rule *rules;
    struct lane_action *actions; /* of all rules */
    size_t action_count;
    struct client *clients;
    struct streams streams;
    struct deliveries deliveries;
    struct delivery *unsafe, *unsafe_newest; /* deliveries with a firing, the oldest first */
    size_t unsafe_count;
    struct spool spool;
    struct batch *batch, *old, *spare;
    size_t bytes;           /* of all batches */
    struct firing *reports; /* firings whose error action is to be sent */
    struct firing **reports_end;
};

struct lane *lane_new(const struct lane_options *options, struct err *err);
void lane_free(struct lane *lane);

/* Secrets for statements and templates; taken. Thread safe. */
void lane_give_secrets(struct lane *lane, struct render_secrets *secrets);
/* Newer settings for the clients of a target; a reference is taken over. Thread safe. */
void lane_give_settings(struct lane *lane, size_t target, struct render_settings *settings);

/* The thread: open clients, connect, read, hold, flush, until lane_stop; then settle, flush and half-close.
 */
void lane_run(struct lane *lane);
void lane_stop(struct lane *lane); /* thread safe */

/* Another lane in place of one that runs, with other rules, and without losing the connection:
 *
 *   lane_new with `is_heir`, and lane_run on its thread: it opens its clients, and is `prepared`;
 *   lane_part for the former: it settles what it has read, acknowledges it, and its thread ends; what it had
 *   stored is on the disk from then on;
 *   lane_succeed: the heir has the session now, and goes on counting. If the former could not settle in time,
 *   its connection goes with it, and the broker sends again what was not acknowledged;
 *   lane_begin: the heir looks what waits there, and reads on;
 *   lane_free for the former, at any time from then on: it may wait for a backend of secrets. */
void lane_part(struct lane *lane);                         /* thread safe */
void lane_succeed(struct lane *lane, struct lane *former); /* while neither touches its session */
void lane_begin(struct lane *lane);                        /* thread safe */

struct session_events lane_session_events(struct lane *lane);

/* Stopping since then: is there something that a little time may bring to its end? What is safe on the disk
 * is waited for as long as deliveries come, because what a client still has when it is closed is sent again.
 */
bool lane_is_busy(const struct lane *lane, int64_t since_ms);

/* How long a record may be without an answer before it goes to the disk. */
int64_t lane_hold_ms(const struct lane *lane);

/* There is no way to keep the promise without memory: end the process, and let the broker send again. */
_Noreturn void lane_out_of_memory(void);

/* May another message be read? */
bool lane_has_room(const struct lane *lane);

/* ---- between the files of a lane ---- */

/* evaluate.c: a message has come. Run every rule that hears it, or put it aside (park.h). */
void evaluate(struct lane *lane, const struct message *in);
/* Run them, whatever is missing. */
void evaluate_now(struct lane *lane, const struct message *in);
/* Try them, with no effect: does the message compute a secret's id that is not known yet? Then it is being
 * fetched. */
bool evaluate_wants(struct lane *lane, const struct message *in);

/* dispatch.c: a copy of the record goes on its way; `firing` is open for it until it is settled. */
void dispatch(struct lane *lane, struct firing *firing, struct lane_action *action,
              const struct action_record *record);
/* Send what waits and is due. */
void dispatch_waiting(struct lane *lane);
/* Hand a row of the store to its client. False: it did not take it. */
bool dispatch_row(struct lane *lane, struct lane_action *action, struct stream *stream,
                  const struct action_record *record, int64_t row, bool again);
/* No message waits for it any more: it has lost its firing. */
void dispatch_is_safe(struct lane *lane, struct delivery *delivery);
/* It is not needed any more. */
void dispatch_over(struct lane *lane, struct delivery *delivery);
/* Something came back that may succeed later. */
void dispatch_again(struct lane *lane, struct delivery *delivery, bool refused, const char *why);
/* It has its final answer. */
void dispatch_delivered(struct lane *lane, struct delivery *delivery);
void dispatch_failed(struct lane *lane, struct delivery *delivery);
/* The broker sends the messages of earlier connections again: forget what of them is not on its way. */
void dispatch_forget_resent(struct lane *lane);
/* A client was opened: what waits for it may go now. */
void dispatch_client_opened(struct lane *lane, const struct client *client);

/* streams.c */
/* The stream that records of this name belong to. */
struct stream *dispatch_stream(struct lane *lane, struct lane_action *action, struct span name);
/* The stream has something that waits, until `due_ms` at least. */
void dispatch_make_wait(struct lane *lane, struct stream *stream, int64_t due_ms);
/* It is looked at then at the latest, if something waits. */
void stream_wake(struct lane *lane, struct stream *stream, int64_t at_ms);
void streams_wake_all(struct lane *lane); /* now */
/* One that is due: it is looked at again when somebody wakes it. NULL: none is. */
struct stream *stream_due(struct lane *lane);
void stream_rest(struct lane *lane, struct stream *stream); /* nothing waits any more */
/* What came back goes before what is queued, in its old order. */
void stream_put_returned_first(struct lane *lane, struct stream *stream);
void stream_line_up(struct stream_line *line, struct stream *stream);
void stream_next_in_line(struct lane *lane, struct stream_line *line); /* wakes the first, if there is one */
void dispatch_init(struct lane *lane);
void dispatch_done(struct lane *lane);

/* settle.c */
struct firing *settle_open(struct lane *lane, struct lane_rule *rule, const struct message *message);
void settle_result(void *context, const struct action_result *result); /* an action_events callback */
/* One action of the firing failed for good. */
void settle_failure(struct lane *lane, struct firing *firing, const struct lane_failure *failure);
/* One action of it is on the disk. */
void settle_stored(struct lane *lane, struct firing *firing);
/* `actions` of it are dead letters, safe. */
void settle_kept(struct lane *lane, struct firing *firing, uint32_t actions);
/* The record of a row failed for good, and its rule has an error action: false when there is no memory for
 * it. The row is dropped when that is safe. */
bool settle_row_failure(struct lane *lane, const struct sql_message *message,
                        const struct lane_failure *failure, int64_t row);
/* One action, or whoever opened the firing, is done with it. */
void settle_close(struct lane *lane, struct firing *firing);
/* One action of it is given up, because the broker sends the message again. */
void settle_abandoned(struct lane *lane, struct firing *firing);
/* The lane ends with it open: what of it was not counted is given up, `actions` or, for 0, those that have
 * failed. A row stays what it is. */
void settle_count_abandoned(struct lane *lane, struct firing *firing, uint32_t actions);
bool settle_is_resent(const struct lane *lane, const struct firing *firing);
/* Send the error actions that are due. */
void settle_reports(struct lane *lane);

/* batch.c */
int batch_init(struct lane *lane);
void batch_done(struct lane *lane);
/* Memory that lives as long as the firing. NULL: the limit is met. */
void *batch_alloc(struct lane *lane, struct batch *batch, size_t size);
void batch_release(struct lane *lane, struct batch *batch); /* a firing is closed */
/* The messages read so far are settled, or need not be: go on with fresh memory if that is worth it. */
void batch_turn(struct lane *lane);
struct delivery *delivery_new(struct lane *lane);
void delivery_free(struct lane *lane, struct delivery *delivery);

/* client.c */
int client_init(struct lane *lane, uint64_t first_epoll_data); /* 0, or -1 without memory */
/* Between events: open, replace what died, take new settings and switch over to what was made of them. */
void client_work(struct lane *lane);
void client_poll(struct client *client);
bool client_all_ready(const struct lane *lane);
int64_t client_next_due(const struct lane *lane);
bool client_any_in_doubt(const struct lane *lane); /* any thread */
/* Wait for what they have until then, and close them. */
void client_close_all(struct lane *lane, int64_t until_ms);
void client_done(struct lane *lane);

#endif
