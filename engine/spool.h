/* spool.h - what a lane cannot deliver waits on the disk (store.h), so that messages can be acknowledged.
 *
 * A stream is live until one of its records has had no answer for `delivery.hold`, or is refused. Then the
 * stream is *on the disk*: all its records that are not safe are put there, and so is every new one, at once.
 * Records that a client has stay in its hands meanwhile: their reports drop their rows, so nothing is sent
 * twice while the process lives. When the client delivers again, rows are read in their order, a window at a
 * time, and handed over; once the disk has no more (*landing*: what comes then waits in memory for the last
 * of them), the stream is live again.
 *
 * A client whose queue is full, or that has much, is offered no row until it has answered some; the streams
 * that would read for it stand in line (stream_line).
 *
 * A row whose report is no is in no client's hands any more. Nothing is read then until the client has none
 * of that stream, and reading starts again at the lowest row: so a row never overtakes another.
 *
 * One record may have no answer while others of its stream do: its partition has no leader, or is slow. Such
 * a stream stays on the disk until that record is answered, and for a while longer each time it happens
 * again, so that its next records hold nobody up.
 *
 * There is no end to the topics that a device can make up. Beyond a number of them those that are refused, or
 * that nobody has heard of, are no longer put on the disk: their records fail for good (error action or dead
 * letter).
 *
 * A client that has stalled takes its other streams along without another hold, and one that delivers, but
 * not to topics it has never delivered to, those: else a device that makes up topics would hold everybody,
 * once for each. */
#ifndef ENGINE_SPOOL_H
#define ENGINE_SPOOL_H

#include "limiter.h"
#include "store.h"

#include "base/arena.h"
#include "base/buf.h"

enum {
    SPOOL_RETRY_MS = 1000, /* a disk that is full, or fails, is asked again after this */
    /* Streams with a queue in the store, ever since the start. Those that are refused, or that nobody has
     * heard of while others of the kind get no answer, may have half of them. */
    SPOOL_QUEUES = 100000,
    SPOOL_AGE_NEXT_MS = 100, /* from one refused topic that is too old, or too much, to the next */
    SPOOL_PROBE_MS = 5000,   /* a client that has stalled is given something again after this */
};

struct client;
struct delivery;
struct firing;
struct lane;
struct lane_action;
struct lane_failure;
struct stream;

/* Streams that wait for their turn at something they share. */
struct stream_line {
    struct stream *first, *last;
};

struct stream_queue {
    uint32_t id;
    struct lane_action *action;
};

struct stream_spool {
    bool on;      /* new records go to the disk */
    bool landing; /* the disk has no more: new ones wait for the last rows to be taken */
    bool moved;   /* something was delivered since it is on */
    bool proven;  /* something was delivered, ever */
    bool reading, rewound;
    bool held; /* there are too many queues: what has none stays in memory, and its messages are held */
    int64_t delivered_ms;        /* when it last delivered something */
    const struct delivery *hung; /* it is on for this one, which a client has still */
    int64_t slow_ms, slow_until; /* it stays on until then, so long because it was on before */
    uint64_t rows;  /* about: on the disk and in no client's hands; 0 for sure once a read has found none */
    size_t storing; /* deliveries that are being put */
    int64_t after;  /* rows up to here were handed over; goes back when one returns */
    int64_t handed; /* the same, and never goes back */
    struct stream_queue *queues;
    size_t queue_count;
    bool to_put, touched; /* it is in one of these lists: */
    struct stream *next_to_put,
        *next_touched; /* spool.to_put; of those with something in a put that is done */
};

/* A queue of the store, by its number. */
struct spool_queue {
    struct lane_action *action;
    uint64_t bytes; /* when last looked at */
    int64_t oldest_ms;
};

/* Deliveries on their way to the disk together. */
struct spool_put {
    struct store_job job;
    struct lane *lane;
    bool posted;
    size_t count, room;
    struct store_row *rows;
    struct delivery **who;
    struct buf bytes;
};

struct spool_drops {
    struct store_job job;
    struct lane *lane;
    bool posted;
    int64_t *waiting, *sent;
    size_t waiting_count, waiting_room, sent_room;
};

struct spool_errand;

struct spool {
    struct store_port *port; /* NULL: no store */
    struct spool_queue *queues;
    size_t queue_count;
    uint32_t queues_most;
    struct limiter crowded;
    struct spool_put put;
    struct spool_drops drops;
    struct stream *to_put;          /* streams with queued records that may have to be put */
    struct stream_line after_drops; /* those that read again when what is dropped is on its way */
    bool sweep;                     /* records in clients' hands are to be put, too */
    enum store_answer put_answer, errand_answer; /* the last ones */
    int64_t retry_ms, errand_retry_ms, look_ms, age_ms;
    uint64_t changes, sent_again, withdrawn; /* as last seen in the store */
    int64_t first;                           /* number: rows below it are from before */
    size_t jobs;                             /* posted, not done */
    size_t errands, errand_bytes;            /* letters and the like that are not on the disk yet */
    struct spool_errand *failed_errands;     /* to be tried again */
    int64_t *ended; /* rows that failed for good, or were given up, and are on the disk still: ascending */
    size_t ended_count, ended_room;
    struct arena arena; /* of the rows being handed over */
    bool ageing;        /* old rows are becoming dead letters */
    bool closing;       /* nothing more is posted */
};

/* With lane->options.store NULL there is nothing to do, and all calls below do nothing. 0, or -1 with `err`.
 */
int spool_init(struct lane *lane, struct err *err);
/* It goes on counting where the other ended. */
void spool_succeed(struct lane *lane, const struct lane *former);
/* What waits from before: streams for it. */
void spool_begin(struct lane *lane);
/* Waits until all is done that was posted; nothing is posted from then on. A second call is a no-op. */
void spool_settle(struct lane *lane);
/* After that: dead letters that the disk has not taken are given up, as the broker sends their messages
 * again.
 */
void spool_abandon(struct lane *lane);
void spool_done(struct lane *lane);

int spool_fd(const struct lane *lane); /* -1: none */
void spool_poll(struct lane *lane);

/* Put streams on the disk whose records have waited too long. */
void spool_overdue(struct lane *lane);
/* Post what is to be stored and dropped; look after old rows. Returns when to come again. */
int64_t spool_work(struct lane *lane);
/* The stream is on the disk from here on. `overdue`: one of its records that waited too long; NULL: refused,
 * or for its client's sake. */
void spool_stream(struct lane *lane, struct stream *stream, const struct delivery *overdue);
/* Should a record that comes now for a live stream go to the disk without a try? */
bool spool_takes(const struct lane *lane, const struct stream *stream);
/* A stream that is on the disk is due: hand rows over. True when it is live again. */
bool spool_step(struct lane *lane, struct stream *stream);

/* May a record that waits for the stream go to the disk, or be held? False: there are too many topics, and
 * this one is refused or made up, so that it is better not kept waiting: `err` says so. */
bool spool_has_place(struct lane *lane, struct stream *stream, struct lane_action *action, struct err *err);
/* Something was queued, and is to be put if the stream is on the disk. */
void spool_has_more(struct lane *lane, struct stream *stream);
/* It takes no more for now: that is worth no further read until it has answered half of what it has. */
void spool_client_is_full(const struct lane *lane, struct client *client);
/* It has answered something, or a read for it is done. */
void spool_next_reader(struct lane *lane, struct client *client);
/* It is in no client's hands any more. */
void spool_answered(const struct delivery *delivery);
/* A row has its final answer, or is in no client's hands any more. */
void spool_drop(struct lane *lane, int64_t row);
void spool_returned(struct stream *stream, int64_t row);
/* It failed for good: error action or dead letter. */
void spool_row_failed(struct lane *lane, struct lane_action *action, struct stream *stream, int64_t row,
                      const char *code, const char *text);

/* A dead letter. The firing stays open for it; settle_kept is called when it is safe. `actions`: how many
 * failed. */
void spool_miss(struct lane *lane, struct firing *firing, const struct lane_failure *failure,
                uint32_t actions);

/* Nothing is on its way to the disk. */
bool spool_is_quiet(const struct lane *lane);
/* Why it does not take anything; "" if it does. */
const char *spool_trouble(const struct lane *lane);

/* ---- between the files of the spool ---- */

/* spool_read.c */
/* Does the disk take the stream's records? */
bool spool_is_open(const struct lane *lane, const struct stream_spool *of);

/* spool_put.c */
void spool_put(struct lane *lane);
/* Post them if no others are under way. True when none is left that is not posted. */
bool spool_post_drops(struct lane *lane);
/* The number of the stream's queue for that action, made if there are fewer than `most`. 0: there are not. */
uint32_t spool_queue(struct lane *lane, struct stream *stream, struct lane_action *action, uint32_t most);
void spool_put_done(struct lane *lane);
/* The stream's rows of that action are in queue `id`. 0, or -1: no memory. */
int spool_know(struct lane *lane, struct stream *stream, struct lane_action *action, uint32_t id);

/* spool_age.c */
void spool_age(struct lane *lane);

/* spool_errand.c */
/* Rows that are at their end and on the disk still: a read may find them, and they are passed over. */
void spool_ended(struct lane *lane, int64_t row);
bool spool_has_ended(const struct lane *lane, int64_t row);
void spool_gone(struct lane *lane, int64_t row); /* off the disk; any row */
void spool_retry_errands(struct lane *lane);
void spool_free_errands(struct lane *lane);
/* The oldest rows of the stream become dead letters: those before `before_ms`, and more until `bytes`. */
void spool_bury_old(struct lane *lane, struct stream *stream, int64_t before_ms, int64_t bytes);

#endif
