/* file.c - secrets in files, for the backends `directory` and `credentials`.
 *
 * The kernel keeps us inside the folder (openat2, RESOLVE_BENEATH): an id cannot climb out, neither by ".."
 * nor by a symbolic link. Where openat2 does not exist links are not followed at all. As ssh does with keys,
 * we refuse what other users could read or replace. */
#include "backend.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_drop(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* ---- who else may touch it ---- */

static bool is_read_only(int fd)
{
    struct statvfs mount;

    return fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_RDONLY);
}

static int check_owner(const struct stat *info, const char *what, const char *folder, const char *name,
                       struct err *err)
{
    if (info->st_uid == 0 || info->st_uid == geteuid())
        return 0;
    return err_set(err, ERR_VALUE,
                   "the %s %s%s belongs to another user (uid %u): chown it to uid %u or to root", what,
                   folder, name, (unsigned)info->st_uid, (unsigned)geteuid());
}

static int check_folder(int fd, const char *folder, const char *name, struct err *err)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return err_set(err, ERR_VALUE, "cannot look at %s%s: %s", folder, name, strerror(errno));
    if ((info.st_mode & 022) && !is_read_only(fd))
        return err_set(err, ERR_VALUE,
                       "others may change what is in the folder %s%s (mode %04o): chmod go-w %s%s", folder,
                       name, (unsigned)(info.st_mode & 07777), folder, name);
    return check_owner(&info, "folder", folder, name, err);
}

static int check_file(const struct stat *info, const char *folder, const char *name, struct err *err)
{
    if (info->st_mode & 077)
        return err_set(err, ERR_VALUE, "others may read the file %s%s (mode %04o): chmod 600 %s%s", folder,
                       name, (unsigned)(info->st_mode & 07777), folder, name);
    return check_owner(info, "file", folder, name, err);
}

/* ---- opening ---- */

/* Without openat2: each step by itself, links refused. */
static int open_steps(int folder, const char *path, int flags)
{
    AUTO(close_drop) int at = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    char step[256];

    while (at >= 0) {
        size_t size = strcspn(path, "/");

        if (size >= sizeof step) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(step, path, size);
        step[size] = '\0';
        path += size;
        if (*path == '\0')
            return openat(at, step, flags | O_NOFOLLOW);
        int next = openat(at, step, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat info;

        if (next < 0 && errno == ENOTDIR)
            errno =
                fstatat(at, step, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode) ? ELOOP : ENOTDIR;
        (void)close(at);
        at = next;
        path++;
    }
    return -1;
}

static int open_beneath(int folder, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);

    if (fd < 0 &&
        (errno == ENOSYS || errno == EPERM)) /* an old kernel; a sandbox that does not know the call */
        fd = open_steps(folder, path, flags);
    return (int)fd;
}

int folder_open(struct folder *folder, const char *base, const char *path, bool trusted, struct err *err)
{
    int size = path[0] == '/' || !base ? snprintf(folder->path, sizeof folder->path, "%s", path)
                                       : snprintf(folder->path, sizeof folder->path, "%s/%s", base, path);

    folder->fd = -1;
    folder->trusted = trusted;
    if (size < 0 || (size_t)size >= sizeof folder->path - 1)
        return err_set(err, ERR_VALUE, "the path is too long");
    folder->fd = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 && errno == ENOENT)
        return err_set(err, ERR_IO, "there is no folder %s", folder->path);
    if (folder->fd < 0)
        return err_set(err, ERR_IO, "cannot open the folder %s: %s", folder->path, strerror(errno));
    if (!trusted && check_folder(folder->fd, folder->path, "", err) != 0) {
        folder_close(folder);
        return -1;
    }
    return 0;
}

void folder_close(struct folder *folder)
{
    if (folder->fd >= 0)
        (void)close(folder->fd);
    folder->fd = -1;
}

static int check_id(struct span id, struct err *err)
{
    size_t from = 0;

    if (id.size == 0)
        return err_set(err, ERR_SECRET, "the id is empty");
    if (id.size > SECRET_ID_MAX)
        return err_set(err, ERR_SECRET, "the id is longer than %d bytes", SECRET_ID_MAX);
    for (size_t i = 0; i <= id.size; i++) {
        if (i < id.size && ((unsigned char)id.data[i] < 0x20 || id.data[i] == 0x7f))
            return err_set(err, ERR_SECRET, "the id holds a control character");
        if (i < id.size && id.data[i] != '/')
            continue;
        struct span step = {id.data + from, i - from};
        if (step.size == 0 || span_is(step, ".") || span_is(step, ".."))
            return err_set(err, ERR_SECRET,
                           "the id is no path inside the folder: it has an empty step, \".\" or \"..\"");
        from = i + 1;
    }
    return 0;
}

/* Every folder on the way to `path` inside the folder. */
static int check_way(const struct folder *folder, const char *path, struct err *err)
{
    char way[SECRET_ID_MAX + 8], name[SECRET_ID_MAX + 9];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(way, sizeof way, "%.*s", (int)(slash - path), path);
        AUTO(close_drop) int fd = open_beneath(folder->fd, way, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return 0; /* opening the file will say why */
        (void)snprintf(name, sizeof name, "/%s", way);
        if (check_folder(fd, folder->path, name, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- reading ---- */

static int read_all(int fd, const struct stat *info, struct wiped **out, struct err *err)
{
    size_t room = (size_t)info->st_size + 1, size = 0; /* one more, to see whether it grows */
    char *bytes = malloc(room);
    int result = -1;

    if (!bytes)
        return err_memory(err);
    while (size < room) {
        ssize_t got = read(fd, bytes + size, room - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            err_set(err, ERR_VALUE, "cannot read it: %s", strerror(errno));
            goto out;
        }
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (size == room) {
        err_set(err, ERR_VALUE, "the file changed while it was read");
        goto out;
    }
    *out = wiped_new((struct span){bytes, size});
    result = *out ? 0 : err_memory(err);
out:
    wipe(bytes, room);
    free(bytes);
    return result;
}

/* 1 when there is no such file. */
static int read_file(const struct folder *folder, const char *path, struct wiped **out, struct err *err)
{
    struct stat info;
    char name[SECRET_ID_MAX + 9];

    (void)snprintf(name, sizeof name, "/%s", path);
    if (!folder->trusted && check_way(folder, path, err) != 0)
        return -1;
    /* O_NONBLOCK: a FIFO must not hold us before fstat has seen it. */
    AUTO(close_drop) int fd = open_beneath(folder->fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 1;
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return err_set(err, ERR_SECRET, "%s%s is or goes through a symbolic link that leaves the folder",
                       folder->path, name);
    if (fd < 0)
        return err_set(err, ERR_VALUE, "cannot open %s%s: %s", folder->path, name, strerror(errno));
    if (fstat(fd, &info) != 0)
        return err_set(err, ERR_VALUE, "cannot look at %s%s: %s", folder->path, name, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return 1;
    if (!S_ISREG(info.st_mode))
        return err_set(err, ERR_VALUE, "%s%s is no regular file", folder->path, name);
    if (!folder->trusted && check_file(&info, folder->path, name, err) != 0)
        return -1;
    if (info.st_size == 0)
        return err_set(err, ERR_VALUE, "the file %s%s is empty", folder->path, name);
    if (info.st_size > SECRET_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file %s%s is larger than %d bytes", folder->path, name,
                       SECRET_SIZE_MAX);
    return read_all(fd, &info, out, err);
}

int folder_read(const struct folder *folder, struct span id, struct wiped **out, struct err *err)
{
    char path[SECRET_ID_MAX + 6];
    int found;

    if (check_id(id, err) != 0)
        return -1;
    (void)snprintf(path, sizeof path, SPAN_FMT, SPAN_ARG(id));
    found = read_file(folder, path, out, err);
    if (found != 1)
        return found;
    (void)snprintf(path, sizeof path, SPAN_FMT ".json", SPAN_ARG(id));
    found = read_file(folder, path, out, err);
    if (found != 1)
        return found;
    return err_set(err, ERR_SECRET, "there is neither a file %s/" SPAN_FMT " nor one with .json",
                   folder->path, SPAN_ARG(id));
}

/* ---- single files ---- */

static bool is_credential(const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");

    return folder && folder[0] == '/' && strncmp(path, folder, strlen(folder)) == 0 &&
           path[strlen(folder)] == '/';
}

int file_secret(const char *path, bool shared, struct wiped **out, struct err *err)
{
    AUTO(close_drop) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct wiped *whole;
    struct stat info;

    if (fd < 0)
        return err_set(err, ERR_VALUE, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return err_set(err, ERR_VALUE, "%s is no regular file", path);
    if (!shared && !is_credential(path) && check_file(&info, path, "", err) != 0)
        return -1;
    if (info.st_size > SECRET_SIZE_MAX)
        return err_set(err, ERR_LIMIT, "the file %s is larger than %d bytes", path, SECRET_SIZE_MAX);
    if (read_all(fd, &info, &whole, err) != 0)
        return -1;
    struct span text = wiped_reveal(whole);
    while (text.size && strchr("\r\n", text.data[text.size - 1]))
        text.size--;
    bool fit = text.size && !memchr(text.data, '\0', text.size);
    *out = fit ? wiped_new(text) : NULL;
    wiped_free(whole);
    if (!fit)
        return err_set(err, ERR_VALUE, "the file %s is empty, or holds no text", path);
    return *out ? 0 : err_memory(err);
}

char *file_path(const struct secrets_config *config, const char *path, struct err *err)
{
    char *whole = NULL;

    if (path[0] == '/' || !config->base_directory)
        whole = strdup(path);
    else if (asprintf(&whole, "%s/%s", config->base_directory, path) < 0)
        whole = NULL;
    if (!whole)
        err_memory(err);
    return whole;
}
