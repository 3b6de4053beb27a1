/* store_state.h - what the files of the store share. Nobody else includes it.
 *
 *   store.c          the callers' side: jobs, ports, numbers; the thread and its rhythm
 *   store_answer.c   a group of jobs is tried, refused, answered
 *   store_transaction.c   all of a group or nothing, here as in the database
 *   store_work.c     what each kind of job does
 *   store_tick.c     the start; what another process did; tidying up
 *   store_letter.c   letters: new, buried, dropped, sent again
 *   store_read.c     READ and FETCH
 *   store_queue.c    queues by name, by number and by their row in the database
 *   store_base.c     the database itself: opening it, its schema, its statements, log and size
 *   store_reserve.c  the lock, and the room kept for deleting
 *   store_salvage.c  a damaged database becomes a new one
 *   store_filter.c   identifiers of subscriptions
 *
 * What the thread alone touches needs no lock, and says so. */
#ifndef ENGINE_STORE_STATE_H
#define ENGINE_STORE_STATE_H

#include "history.h"
#include "store.h"
#include "store_base.h"

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>

struct store_call;

/* ---- queues ---- */

struct queue {
    uint32_t id;            /* what callers know it by, from 1 */
    struct store_name name; /* texts lie behind this struct */
    /* Under the lock; written by the thread. As committed. */
    uint64_t rows, bytes;
    int64_t oldest_ms;
    /* The thread's, within a transaction. */
    int64_t key; /* its row in the database; 0: none yet */
    int64_t more_rows, more_bytes;
    int64_t first_ms;     /* oldest_ms to be */
    bool touched;         /* in `struct queues`.touched */
    bool is_new;          /* `key` goes when the transaction fails */
    bool first_uncertain; /* the oldest row may be another now */
};

enum { QUEUE_BLOCK = 1024, QUEUE_BLOCKS = 4096 };

/* Blocks, so that an entry never moves: the thread reads them while others add. */
struct queues {
    struct queue **blocks[QUEUE_BLOCKS];
    uint32_t count;
    uint32_t *by_name, *by_key; /* open addressing, ids, 0 free; by_key is the thread's */
    size_t name_room, key_room;
    struct queue **touched; /* the thread's; room for all */
    size_t touched_count, touched_room;
};

void queues_done(struct queues *queues);
/* Under the lock. NULL: there is none. */
struct queue *queues_known(const struct queues *queues, const struct store_name *name);
/* The same, made if new. NULL: no memory. */
struct queue *queues_of_name(struct queues *queues, const struct store_name *name);
struct queue *queues_at(const struct queues *queues, uint32_t id); /* NULL: no such */
/* The thread's. */
struct queue *queues_of_key(const struct queues *queues, int64_t key); /* NULL: no such */
/* The thread's, under the lock; SQLite's codes. After keys were taken away: queues_rekey. */
int queues_set_key(struct queues *queues, struct queue *queue, int64_t key);
int queues_rekey(struct queues *queues);
int queues_touch(struct queues *queues, struct queue *queue);

/* ---- the store ---- */

/* A number is the count of starts, and a count from there: so none comes twice, and none has to be written
 * before it is given. */
enum { NUMBER_BITS = 40 };

struct store {
    struct store_options options;
    char *path;
    _Atomic int64_t next_number;
    _Atomic uint64_t changes;

    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the thread: work, or the end */
    struct store_job *first, **last;
    size_t drops_only; /* numbers in the jobs that wait, if all of them drop; SIZE_MAX if not */
    int64_t since_ms;  /* when the first of them came */
    unsigned hurried;  /* ports that wait for their last jobs */
    bool stopping, waiting;
    struct queues queues;
    struct store_figures figures;
    struct history history;
    int64_t set_ms; /* by how much the wall clock was set, and not in the log yet */

    /* The thread's. */
    pthread_t thread;
    bool started;
    struct base base;
    struct store_job *stuck; /* drops that the disk refused, in order: the store's to try again */
    int64_t *missing;        /* the numbers in them, ascending */
    size_t missing_count;
    int64_t *doubtful; /* numbers whose commit failed: a log that is read again may bring them back */
    size_t doubtful_count;
    /* Within a transaction. */
    int64_t more_bytes, more_letters, more_letter_bytes, dropped_letters, sent_again;
    int64_t generation;                 /* of numbers, as the database has it */
    int64_t new_generation;             /* the one it has been given within a transaction; 0: none */
    uint64_t buried_rows, buried_bytes; /* within a transaction */
    bool proven;                        /* the disk has taken something since it last failed, or we began */
    bool recount;                       /* what is counted here may not be what is there */
    bool reloaded;                      /* another process changed it: tell */
    bool retries;                       /* letters wait to go back to their queues */
    int64_t log_told_ms;                /* monotonic: when the size of the log may be told again */
    int64_t note_ms;                    /* monotonic: when the time is noted again */
    int64_t tick_ms;                    /* monotonic: the next store_tick */
    enum store_answer told;             /* what the last line in the log said */
    int64_t bad_ms;                     /* monotonic: when something was last refused */
    int64_t letters_told_ms;
    uint64_t letters_untold; /* dropped, and not in the log yet */
};

struct store_port {
    struct store *store;
    int event;                       /* eventfd: `first` is there */
    size_t open;                     /* its owner's: posted, and not done */
    bool closing;                    /* under the lock */
    struct store_job *first, **last; /* under the lock: answered */
};

/* From here on all is the thread's; codes are SQLite's. */

/* store_transaction.c: all of these jobs (NULL: none but what is left to do), or nothing. `more`: the
 * BURY_OLD among them is not at its end. The code, SQLITE_FULL for every disk that is; with `err`. */
int store_attempt(struct store *store, struct store_job *jobs, bool *more, struct err *err);
bool store_writes(const struct store_job *job);
int store_load_counts(struct store *store);

/* store_answer.c */
void store_carry_out(struct store *store, struct store_job *jobs);
/* The stuck drops are done; or, with `err`, given up for those whose port goes. */
void store_release(struct store *store, const struct err *err);

/* How the disk is, for the log and the figures: one line for each change. */
void store_tell(struct store *store, enum store_answer answer, const struct err *err);
enum store_answer store_answer_of(int code);
/* A code from outside of transactions: closes the database if it cannot be trusted any more, and tells. */
void store_check(struct store *store, int code);

/* store_tick.c */
void store_tick(struct store *store); /* what another process did; what can be tidied up */
/* What there is, read: that much of the disk must work. What is to be written at a start is tried once and,
 * if the disk does not want, with each tick. 0, or -1 with `err`. */
int store_load(struct store *store, struct err *err);

void store_answer(struct store *store, struct store_job *job); /* store.c: hand it back */
void store_again(struct store *store, struct store_job *job);  /* store.c: at the end of the line */

/* store_tick.c: what the clocks show, into store->history. Under the lock. */
void store_look_at_clocks(struct store *store);

/* store_letter.c: within a transaction. */
int store_miss(struct store *store, const struct store_letter *letter);
int store_bury(struct store *store, int64_t number, const struct store_job *job);
int store_limit_letters(struct store *store); /* the oldest go */
/* Some of the letters that wait to go back. `call->job.count`: 0 if none is left; `result.count`: how many.
 */
int store_retry(struct store *store, struct store_call *call);

/* store_work.c: within a transaction. */
int store_do(struct store *store, struct store_job *job, bool *more);
int store_drop_numbers(struct store *store, const int64_t *numbers, size_t count);
int store_compare(const void *a, const void *b); /* of numbers, for qsort */
int store_queue_key(struct store *store, struct queue *queue);
int store_count(struct store *store, struct queue *queue, int64_t rows, int64_t bytes);
int store_put(struct store *store, struct queue *queue, const struct store_row *row);
int store_keep_generation(struct store *store, int64_t number); /* that of a number that is given */
int store_drop(struct store *store, int64_t first, int64_t last);

/* store_read.c */
bool store_is_missing(const struct store *store, int64_t number);
int store_select(struct store *store, struct store_job *job);
int store_fetch(struct store *store, struct store_job *job);

/* Oldest first through several queues, number after number. */
struct merge;
struct merge *merge_new(struct store *store, const uint32_t *queues, size_t count, int64_t after,
                        size_t most);
int merge_next(struct merge *merge, int64_t *number); /* SQLITE_ROW, SQLITE_DONE or what went wrong */
void merge_free(struct merge *merge);

/* A job of another kind (STORE_OWN), for those who wait: `run` on the thread, in a transaction. */
struct store_call {
    struct store_job job;
    int (*run)(struct store *store, struct store_call *call);
};
int store_wait(struct store *store, struct store_call *call, struct err *err); /* store.c */

#endif
