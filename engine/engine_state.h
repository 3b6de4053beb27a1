/* engine_state.h - what the daemon consists of, for the files that run it: engine.c and reload.c. */
#ifndef ENGINE_ENGINE_STATE_H
#define ENGINE_ENGINE_STATE_H

#include "engine/engine.h"

#include "admin.h"
#include "backlog.h"
#include "dropped.h"
#include "generation.h"
#include "opening.h"
#include "reload.h"
#include "renewal.h"

struct engine {
    struct engine_options options;
    int wake_fd;
    atomic_bool stopping;
    struct generation *now;    /* the rules that run */
    struct lane *_Atomic lane; /* of it, while engine_run runs, and after */
    struct store *store;       /* NULL: none, or not open yet */
    struct opening opening;
    struct admin *admin; /* NULL: nowhere */
    struct watch *watch; /* of what the broker drops */
    struct backlog backlog;
    struct renewal renewal;
    struct reload reload;

    int64_t started_ms, status_ms, watchdog_ms;
    int64_t started_wall_ms;
    bool told_ready;
};

/* Tell systemd what is due. */
void engine_tell_systemd(struct engine *engine);
/* What the admin looks at. */
struct subject engine_subject(struct engine *engine);
/* Wait for a signal, at most so long. */
void engine_pause(struct engine *engine, int wait_ms);

#endif
