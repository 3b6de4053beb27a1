/* The files beside the database: the lock that keeps a second daemon out, and room that is given up when the
 * disk is full, so that what was delivered can still be deleted. */
#include "store_base.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* As much as the log may hold: all of it must find room in the file before it can begin anew. */
enum { RESERVE = 16 << 20, AGAIN_MS = 1000 };

static int open_beside(const char *path, const char *suffix, struct err *err)
{
    char name[PATH_MAX];

    if (snprintf(name, sizeof name, "%s%s", path, suffix) >= (int)sizeof name)
        return err_set(err, ERR_VALUE, "%s: the path is too long", path);
    const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot make %s: %s", name, strerror(errno));
    return fd;
}

/* flock(2) and a file of its own: closing any descriptor of a file ends the fcntl(2) locks on it, SQLite's
 * too. The kernel lets go of it whatever becomes of us. */
static int take_lock(struct base *base, struct err *err)
{
    char text[32] = "";

    base->lock = open_beside(base->path, ".lock", err);
    if (base->lock < 0)
        return -1;
    if (flock(base->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return err_set(err, ERR_IO, "%s.lock: %s", base->path, strerror(errno));
        const ssize_t size = pread(base->lock, text, sizeof text - 1, 0);
        const long process = size > 0 ? strtol(text, NULL, 10) : 0;

        return err_set(err, ERR_IO,
                       "%s is the store of another topicrule that runs (process %ld). "
                       "Each daemon needs one of its own: delivery.store.path",
                       base->path, process);
    }
    const int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(base->lock, 0) != 0 || pwrite(base->lock, text, (size_t)size, 0) != size)
        errno = 0; /* a full disk: the lock holds without its text */
    return 0;
}

bool base_was_here(const char *path)
{
    char name[PATH_MAX];

    return snprintf(name, sizeof name, "%s.reserve", path) < (int)sizeof name && access(name, F_OK) == 0;
}

int base_reserve_init(struct base *base, struct err *err)
{
    if (take_lock(base, err) != 0)
        return -1;
    base->reserve = open_beside(base->path, ".reserve", err);
    if (base->reserve < 0)
        return -1;
    base->has_reserve = posix_fallocate(base->reserve, 0, RESERVE) == 0;
    return 0;
}

void base_reserve_done(struct base *base)
{
    if (base->reserve >= 0)
        (void)close(base->reserve);
    if (base->lock >= 0)
        (void)close(base->lock);
    base->reserve = base->lock = -1;
}

void base_give_reserve(struct base *base)
{
    if (base->has_reserve && ftruncate(base->reserve, 0) == 0)
        base->has_reserve = false;
    base->reserve_ms = clock_mono_ms() + AGAIN_MS;
    if (base->db &&
        sqlite3_wal_checkpoint_v2(base->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK)
        base->log_pages = 0;
}

bool base_has_room(struct base *base)
{
    const int64_t now = clock_mono_ms();

    if (!base->has_reserve && now >= base->reserve_ms) {
        base->has_reserve = posix_fallocate(base->reserve, 0, RESERVE) == 0;
        if (!base->has_reserve)
            (void)!ftruncate(base->reserve, 0);
        base->reserve_ms = now + AGAIN_MS;
    }
    return base->has_reserve;
}
