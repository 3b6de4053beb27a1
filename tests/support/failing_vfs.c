#include "failing_vfs.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES = 16, SECTOR = 512 };

/* A write, or (data NULL) a truncation to `offset`. */
struct change {
    struct change *next;
    int64_t offset;
    size_t size;
    unsigned char *data;
};

/* What the disk holds of a file, and what it was asked to hold since. */
struct image {
    char *path;
    unsigned char *bytes;
    size_t size;
    struct change *first, **last;
};

static struct {
    pthread_mutex_t lock;
    struct image images[IMAGES];
    unsigned calls;
    enum failing_error error;
    uint64_t after, count, met;
    bool cutting, cut;
    uint64_t cut_after;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_vfs vfs, *real_vfs;

struct file {
    sqlite3_file base;
    struct image *image;
    sqlite3_file *real; /* lies behind this struct */
};

/* ---- what the disk holds ---- */

static void *must(void *memory)
{
    assert(memory);
    return memory;
}

static void forget_changes(struct image *image)
{
    while (image->first) {
        struct change *next = image->first->next;

        free(image->first->data);
        free(image->first);
        image->first = next;
    }
    image->last = &image->first;
}

static void forget_image(struct image *image)
{
    if (!image->path)
        return;
    forget_changes(image);
    free(image->path);
    free(image->bytes);
    *image = (struct image){0};
}

static void resize(struct image *image, size_t size)
{
    image->bytes = must(realloc(image->bytes, size + 1));
    if (size > image->size)
        memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
}

static void apply(struct image *image, const struct change *change, size_t from, size_t to)
{
    const size_t at = (size_t)change->offset;

    if (!change->data) {
        resize(image, at);
    } else if (to > from) {
        if (at + to > image->size)
            resize(image, at + to);
        memcpy(image->bytes + at + from, change->data + from, to - from);
    }
}

static void add_change(struct image *image, int64_t offset, const void *data, size_t size)
{
    struct change *change = must(calloc(1, sizeof *change));

    change->offset = offset;
    change->size = size;
    if (data) {
        change->data = must(malloc(size + 1));
        memcpy(change->data, data, size);
    }
    *image->last = change;
    image->last = &change->next;
}

static void load(struct image *image)
{
    const int fd = open(image->path, O_RDONLY | O_CLOEXEC);
    unsigned char part[4096];
    ssize_t got;

    while (fd >= 0 && (got = read(fd, part, sizeof part)) > 0) {
        resize(image, image->size + (size_t)got);
        memcpy(image->bytes + image->size - (size_t)got, part, (size_t)got);
    }
    if (fd >= 0)
        (void)close(fd);
}

static struct image *find(const char *path)
{
    for (size_t i = 0; i < IMAGES; i++)
        if (disk.images[i].path && strcmp(disk.images[i].path, path) == 0)
            return &disk.images[i];
    return NULL;
}

static struct image *image_of(const char *path)
{
    struct image *image = find(path);

    for (size_t i = 0; i < IMAGES && !image; i++) {
        if (disk.images[i].path)
            continue;
        image = &disk.images[i];
        image->path = must(strdup(path));
        image->last = &image->first;
        load(image); /* closes a descriptor of it: before SQLite has its own */
    }
    return must(image);
}

/* ---- faults ---- */

/* Under the lock. The code of this call, SQLITE_OK if it shall succeed. */
static int fault(enum failing_call call, int code)
{
    if (disk.cutting && call != FAILING_READ && call != FAILING_OPEN) {
        if (disk.cut_after == 0)
            disk.cut = true;
        else
            disk.cut_after--;
    }
    if (disk.cut)
        return SQLITE_IOERR;
    if (!(disk.calls & call))
        return SQLITE_OK;
    if (disk.after > 0) {
        disk.after--;
        return SQLITE_OK;
    }
    if (disk.count == 0)
        return SQLITE_OK;
    disk.count--;
    disk.met++;
    return disk.error == FAILING_FULL ? SQLITE_FULL : code;
}

/* ---- SQLite's calls ---- */

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct file *)file)->real;
}

static int do_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int do_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset)
{
    (void)pthread_mutex_lock(&disk.lock);
    const int code = fault(FAILING_READ, SQLITE_IOERR_READ);
    (void)pthread_mutex_unlock(&disk.lock);
    return code ? code : real_of(file)->pMethods->xRead(real_of(file), data, size, offset);
}

static int do_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    struct image *image = ((struct file *)file)->image;

    (void)pthread_mutex_lock(&disk.lock);
    const int code = fault(FAILING_WRITE, SQLITE_IOERR_WRITE);
    if (code && disk.error == FAILING_SHORT && !disk.cut)
        size /= 2;
    if (image && (!code || (disk.error == FAILING_SHORT && !disk.cut)))
        add_change(image, offset, data, (size_t)size);
    const bool reaches = !code || (disk.error == FAILING_SHORT && !disk.cut);
    (void)pthread_mutex_unlock(&disk.lock);
    const int done = reaches ? real_of(file)->pMethods->xWrite(real_of(file), data, size, offset) : SQLITE_OK;
    return code ? code : done;
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct image *image = ((struct file *)file)->image;

    (void)pthread_mutex_lock(&disk.lock);
    const int code = fault(FAILING_TRUNCATE, SQLITE_IOERR_TRUNCATE);
    if (!code && image)
        add_change(image, size, NULL, 0);
    (void)pthread_mutex_unlock(&disk.lock);
    return code ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int do_sync(sqlite3_file *file, int flags)
{
    struct image *image = ((struct file *)file)->image;

    (void)flags; /* a real sync would only cost time */
    (void)pthread_mutex_lock(&disk.lock);
    const int code = fault(FAILING_SYNC, SQLITE_IOERR_FSYNC);
    if (image && !disk.cut) {
        for (const struct change *change = image->first; change && !code; change = change->next)
            apply(image, change, 0, change->size);
        forget_changes(image); /* after an error: the kernel takes them for clean */
    }
    (void)pthread_mutex_unlock(&disk.lock);
    return code;
}

static int do_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int do_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int do_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int do_check_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int do_control(sqlite3_file *file, int op, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int do_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int do_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int do_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, at);
}

static int do_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void do_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int do_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector,
    .xDeviceCharacteristics = do_traits,
    .xShmMap = do_shm_map,
    .xShmLock = do_shm_lock,
    .xShmBarrier = do_shm_barrier,
    .xShmUnmap = do_shm_unmap,
};

static int do_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct file *mine = (struct file *)file;

    (void)self;
    *mine = (struct file){.real = (sqlite3_file *)(mine + 1)};
    (void)pthread_mutex_lock(&disk.lock);
    int code = fault(FAILING_OPEN, SQLITE_CANTOPEN);
    if (!code && name)
        mine->image = image_of(name);
    (void)pthread_mutex_unlock(&disk.lock);
    if (!code)
        code = real_vfs->xOpen(real_vfs, name, mine->real, flags, out_flags);
    if (!code)
        mine->base.pMethods = &methods;
    return code;
}

static int do_delete(sqlite3_vfs *self, const char *name, int sync)
{
    (void)self;
    (void)pthread_mutex_lock(&disk.lock);
    const bool cut = disk.cut;
    struct image *image = cut ? NULL : find(name);
    if (image)
        forget_image(image);
    (void)pthread_mutex_unlock(&disk.lock);
    return cut ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
}

/* ---- controls ---- */

void failing_vfs_register(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "failing";
    vfs.szOsFile = real_vfs->szOsFile + (int)sizeof(struct file);
    vfs.xOpen = do_open;
    vfs.xDelete = do_delete;
    const int code = sqlite3_vfs_register(&vfs, 1);
    assert(code == SQLITE_OK);
    (void)code;
}

void failing_vfs_set(unsigned calls, enum failing_error error, uint64_t after, uint64_t count)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.calls = calls;
    disk.error = error;
    disk.after = after;
    disk.count = count;
    disk.met = 0;
    (void)pthread_mutex_unlock(&disk.lock);
}

void failing_vfs_clear(void)
{
    failing_vfs_set(0, FAILING_EIO, 0, 0);
}

uint64_t failing_vfs_met(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    const uint64_t met = disk.met;
    (void)pthread_mutex_unlock(&disk.lock);
    return met;
}

void failing_vfs_cut_after(uint64_t calls)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.cutting = true;
    disk.cut_after = calls;
    (void)pthread_mutex_unlock(&disk.lock);
}

bool failing_vfs_is_cut(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    const bool cut = disk.cut;
    (void)pthread_mutex_unlock(&disk.lock);
    return cut;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Some of what was not synced is there: whole, its first sectors, its last ones, or nothing of it. */
static void keep_some(struct image *image, uint64_t *seed)
{
    for (const struct change *change = image->first; change; change = change->next) {
        const size_t sectors = change->size / SECTOR;
        const size_t at = sectors ? next_random(seed) % sectors * SECTOR : 0;

        switch (next_random(seed) % 4) {
        case 0: break;
        case 1: apply(image, change, 0, change->size); break;
        case 2: apply(image, change, 0, change->data ? at : 0); break;
        case 3: apply(image, change, change->data ? at : 0, change->size); break;
        }
    }
    forget_changes(image);
}

void failing_vfs_restore(uint64_t seed)
{
    (void)pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < IMAGES; i++) {
        struct image *image = &disk.images[i];

        if (!image->path)
            continue;
        keep_some(image, &seed);
        const int fd = open(image->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const ssize_t done = fd >= 0 ? write(fd, image->bytes, image->size) : -1;
        assert(done == (ssize_t)image->size);
        (void)done;
        (void)close(fd);
        const size_t size = strlen(image->path);
        if (size > 4 && strcmp(image->path + size - 4, "-wal") == 0) { /* shared memory is memory */
            char *path = must(strdup(image->path));

            memcpy(path + size - 4, "-shm", 4);
            (void)unlink(path);
            free(path);
        }
    }
    disk.cutting = disk.cut = false;
    (void)pthread_mutex_unlock(&disk.lock);
}

void failing_vfs_forget(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    for (size_t i = 0; i < IMAGES; i++)
        forget_image(&disk.images[i]);
    disk.cutting = disk.cut = false;
    (void)pthread_mutex_unlock(&disk.lock);
}
