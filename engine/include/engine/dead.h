/* engine/dead.h - the dead letters of a store, for `topicrule dead`. Works on the file, whether a daemon runs
 * on it or not: SQLite keeps the two apart, and a running daemon notices the change within a second.
 *
 * Many letters are worked on some at a time, so that a running daemon never waits long for the database; each
 * letter is wholly changed or not at all. */
#ifndef ENGINE_DEAD_H
#define ENGINE_DEAD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct dead;

/* Never makes a database. NULL with `err`: not there, not ours, no right. */
struct dead *dead_open(const char *path, struct err *err);
void dead_close(struct dead *dead); /* NULL is a no-op */

/* Which of them. All that is given must hold. */
struct dead_filter {
    int64_t id;        /* 0: any */
    const char *rule;  /* NULL: any */
    const char *code;  /* NULL: any */
    int64_t before_ms; /* epoch; 0: any */
    /* Not dead letters, but rows that wait: `id` is their number. With `exists`: only those for whose action
     * it says no, because the rule is gone or lacks it. */
    bool waiting;
    bool (*exists)(void *context, struct span rule, int action);
    void *context;
};

struct dead_letter {
    int64_t id;
    int64_t at_ms; /* epoch: when the record came to be */
    struct span rule, type;
    int action; /* its place in the rule, -1: the error action */
    struct span stream, code, reason;
    struct span record, origin; /* as engine/row.h writes them; data NULL: none */
};

/* Oldest first (of those that wait: one action and stream after the other). Texts are valid during the call.
 * `seen` returns false to stop. 0, or -1 with `err`. */
int dead_each(struct dead *dead, const struct dead_filter *filter,
              bool (*seen)(void *context, const struct dead_letter *letter), void *context, struct err *err);
/* One JSON object: all of the letter, record and message as row_print has them. */
int dead_print(const struct dead_letter *letter, struct buf *out, struct err *err);
/* Back to their queues, to be sent again, in their order after what waits there: by a daemon that runs within
 * a second, or else by the next one to start. `to` (NULL: as it is) names another rule, whose action at the
 * same place they are for from now on. Letters without a record stay; `*left` says how many. How many went
 * back, or -1 with `err`. */
int64_t dead_retry(struct dead *dead, const struct dead_filter *filter, const char *to, int64_t *left,
                   struct err *err);
/* Gone for good. How many, or -1 with `err`. */
int64_t dead_purge(struct dead *dead, const struct dead_filter *filter, struct err *err);

#endif
