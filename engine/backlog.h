/* backlog.h - what waits on the disk, told in the log: once when it begins, now and then while it becomes
 * less, once when it is gone. A line for each rule, whose records may be for many streams.
 *
 * Looks at what the store has committed, so it costs nothing where records go. Belongs to one thread. */
#ifndef ENGINE_BACKLOG_H
#define ENGINE_BACKLOG_H

#include "store.h"

enum {
    BACKLOG_RULES = 32,  /* told of at a time; those beyond wait for a free place */
    BACKLOG_NAME = 132,  /* bytes of a rule's name, terminated */
    BACKLOG_STREAM = 64, /* bytes of a stream's name that are shown */
};

struct backlog_rule {
    char rule[BACKLOG_NAME], stream[BACKLOG_STREAM]; /* stream: that of its fullest queue */
    uint64_t rows, queues, fullest;                  /* as last seen */
    uint64_t most, told_rows;
    int64_t since_ms, told_ms; /* monotonic */
    bool told;
};

/* All zero at first. */
struct backlog {
    struct backlog_rule rules[BACKLOG_RULES];
    size_t count;
    int64_t due_ms;
};

/* What is due at that time. `store` NULL: nothing ever is. */
void backlog_turn(struct backlog *backlog, struct store *store, int64_t now_ms);

/* ---- its parts, for tests ---- */

/* A queue that has rows; the context is a backlog, as store_each_queue hands it on. */
void backlog_see(void *context, const struct store_queue *queue);
/* All are seen: what is to be said, each line by one call. */
void backlog_tell(struct backlog *backlog, int64_t now_ms, void (*say)(const char *line));

#endif
