#include "file.h"

#include "doc.h"

#include "base/auto.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_drop(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int fail(const char *file, struct err *err, const char *what)
{
    err_set(err, ERR_IO, "%s: %s", what, strerror(errno));
    err_in(err, file, NULL);
    return -1;
}

int file_read(const char *file, struct span *out, struct err *err)
{
    /* O_NONBLOCK: a FIFO must not hold us before fstat has seen it. */
    AUTO(close_drop) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    AUTO(free_drop) char *text = NULL;
    struct stat info;
    size_t size = 0, room;

    if (fd < 0)
        return fail(file, err, "cannot open the file");
    if (fstat(fd, &info) != 0)
        return fail(file, err, "cannot look at the file");
    if (!S_ISREG(info.st_mode)) {
        err_set(err, ERR_IO,
                S_ISDIR(info.st_mode) ? "this is a folder, not a file" : "this is no regular file");
        err_in(err, file, NULL);
        return -1;
    }
    if (info.st_size > DOC_SIZE_MAX) {
        err_set(err, ERR_LIMIT, "the file is larger than 1 MiB");
        err_in(err, file, NULL);
        return -1;
    }
    room = (size_t)info.st_size + 1;
    text = malloc(room);
    if (!text) {
        err_memory(err);
        err_in(err, file, NULL);
        return -1;
    }
    while (size < room - 1) {
        ssize_t got = read(fd, text + size, room - 1 - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(file, err, "cannot read the file");
        if (got == 0)
            break;
        size += (size_t)got;
    }
    text[size] = '\0';
    *out = (struct span){TAKE(text), size};
    return 0;
}
