#include "engine/store_path.h"

#include "base/buf.h"

#include <stdlib.h>

char *engine_store_path(const struct config *config, struct err *err)
{
    const char *path = config->delivery.store_path, *state = getenv("STATE_DIRECTORY");
    struct buf out = BUF_INIT;

    if (!path && state && *state) {
        buf_span(&out, (struct span){state, strcspn(state, ":")});
        buf_char(&out, '/');
    } else if ((!path || path[0] != '/') && strcmp(config->directory, ".") != 0) {
        buf_text(&out, config->directory);
        buf_char(&out, '/');
    }
    buf_text(&out, path ? path : "store.db");
    if (!out.failed)
        return out.data;
    buf_done(&out);
    err_memory(err);
    return NULL;
}
