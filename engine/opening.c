#include "opening.h"

#include "base/log.h"
#include "base/thread.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_MOST = 200 }; /* ms between two calls of go_on */

/* Held by the thread and by its caller, who may lose patience: the last of them frees it. */
struct attempt {
    struct store_options options;
    char *path;
    struct store *store;
    struct err err;
    atomic_bool done; /* the two above are there */
    atomic_int holders;
};

static void leave(struct attempt *attempt)
{
    if (atomic_fetch_sub(&attempt->holders, 1) > 1)
        return;
    store_close(attempt->store);
    free(attempt->path);
    free(attempt);
}

static void *run(void *argument)
{
    struct attempt *attempt = argument;

    attempt->store = store_open(&attempt->options, &attempt->err);
    atomic_store(&attempt->done, true);
    leave(attempt);
    return NULL;
}

/* Signals are for the main thread. */
static int start(struct attempt *attempt, struct err *err)
{
    pthread_t thread;
    const int error = thread_start(&thread, run, attempt);

    if (error)
        return err_set(err, ERR_LIMIT, "cannot start a thread: %s", strerror(error));
    (void)pthread_detach(thread);
    return 0;
}

static struct attempt *attempt_new(const struct store_options *options, struct err *err)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);

    if (attempt) {
        attempt->options = *options;
        attempt->options.path = attempt->path = strdup(options->path);
        atomic_init(&attempt->holders, 2);
    }
    if (attempt && attempt->path && start(attempt, err) == 0)
        return attempt;
    if (!attempt || !attempt->path)
        err_memory(err);
    if (attempt)
        free(attempt->path);
    free(attempt);
    return NULL;
}

static bool wait_for(const struct attempt *attempt, bool (*go_on)(void *context), void *context)
{
    for (int pause = 1; !atomic_load(&attempt->done);
         pause = 2 * pause < PAUSE_MOST ? 2 * pause : PAUSE_MOST) {
        (void)poll(NULL, 0, pause);
        if (!go_on(context))
            return false;
    }
    return true;
}

static void say(struct opening *opening, const char *problem)
{
    if (strcmp(problem, opening->problem) == 0)
        return;
    if (problem[0])
        log_warn("store", "%s; until then nothing is taken from the MQTT broker", problem);
    else
        log_info("store", "%s: open now", opening->options.path);
    (void)snprintf(opening->problem, sizeof opening->problem, "%s", problem);
}

int opening_try(struct opening *opening, bool (*go_on)(void *context), void *context, struct store **store,
                struct err *err)
{
    struct attempt *attempt = attempt_new(&opening->options, err);
    char problem[sizeof opening->problem] = "";
    int result = 0;

    if (!attempt)
        return -1;
    if (wait_for(attempt, go_on, context)) {
        *store = attempt->store;
        attempt->store = NULL;
        if (!*store) {
            *err = attempt->err;
            (void)snprintf(problem, sizeof problem, "waiting for the store: %s", err->text);
            result = err->code == ERR_IO ? 0 : -1;
        }
        if (result == 0)
            say(opening, problem);
    }
    leave(attempt);
    return result;
}
