/* directory.c - `type: directory`: the file <path>/<id> or <path>/<id>.json is the secret. */
#include "backend.h"

#include <stdlib.h>

struct backend {
    struct folder folder;
};

static struct backend *directory_open(const struct secrets_config *config, const struct option_group *from,
                                      struct err *err)
{
    const struct option_pair *path = backend_option(from, "path");
    struct backend *backend;

    if (!path || !path->value[0]) {
        err_at(err, ERR_VALUE, from->pos,
               "a directory of secrets needs its path, as in {type: directory, path: secrets}");
        return NULL;
    }
    backend = malloc(sizeof *backend);
    if (!backend) {
        err_memory(err);
        return NULL;
    }
    if (folder_open(&backend->folder, config->base_directory, path->value, false, err) != 0) {
        err->pos = path->pos;
        free(backend);
        return NULL;
    }
    return backend;
}

static void directory_close(struct backend *backend)
{
    if (backend)
        folder_close(&backend->folder);
    free(backend);
}

static int directory_fetch(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
                           struct err *err)
{
    (void)role_arn;
    *out = (struct stored){.as = STORED_ANY, .is_line = true};
    return folder_read(&backend->folder, id, &out->bytes, err);
}

static const char *const options[] = {"path", NULL};

const struct backend_type backend_directory = {
    .name = "directory",
    .options = options,
    .open = directory_open,
    .close = directory_close,
    .fetch = directory_fetch,
    .poll_ms = FILES_POLL_MS,
};
