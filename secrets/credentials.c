/* credentials.c - `type: credentials`: what systemd put into $CREDENTIALS_DIRECTORY (LoadCredential=,
 * LoadCredentialEncrypted=). systemd has set owner and mode; with an access list they look looser than they
 * are. */
#include "backend.h"

#include <stdlib.h>

struct backend {
    struct folder folder;
};

static struct backend *credentials_open(const struct secrets_config *config, const struct option_group *from,
                                        struct err *err)
{
    const char *path = getenv("CREDENTIALS_DIRECTORY");
    struct backend *backend;

    (void)config;
    if (!path || path[0] != '/') {
        err_at(
            err, ERR_VALUE, from->pos,
            "CREDENTIALS_DIRECTORY is not set: systemd sets it for a service that has LoadCredential= lines");
        return NULL;
    }
    backend = malloc(sizeof *backend);
    if (!backend) {
        err_memory(err);
        return NULL;
    }
    if (folder_open(&backend->folder, NULL, path, true, err) != 0) {
        err->pos = from->pos;
        free(backend);
        return NULL;
    }
    return backend;
}

static void credentials_close(struct backend *backend)
{
    if (backend)
        folder_close(&backend->folder);
    free(backend);
}

static int credentials_fetch(struct backend *backend, struct span id, struct span role_arn,
                             struct stored *out, struct err *err)
{
    (void)role_arn;
    *out = (struct stored){.as = STORED_ANY, .is_line = true};
    return folder_read(&backend->folder, id, &out->bytes, err);
}

static const char *const options[] = {NULL};

const struct backend_type backend_credentials = {
    .name = "credentials",
    .options = options,
    .open = credentials_open,
    .close = credentials_close,
    .fetch = credentials_fetch,
    .poll_ms = FILES_POLL_MS,
};
