/* backend.h - what a place of secrets must be able to do. A new one is one file with one table, named in
 * secrets.c. */
#ifndef SECRETS_BACKEND_H
#define SECRETS_BACKEND_H

#include "secrets/secrets.h"

enum { SECRET_SIZE_MAX = 1 << 20, SECRET_ID_MAX = 1024, FILES_POLL_MS = 5000 };

/* Whether a stored secret is text or bytes: some places know, a file does not. */
enum stored_as { STORED_ANY, STORED_TEXT, STORED_BYTES };

struct stored {
    struct wiped *bytes; /* owned */
    enum stored_as as;
    bool is_line; /* typed by people: one line break at the end is not part of the text */
    char version[64];
};

struct backend; /* each type has its own */

struct backend_type {
    const char *name;
    const char *const *options; /* known names, ended by NULL */
    /* Check the options, open nothing remote. NULL with `err` (pos set to the option's where there is one).
     */
    struct backend *(*open)(const struct secrets_config *config, const struct option_group *from,
                            struct err *err);
    void (*close)(struct backend *backend); /* NULL is a no-op */
    /* The whole secret `id`. May block. 0, or -1 with `err` that says what to do; the caller puts the name of
     * the backend and the id in front. Thread safe. The code says what is to become of the last good value:
     * ERR_SECRET: there is no such secret; ERR_IO: the backend is away, for all secrets; any other: this one
     * cannot be had now. */
    int (*fetch)(struct backend *backend, struct span id, struct span role_arn, struct stored *out,
                 struct err *err);
    /* secrets_probe. NULL: opening it was proof enough. */
    int (*probe)(struct backend *backend, char *detail, struct err *err);
    /* Give up what blocks, from another thread: the end has come. NULL: nothing blocks for long. */
    void (*stop)(struct backend *backend);
    /* Do what is due in the background, as renewing a token. Returns when to come again, monotonic;
     * INT64_MAX: not before the next fetch. May block. NULL: there is nothing. */
    int64_t (*tend)(struct backend *backend);
    int64_t poll_ms; /* looking costs next to nothing: do it this often; 0: as the cache says */
};

extern const struct backend_type backend_directory, backend_credentials, backend_vault, backend_aws;

/* One backend under its name. */
struct place {
    char *name;
    const struct backend_type *type;
    struct backend *backend;
    /* The cache's: */
    bool away;
    struct err why;    /* it is away */
    unsigned failures; /* in a row, of the backend rather than of one secret */
    int64_t retry_ms;  /* monotonic: nothing is asked for in the background before */
    int64_t tend_ms;   /* monotonic: when the backend is to be tended; INT64_MAX: never */
};

/* The option's row, or NULL. */
const struct option_pair *backend_option(const struct option_group *from, const char *name);

/* ---- members of a JSON object (member.c) ---- */

/* The member `key` of the JSON object in `text`: a string's characters, other values as JSON. NULL with
 * `err`, which holds nothing of the text. */
struct wiped *member_of(struct span text, struct span key, struct err *err);

/* From here on jansson wipes what it frees, in the whole process. Call before threads start. */
void member_setup(void);

/* The bytes that base64 stands for. NULL with `err` (ERR_VALUE): it is none, or nothing. */
struct wiped *base64_secret(struct span text, struct err *err);

/* ---- files (file.c) ---- */

struct folder {
    int fd;          /* -1: none */
    char path[4096]; /* for messages */
    bool trusted;    /* its maker vouches for owner and mode: systemd */
};

/* Open and check the folder. 0, or -1 with `err`. */
int folder_open(struct folder *folder, const char *base, const char *path, bool trusted, struct err *err);
void folder_close(struct folder *folder);

/* Read the file `<id>` or `<id>.json`. Nothing outside of the folder is ever read. 0, or -1 with `err`. */
int folder_read(const struct folder *folder, struct span id, struct wiped **out, struct err *err);

/* What stands in one file, without the line break at its end: a token, a password. `shared`: others may read
 * it, as they may a Kubernetes service account's. 0, or -1 with `err` (ERR_VALUE). */
int file_secret(const char *path, bool shared, struct wiped **out, struct err *err);

/* The path, relative ones from the configuration's folder. Owned; NULL with `err` when memory is out. */
char *file_path(const struct secrets_config *config, const char *path, struct err *err);

#endif
