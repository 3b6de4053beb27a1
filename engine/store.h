/* store.h - what waits on disk: the spool, the dead letters, the identifiers of subscriptions.
 *
 * One SQLite database (WAL, synchronous=FULL, mode 0600) and one thread, which alone touches it. Others post
 * jobs and go on. Jobs are carried out in the order they were posted; as many as are waiting share one
 * transaction, and a job is `done` only after that is on the disk. So a job that drops a row always finds the
 * job that put it done or failed before.
 *
 *   row      one record that waits, with the name of its rule and action
 *   queue    the rows of one action and one stream (Kafka: one topic), known by a small number
 *   origin   the message a record was made from: kept where the rule has an error action
 *   letter   a dead letter: a record that failed for good, or a message whose rule did
 *
 * What happens when the disk does not want: a job that puts is answered STORE_FULL or STORE_FAILED and
 * nothing of it is there; the caller keeps what it has and tries again. A job that drops always succeeds in
 * the end: the store tries again by itself, and an unlucky crash before that only sends something twice; only
 * when its port goes while the disk refuses is it given up, and answered STORE_FAILED. After a crash a row
 * that was refused may be there all the same, if the disk had it and could not say so. */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_port;

struct store_options {
    const char *path;       /* of the database; its folder must exist */
    int64_t max_bytes;      /* of all rows: delivery.store.max */
    int64_t dead_max_bytes; /* of all letters: then the oldest go */
};

/* Open or make the database, take the lock that keeps a second daemon out, bring a torn database back (what
 * can be read of it is kept, the damaged file is put aside, and both are logged), start the thread. Blocks.
 *
 * A database that can be read is opened, though nothing can be written: rows are read, puts are refused until
 * the disk takes them, rows that are dropped stay dropped for as long as the process lives. NULL with `err`:
 * ERR_IO where time may help (a disk that is full or fails before anything is read, a folder that is not
 * there, a right that is missing): call it again. Any other code: nothing will (another daemon has it, it is
 * somebody else's file or a later version's, it is no file). */
struct store *store_open(const struct store_options *options, struct err *err);
/* Carry out all that was posted and can be, and close. No port may be open. NULL is a no-op. */
void store_close(struct store *store);

/* ---- queues ---- */

enum { STORE_ERROR_ACTION = -1 }; /* the place of a rule's error action */

/* What a queue is known by. `type` is the action's ("kafka"). */
struct store_name {
    struct span rule, type, stream;
    int action; /* its place in the rule's actions, or STORE_ERROR_ACTION */
};

/* The number of that queue, made if new (and written with its first row). 0: no memory. Any thread. */
uint32_t store_queue(struct store *store, const struct store_name *name);
/* The same, but a new one is made only while there are fewer than `most`: else 0. Each costs some 300 bytes,
 * until the process ends. */
uint32_t store_queue_below(struct store *store, const struct store_name *name, uint32_t most);

struct store_queue {
    uint32_t id;
    struct store_name name; /* valid during the call */
    uint64_t rows, bytes;   /* bytes: of records and origins */
    int64_t oldest_ms;      /* epoch: at_ms of its first row */
};

/* Every queue that has rows, as committed. `seen` is called on the caller's thread, under the store's lock:
 * it must not call the store. Any thread. */
void store_each_queue(struct store *store, void (*seen)(void *context, const struct store_queue *queue),
                      void *context);

/* Changes whenever another process changed the database (`topicrule dead`): then look at the queues again.
 * Rows may be gone; and rows that are sent again have numbers above all that were given until then, which a
 * caller who puts rows with numbers given before must not take for the end of the queue. Any thread; cheap.
 */
uint64_t store_changes(const struct store *store);

/* What the wall clock showed `age_ms` ago: rows with at_ms before that are older. Time that only the wall
 * clock says has passed does not count, nor does more than an hour in which no daemon ran: history.h. Any
 * thread. */
int64_t store_before(struct store *store, int64_t age_ms);

/* ---- jobs ---- */

/* The first of `count` numbers for rows, consecutive, ascending, never given again, over restarts too: these
 * begin at a multiple of 2^40. Any thread; does not wait. */
int64_t store_numbers(struct store *store, size_t count);

/* All spans are borrowed until the job is done. `record` and `origin` as row.h writes them. */
struct store_row {
    int64_t number; /* from store_numbers: rows of a queue are read in this order */
    uint32_t queue;
    int64_t at_ms; /* epoch: when the record came to be */
    struct span record;
    struct span origin; /* data NULL: none */
};

struct store_letter {
    struct store_name name; /* stream: where it was to go; empty when there is no record */
    int64_t at_ms;
    struct span code, reason;   /* "MSG_SIZE_TOO_LARGE", a sentence */
    struct span record, origin; /* data NULL: none. One of them is there. */
};

enum store_work {
    STORE_PUT,  /* rows[0..count) */
    STORE_DROP, /* numbers[0..count): their rows are delivered */
    STORE_MISS, /* letters[0..count): new dead letters */
    /* Rows become dead letters, all or none: numbers[0..count). One that is not there any more is passed
       over; says in `result.buried_rows` how many were. */
    STORE_BURY,
    /* The oldest rows of queues[0..count) become dead letters: those with at_ms < before_ms, and as many more
     * as make at least `bury_bytes`. Says in `result.rows` and `result.bytes` how many. */
    STORE_BURY_OLD,
    /* The rows of queues[0..count) with numbers over `after`, in their order, at most `most_rows` of them and
     * about `most_bytes` (one at least). */
    STORE_READ,
    STORE_FETCH, /* the rows numbers[0..count), those of them that are there */
    STORE_OWN,   /* of the store itself, never posted */
};

enum store_answer {
    STORE_DONE,
    STORE_FULL,   /* the disk is full, or max_bytes is met */
    STORE_FAILED, /* the disk fails: EIO, fsync, a damaged page */
};

/* Lies in the caller's memory, untouched by the caller from store_post until `done`. */
struct store_job {
    enum store_work work;
    size_t count;
    union {
        const struct store_row *rows;
        const struct store_letter *letters;
        const int64_t *numbers;
        const uint32_t *queues;
    };
    struct span code, reason; /* BURY, BURY_OLD */
    int64_t before_ms, bury_bytes;
    int64_t after;
    size_t most_rows, most_bytes;
    void (*done)(struct store_job *job); /* in store_port_poll */

    /* The answer. */
    enum store_answer answer;
    struct err err; /* unless STORE_DONE */
    struct {
        size_t count;           /* READ, FETCH */
        struct store_row *rows; /* one heap block with all they point to: free(rows); NULL if count is 0 */
        uint64_t buried_rows, buried_bytes;
    } result;

    /* The store's. */
    struct store_job *next;
    struct store_port *port;
};

/* Where one thread's answers come back. NULL with `err`. */
struct store_port *store_port_new(struct store *store, struct err *err);
/* Waits until every job posted through it is done; calls their `done`. NULL is a no-op. */
void store_port_free(struct store_port *port);
int store_port_fd(const struct store_port *port); /* readable when poll has something to do */
void store_port_poll(struct store_port *port);    /* calls `done` */
void store_post(struct store_port *port, struct store_job *job);

/* ---- subscriptions ---- */

/* Identifiers of topic filters: once given, a filter keeps its own and no other filter ever gets it, because
 * a message that the broker queued arrives with the identifier that it was queued under. A filter has
 * the same one even in a new database, after one that was lost. These two block; before lanes start,
 * or between batches. */
enum { STORE_FIRST_ID = 2 };
/* ids[i] for filters[i]; from STORE_FIRST_ID to 268,435,455 (MQTT 5.0, section 3.8.2.1.2). 0, or -1 with
 * `err`. */
int store_filter_ids(struct store *store, const char *const *filters, size_t count, uint32_t *ids,
                     struct err *err);
/* The filters that are known; `seen` must not call the store. */
int store_each_filter(struct store *store, void (*seen)(void *context, const char *filter, uint32_t id),
                      void *context, struct err *err);
/* The filters were unsubscribed, all in one transaction. Their identifiers stay taken. */
int store_forget_filters(struct store *store, const char *const *filters, size_t count, struct err *err);

/* ---- figures ---- */

struct store_figures {
    uint64_t rows, bytes;           /* waiting */
    uint64_t letters, letter_bytes; /* dead */
    uint64_t letters_dropped;       /* since the start, because of dead_max_bytes */
    uint64_t sent_again;            /* rows that were letters, since the start */
    uint64_t withdrawn;             /* rows that another process took away, since the start */
    uint64_t commits, failures;     /* since the start */
    uint64_t file_bytes;            /* database and log on disk */
    enum store_answer state;        /* of the last transaction that put something */
};
void store_figures(const struct store *store, struct store_figures *out); /* any thread */

#endif
