/* tools/ask.h - ask the daemon that runs, at its admin address: what `status`, `secrets` and `reload` share.
 */
#ifndef TOOLS_ASK_H
#define TOOLS_ASK_H

#include "options.h"
#include "rules/listen.h"

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

/* The options of such a command, and its table of them. */
enum { ASK_CONFIG, ASK_ADMIN, ASK_JSON, ASK_OPTIONS };
extern const struct option_row ask_rows[];

struct ask {
    struct listen where;
    bool json; /* the answer as it comes */
};

/* Read the command line, and where the daemon listens. True to go on; else `*status` is the command's end. */
bool ask_begin(const struct usage *usage, int argc, char **argv, struct ask *ask, int *status);

enum ask_answer {
    ASK_HERE,
    ASK_NOBODY, /* with `err`: no daemon answers */
    ASK_BROKEN, /* with `err`: what answers is no daemon of ours, or says no */
};
/* GET `path`, or POST nothing to it. The body in `*out`, which buf_done frees either way. Waits ten seconds
 * at most. */
enum ask_answer ask_page(const struct listen *where, const char *path, struct buf *out, struct err *err);
enum ask_answer ask_post(const struct listen *where, const char *path, struct buf *out, struct err *err);

/* The page as JSON: an owned value, or NULL with `*status`, once the failure is told on standard error, or
 * once the answer is printed as it comes because the user wants JSON (then `*status` is what `judge` makes of
 * it). */
json_t *ask_json(const struct ask *ask, const char *path, int (*judge)(const json_t *), int *status);

/* ---- what is shown of an answer; wrong types are shown as nothing, so that a newer daemon is no puzzle ----
 */

const char *ask_text(const json_t *object, const char *key); /* "" */
long long ask_count(const json_t *object, const char *key);  /* 0 */
/* 41s, 12m, 3h 12m, 5d 3h; "-" if it is not there. In `out` of 32 bytes. */
const char *ask_age(const json_t *object, const char *key, char *out);
/* 512 B, 1.5 MiB. In `out` of 32 bytes. */
const char *ask_size(long long bytes, char *out);

#endif
