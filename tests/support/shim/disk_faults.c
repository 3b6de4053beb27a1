/* disk_faults.c - preloaded into the daemon: the disk under its store fills up, fails, or loses power.
 *
 *     CHAOS_DISK=FILE        the first byte of FILE, which stays mapped, says what happens from now on:
 *
 *     '0'   nothing
 *     'f'   full: every write that makes a file longer fails with ENOSPC
 *     'h'   full in the middle: such a write takes half of its bytes first
 *     'e'   every write fails with EIO
 *     's'   every fsync fails with EIO
 *     'w'   every write hangs until something else stands there
 *     'p'   the power goes at the next write: of what no fsync has covered, a part is undone, page by page as
 * a real disk would have it, and the process is killed
 *
 * Only files whose name begins with "store.db" are meant. Not the file "-shm", which is shared memory and no
 * part of what a disk keeps: it is removed when the power goes.
 *
 * Locks: a store has one thread that writes, but readers open and close, so the table has a lock. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name)) /* the one that this file stands before */

enum { FILES = 64, PAGE = 512, PATH = 512 };

/* What was there before a write that no fsync has covered. */
struct change {
    struct change *older;
    int64_t at, size_before;
    size_t size; /* of `bytes`, less than what was written where the file became longer */
    unsigned char bytes[];
};

/* Changes belong to the file, not to the descriptor: SQLite may have two on one. */
static struct file {
    char path[PATH];
    struct change *newest;
} files[FILES];
static struct file *of_fd[1024];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- what the test wants ---- */

static char wish(void)
{
    static const volatile char *page;
    const char *path = getenv("CHAOS_DISK");

    if (!page && path) {
        int fd = NEXT(open)(path, O_RDONLY | O_CLOEXEC);
        void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);

        if (mapped != MAP_FAILED)
            page = mapped;
    }
    return page ? *page : '0';
}

/* ---- which descriptors are the store's ---- */

static bool is_store(const char *path)
{
    const char *name = strrchr(path, '/');
    size_t length = strlen(path);

    name = name ? name + 1 : path;
    return strncmp(name, "store.db", 8) == 0 && length < PATH && strcmp(path + length - 4, "-shm") != 0;
}

static void watch(int fd, const char *path)
{
    if (fd < 0 || fd >= 1024 || !is_store(path))
        return;
    (void)pthread_mutex_lock(&lock);
    struct file *free_one = NULL, *file = NULL;

    for (int i = 0; i < FILES; i++) {
        if (strcmp(files[i].path, path) == 0)
            file = &files[i];
        else if (!files[i].path[0] && !free_one)
            free_one = &files[i];
    }
    if (!file && free_one) {
        file = free_one;
        (void)snprintf(file->path, sizeof file->path, "%s", path);
    }
    of_fd[fd] = file;
    (void)pthread_mutex_unlock(&lock);
}

static struct file *file_of(int fd)
{
    return fd >= 0 && fd < 1024 ? of_fd[fd] : NULL;
}

/* ---- what a power cut would undo ---- */

static void remember(struct file *file, int fd, int64_t at, size_t size)
{
    struct stat now;

    if (fstat(fd, &now) != 0)
        return;
    size_t there = at >= now.st_size                   ? 0
                   : (size_t)(now.st_size - at) < size ? (size_t)(now.st_size - at)
                                                       : size;
    struct change *change = malloc(sizeof *change + there);

    if (!change)
        return;
    ssize_t got = there ? pread(fd, change->bytes, there, at) : 0;
    *change = (struct change){.older = file->newest, .at = at, .size_before = now.st_size};
    change->size = got > 0 ? (size_t)got : 0;
    file->newest = change;
}

static void forget(struct file *file)
{
    while (file->newest) {
        struct change *change = file->newest;

        file->newest = change->older;
        free(change);
    }
}

/* Newest first, so that the oldest bytes win where a page was written twice and both are undone. */
static void undo(struct file *file, unsigned *seed)
{
    int fd = NEXT(open)(file->path, O_RDWR | O_CLOEXEC);
    int64_t size = -1;

    for (struct change *change = file->newest; change; change = change->older) {
        for (size_t at = 0; at < change->size; at += PAGE) {
            size_t some = change->size - at < PAGE ? change->size - at : PAGE;

            if (rand_r(seed) % 4 != 0) /* the disk had some of it already */
                (void)!NEXT(pwrite)(fd, change->bytes + at, some, (off_t)(change->at + (int64_t)at));
        }
        size = change->size_before;
    }
    if (size >= 0 && rand_r(seed) % 4 != 0)
        (void)!ftruncate(fd, (off_t)size);
    (void)close(fd);
}

static void power_cut(void)
{
    unsigned seed = (unsigned)getpid();

    for (int i = 0; i < FILES; i++) {
        if (!files[i].path[0])
            continue;
        undo(&files[i], &seed);
        char *shared = NULL;
        if (asprintf(&shared, "%s-shm", files[i].path) > 0)
            (void)unlink(shared);
    }
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* ---- the calls ---- */

/* Before a write of `size` at `at`: how much of it the disk takes, or -1 with errno. */
static ssize_t before(int fd, struct file *file, int64_t at, size_t size)
{
    struct stat now = {0};
    bool longer = fstat(fd, &now) == 0 && at + (int64_t)size > now.st_size;

    while (wish() == 'w')
        (void)poll(NULL, 0, 20);
    const char now_wish = wish();

    if (now_wish == 'p')
        power_cut();
    if (now_wish == 'e') {
        errno = EIO;
        return -1;
    }
    if ((now_wish == 'f' || (now_wish == 'h' && size < 2)) && longer) {
        errno = ENOSPC;
        return -1;
    }
    remember(file, fd, at, size);
    return (ssize_t)(now_wish == 'h' && longer ? size / 2 : size);
}

typedef ssize_t write_function(int fd, const void *bytes, size_t size, off_t at);

static ssize_t write_at(write_function *real, int fd, const void *bytes, size_t size, off_t at)
{
    struct file *file = file_of(fd);

    if (!file)
        return real(fd, bytes, size, at);
    (void)pthread_mutex_lock(&lock);
    ssize_t some = before(fd, file, at, size);
    ssize_t done = some < 0 ? -1 : real(fd, bytes, (size_t)some, at);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t write_here(int fd, const void *bytes, size_t size, off_t at)
{
    (void)at;
    return NEXT(write)(fd, bytes, size);
}

static int sync_file(int (*real)(int fd), int fd)
{
    struct file *file = file_of(fd);
    int status = -1;

    if (!file)
        return real(fd);
    (void)pthread_mutex_lock(&lock);
    if (wish() == 's')
        errno = EIO;
    else if ((status = real(fd)) == 0)
        forget(file);
    (void)pthread_mutex_unlock(&lock);
    return status;
}

/* A truncation counts as kept at once, with all that was written before it. */
static int truncate_file(int (*real)(int fd, off_t size), int fd, off_t size)
{
    struct file *file = file_of(fd);

    if (!file)
        return real(fd, size);
    (void)pthread_mutex_lock(&lock);
    forget(file);
    int status = real(fd, size);
    (void)pthread_mutex_unlock(&lock);
    return status;
}

/* The error of making a file longer in advance; 0: go on. */
static int reserve_error(int fd, off_t end)
{
    struct stat now = {0};
    const char now_wish = file_of(fd) ? wish() : '0';

    if (now_wish == 'e')
        return EIO;
    return strchr("fh", now_wish) && fstat(fd, &now) == 0 && end > now.st_size ? ENOSPC : 0;
}

static int reserve(int (*real)(int fd, int mode, off_t at, off_t size), int fd, int mode, off_t at,
                   off_t size)
{
    errno = reserve_error(fd, at + size);
    return errno ? -1 : real(fd, mode, at, size);
}

static bool has_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

static int opened(int fd, const char *path)
{
    watch(fd, path);
    return fd;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are reserved */
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return write_at(NEXT(pwrite), fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return write_at(NEXT(pwrite64), fd, bytes, size, at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return write_at(write_here, fd, bytes, size, file_of(fd) ? lseek(fd, 0, SEEK_CUR) : 0);
}

int fsync(int fd)
{
    return sync_file(NEXT(fsync), fd);
}

int fdatasync(int fd)
{
    return sync_file(NEXT(fdatasync), fd);
}

int ftruncate(int fd, off_t size)
{
    return truncate_file(NEXT(ftruncate), fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return truncate_file(NEXT(ftruncate64), fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    return reserve(NEXT(fallocate), fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
    return reserve(NEXT(fallocate64), fd, mode, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    int error = reserve_error(fd, at + size);

    return error ? error : NEXT(posix_fallocate)(fd, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    int error = reserve_error(fd, at + size);

    return error ? error : NEXT(posix_fallocate64)(fd, at, size);
}

int open(const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = has_mode(flags) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(NEXT(open)(path, flags, mode), path);
}

int open64(const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    mode_t mode = has_mode(flags) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(NEXT(open64)(path, flags, mode), path);
}

int close(int fd)
{
    if (file_of(fd)) {
        (void)pthread_mutex_lock(&lock);
        of_fd[fd] = NULL;
        (void)pthread_mutex_unlock(&lock);
    }
    return NEXT(close)(fd);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
