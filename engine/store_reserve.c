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
#include <sys/stat.h>
#include <unistd.h>

/* As much as the log may hold: all of it must find room in the file before it can begin anew. */
enum { RESERVE = 16 << 20, AGAIN_MS = 1000 };

static int open_beside(const char *path, const char *suffix, int flags, struct err *err)
{
    char name[PATH_MAX];

    if (snprintf(name, sizeof name, "%s%s", path, suffix) >= (int)sizeof name)
        return err_set(err, ERR_VALUE, "%s: the path is too long", path);
    const int fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return err_set(err, base_code_of(errno), "cannot make %s: %s", name, strerror(errno));
    return fd;
}

/* flock(2) and a file of its own: closing any descriptor of a file ends the fcntl(2) locks on it, SQLite's
 * too. The kernel lets go of it whatever becomes of us. */
int base_lock(struct base *base, struct err *err)
{
    char text[sizeof base->notes] = "";
    struct stat info;

    base->lock = open_beside(base->path, ".lock", O_CREAT, err);
    if (base->lock < 0)
        return -1;
    const bool mine = flock(base->lock, LOCK_EX | LOCK_NB) == 0;
    if (!mine && errno != EWOULDBLOCK)
        return err_set(err, ERR_IO, "%s.lock: %s", base->path, strerror(errno));
    const ssize_t size = pread(base->lock, text, sizeof text - 1, 0);
    const long process = size > 0 ? strtol(text, NULL, 10) : 0;
    if (!mine)
        return err_set(err, ERR_VALUE,
                       "%s is the store of another topicrule that runs (process %ld). "
                       "Each daemon needs one of its own: delivery.store.path",
                       base->path, process);
    if (size > 0 && fstat(base->lock, &info) == 0) {
        base->seen_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
        (void)snprintf(base->notes, sizeof base->notes, "%s", text + strcspn(text, "\n"));
    }
    /* The old time, until the store is open: there may be another try. */
    base_note(base, base->notes + strspn(base->notes, "\n"), base->seen_ms ? base->seen_ms : clock_wall_ms());
    return 0;
}

void base_note(struct base *base, const char *notes, int64_t wall_ms)
{
    char text[sizeof base->notes + 32];
    const int size = snprintf(text, sizeof text, "%ld\n%s", (long)getpid(), notes);

    if (pwrite(base->lock, text, (size_t)size, 0) != size || ftruncate(base->lock, size) != 0)
        errno = 0; /* a full disk: the lock holds without its text */
    base_note_time(base, wall_ms);
}

void base_note_time(struct base *base, int64_t wall_ms)
{
    const struct timespec wall = {.tv_sec = wall_ms / 1000, .tv_nsec = wall_ms % 1000 * 1000000};
    const struct timespec times[] = {wall, wall};

    (void)futimens(base->lock, times);
}

bool base_find_reserve(struct base *base)
{
    struct stat info;
    struct err ignored;

    base->reserve = open_beside(base->path, ".reserve", 0, &ignored);
    base->has_reserve = base->reserve >= 0 && fstat(base->reserve, &info) == 0 && info.st_size >= RESERVE;
    return base->reserve >= 0;
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
    base->room_error = ENOSPC;
    base->reserve_ms = clock_mono_ms() + AGAIN_MS;
    if (base->db &&
        sqlite3_wal_checkpoint_v2(base->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK)
        base->log_pages = 0;
}

bool base_has_room(struct base *base)
{
    const int64_t now = clock_mono_ms();
    struct err ignored;

    if (base->has_reserve || now < base->reserve_ms)
        return base->has_reserve;
    errno = 0;
    if (base->reserve < 0)
        base->reserve = open_beside(base->path, ".reserve", O_CREAT, &ignored);
    base->room_error = base->reserve < 0 ? errno : posix_fallocate(base->reserve, 0, RESERVE);
    base->has_reserve = base->reserve >= 0 && base->room_error == 0;
    if (!base->has_reserve && base->reserve >= 0)
        (void)!ftruncate(base->reserve, 0);
    base->reserve_ms = now + AGAIN_MS;
    return base->has_reserve;
}
