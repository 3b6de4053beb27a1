/* The socket of the admin. */
#include "admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64, MODE = 0660 };

static int fail(int fd, const struct listen *listen, const char *what, struct err *err)
{
    int error = errno;

    if (fd >= 0)
        (void)close(fd);
    if (listen->how == LISTEN_UNIX)
        return err_set(err, ERR_IO, "admin.listen: cannot %s unix:%s: %s", what, listen->path,
                       strerror(error));
    return err_set(err, ERR_IO, "admin.listen: cannot %s %s:%d: %s", what, listen->host, listen->port,
                   strerror(error));
}

static int listen_tcp(const struct listen *at, struct err *err)
{
    const struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)at->port)};
    const struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)at->port)};
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {.six = six};
    socklen_t size = sizeof six;
    const int on = 1;

    if (inet_pton(AF_INET6, at->host, &address.six.sin6_addr) != 1) {
        address.four = four;
        size = sizeof four;
        if (inet_pton(AF_INET, at->host, &address.four.sin_addr) != 1)
            return err_set(err, ERR_VALUE, "admin.listen: '%s' is no address", at->host);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &address.any, size) != 0 || listen(fd, BACKLOG) != 0)
        return fail(fd, at, "listen to", err);
    return fd;
}

/* A socket that a daemon left behind when it was killed: nobody listens to it. */
static int remove_stale(const struct listen *at, const struct sockaddr_un *address, struct err *err)
{
    struct stat found;

    if (lstat(at->path, &found) != 0)
        return errno == ENOENT ? 0 : fail(-1, at, "look at", err);
    if (!S_ISSOCK(found.st_mode))
        return err_set(err, ERR_IO, "admin.listen: '%s' is there already, and is no socket", at->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(fd, at, "look at", err);
    int answer = connect(fd, (const struct sockaddr *)address, sizeof *address);
    if (answer != 0 && errno == ECONNREFUSED) {
        (void)close(fd);
        return unlink(at->path) == 0 || errno == ENOENT ? 0 : fail(-1, at, "replace", err);
    }
    if (answer != 0 && errno != EAGAIN)
        return fail(fd, at, "look at", err);
    (void)close(fd);
    return err_set(err, ERR_IO, "admin.listen: another process listens to unix:%s", at->path);
}

static int listen_unix(const struct listen *at, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    _Static_assert(sizeof address.sun_path == LISTEN_PATH, "unix(7)");
    memcpy(address.sun_path, at->path, sizeof address.sun_path);
    if (remove_stale(at, &address, err) != 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode is set before there is a file: bind gives it that of the socket, less the umask. */
    if (fd < 0 || fchmod(fd, MODE) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, BACKLOG) != 0)
        return fail(fd, at, "listen to", err);
    return fd;
}

int admin_listen(const struct listen *listen, struct err *err)
{
    return listen->how == LISTEN_UNIX ? listen_unix(listen, err) : listen_tcp(listen, err);
}

bool admin_host_is_ours(const char *host)
{
    const char *bracket = strrchr(host, ']'), *colon = strrchr(host, ':');
    char whole[80];
    struct listen ours;

    if (strlen(host) > sizeof whole - 4)
        return false;
    /* As an address with a port, which is checked where addresses are. */
    (void)snprintf(whole, sizeof whole, "%s%s", host, colon && (!bracket || colon > bracket) ? "" : ":80");
    return !listen_read(span_of(whole), NULL, &ours) && ours.how == LISTEN_TCP;
}
