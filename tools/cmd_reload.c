/* topicrule reload: the daemon that runs reads configuration and rules anew. */
#include "ask.h"
#include "base/auto.h"
#include "base/clock.h"
#include "command.h"
#include "paint.h"

#include <poll.h>

enum { WAIT_MS = 120000, LOOK_MS = 100 };

static const struct usage usage = {
    .command = "reload",
    .synopsis = "[-c FILE] [--admin ADDRESS] [--json]",
    .text = "Have the daemon that runs read its configuration and its rules anew, and say what came of it.\n"
            "All or nothing: if anything is wrong with them, the former ones run on. No message is lost,\n"
            "and the connection to the broker stays. What mqtt.url, secrets.backends and others say needs a\n"
            "restart; the answer names the key.\n\n"
            "exit status: 0 the new rules run; 2 refused, or wrong usage; 3 no daemon answers\n",
    .rows = ask_rows,
};

DEFINE_DROP(json, json_t *, json_decref)

/* What the daemon answers, as an object; NULL with `*status`, told on standard error. */
static json_t *take_answer(enum ask_answer answer, struct buf *text, struct err *err, int *status)
{
    json_t *root = answer == ASK_HERE ? json_loadb(text->data, text->size, 0, NULL) : NULL;

    if (answer == ASK_HERE && !json_is_object(root)) {
        answer = ASK_BROKEN;
        (void)err_set(err, ERR_SYNTAX, "what is answered is no JSON object");
        json_decref(root);
        root = NULL;
    }
    buf_done(text);
    if (root)
        return root;
    paint_err(err, stderr);
    *status = answer == ASK_NOBODY ? STATUS_AWAY : STATUS_BAD;
    return NULL;
}

/* Until the request with that number is done. */
static json_t *wait_for(const struct listen *where, long long number, int *status)
{
    const int64_t until_ms = clock_mono_ms() + WAIT_MS;
    struct err err = {0};

    while (clock_mono_ms() < until_ms) {
        struct buf text;
        enum ask_answer answer = ask_page(where, "/reload", &text, &err);
        json_t *root = take_answer(answer, &text, &err, status);

        if (!root || ask_count(root, "done") >= number)
            return root;
        json_decref(root);
        (void)poll(NULL, 0, LOOK_MS);
    }
    (void)err_set(&err, ERR_IO, "the daemon has not finished within %d s; its log says more", WAIT_MS / 1000);
    paint_err(&err, stderr);
    *status = STATUS_BAD;
    return NULL;
}

int cmd_reload(int argc, char **argv)
{
    struct err err = {0};
    struct buf text;
    struct ask ask;
    int status;

    if (!ask_begin(&usage, argc, argv, &ask, &status))
        return status;
    enum ask_answer answer = ask_post(&ask.where, "/reload", &text, &err);
    AUTO(json_drop) json_t *ticket = take_answer(answer, &text, &err, &status);
    if (!ticket)
        return status;
    AUTO(json_drop) json_t *root = wait_for(&ask.where, ask_count(ticket, "number"), &status);
    if (!root)
        return status;
    const bool refused = json_is_true(json_object_get(root, "refused"));
    if (ask.json) {
        (void)json_dumpf(root, stdout, 0);
        (void)putchar('\n');
    } else {
        FILE *out = refused ? stderr : stdout;

        for (const char *at = ask_text(root, "text"); *at; at += strcspn(at, "\n") + 1) {
            AUTO(buf_done) struct buf line = BUF_INIT;

            buf_add(&line, at, strcspn(at, "\n"));
            paint_put(line.data ? line.data : "", out);
            (void)putc('\n', out);
            if (!at[strcspn(at, "\n")])
                break;
        }
    }
    return refused ? STATUS_BAD : STATUS_FINE;
}
