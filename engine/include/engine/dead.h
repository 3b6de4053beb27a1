/* engine/dead.h - the dead letters of a store, for `topicrule dead`. Works on the file, whether a daemon runs
 * on it or not: SQLite keeps the two apart, and a running daemon notices the change within a second. */
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
void dead_close(struct dead *dead);

/* Which of them. All that is given must hold. */
struct dead_filter {
    int64_t id;        /* 0: any */
    const char *rule;  /* NULL: any */
    const char *code;  /* NULL: any */
    int64_t before_ms; /* epoch; 0: any */
    bool waiting;      /* not dead letters, but rows that wait for a rule that is gone, see dead_each */
};

struct dead_letter {
    int64_t id;
    int64_t at_ms;
    const char *rule, *type;
    int action; /* -1: the error action */
    struct span stream, code, reason;
    struct span record, origin; /* as engine/row.h writes them; data NULL: none */
};

/* Oldest first. Texts are valid during the call. `seen` returns false to stop. 0, or -1 with `err`. */
int dead_each(struct dead *dead, const struct dead_filter *filter,
              bool (*seen)(void *context, const struct dead_letter *letter), void *context, struct err *err);
/* One JSON object of record and origin (row_print). */
int dead_print(const struct dead_letter *letter, struct buf *out, struct err *err);
/* Back to their queues, to be sent again. Those without a record stay; `*left` says how many. How many went
 * back, or -1 with `err`. */
int64_t dead_retry(struct dead *dead, const struct dead_filter *filter, int64_t *left, struct err *err);
/* Gone for good. How many, or -1 with `err`. */
int64_t dead_purge(struct dead *dead, const struct dead_filter *filter, struct err *err);

#endif
