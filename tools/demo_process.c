#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- folder ---- */

int demo_folder_make(char path[DEMO_PATH], struct err *err)
{
    const char *base = getenv("TMPDIR");

    if (!base || *base != '/' || strlen(base) > 60) /* a socket's path is short */
        base = "/tmp";
    (void)snprintf(path, DEMO_PATH, "%s/topicrule-demo-XXXXXX", base);
    if (mkdtemp(path))
        return 0;
    int error = errno;
    path[0] = '\0';
    return err_set(err, ERR_IO, "no folder can be made in %s: %s", base, strerror(error));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

void demo_folder_remove(const char *path)
{
    if (*path)
        (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int demo_write(const char *folder, const char *name, const void *bytes, size_t size, struct err *err)
{
    char path[DEMO_PATH + 64];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    ssize_t written = write(fd, bytes, size);
    int error = written < 0 ? errno : ENOSPC;
    if (close(fd) == 0 && written >= 0 && (size_t)written == size)
        return 0;
    return err_set(err, ERR_IO, "%s: %s", path, strerror(error));
}

void demo_show_log(const char *folder, const char *name)
{
    char path[DEMO_PATH + 64], line[512];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        (void)fprintf(stderr, "  %s", line);
    if (in)
        (void)fclose(in);
}

/* ---- ports ---- */

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* The generic address that the socket calls want. */
static struct sockaddr *address(struct sockaddr_in *in)
{
    return (struct sockaddr *)(void *)in;
}

int demo_free_port(void)
{
    struct sockaddr_in in = loopback(0);
    socklen_t size = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;

    if (fd >= 0 && bind(fd, address(&in), size) == 0 && getsockname(fd, address(&in), &size) == 0)
        port = ntohs(in.sin_port);
    if (fd >= 0)
        (void)close(fd);
    return port;
}

bool demo_connects(int port)
{
    struct sockaddr_in in = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, address(&in), sizeof in) == 0;

    if (fd >= 0)
        (void)close(fd);
    return connected;
}

/* ---- processes ---- */

enum { NOBODY = 65534 };

/* In the child: only calls that are safe after fork. */
static void become(const char *const *argv, int log, const char *notify, pid_t parent)
{
    (void)setpgid(0, 0); /* Ctrl-C is for the demo, which then stops us in order */
    if (!notify && geteuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0); /* forgotten when the user changes, so after that */
    if (getppid() != parent)
        _exit(1);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    if (notify)
        (void)setenv("NOTIFY_SOCKET", notify, 1);
    else
        (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    (void)dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int demo_start(const char *const *argv, const char *folder, const char *log, const char *notify, pid_t *pid,
               struct err *err)
{
    char path[DEMO_PATH + 64];
    pid_t parent = getpid();

    (void)snprintf(path, sizeof path, "%s/%s", folder, log);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    pid_t child = fork();
    if (child == 0)
        become(argv, fd, notify, parent);
    int error = errno;
    (void)close(fd);
    if (child < 0)
        return err_set(err, ERR_IO, "%s cannot be started: %s", argv[0], strerror(error));
    *pid = child;
    return 0;
}

bool demo_runs(pid_t *pid)
{
    if (*pid > 0 && waitpid(*pid, NULL, WNOHANG) == 0)
        return true;
    *pid = 0;
    return false;
}

void demo_stop(pid_t *pid)
{
    if (*pid <= 0)
        return;
    (void)kill(*pid, SIGTERM);
    for (int i = 0; i < 100 && demo_runs(pid); i++)
        (void)poll(NULL, 0, 50);
    if (*pid > 0) {
        (void)kill(*pid, SIGKILL);
        (void)waitpid(*pid, NULL, 0);
        *pid = 0;
    }
}

/* ---- sd_notify's other end ---- */

int demo_notify_open(const char *folder, struct err *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    int size = snprintf(name.sun_path, sizeof name.sun_path, "%s/notify", folder);
    if (fd >= 0 && (size_t)size < sizeof name.sun_path &&
        bind(fd, (struct sockaddr *)(void *)&name, sizeof name) == 0)
        return fd;
    (void)err_set(err, ERR_IO, "%s/notify: %s", folder, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

bool demo_notify_ready(int fd, int wait_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    char text[512];

    if (poll(&polled, 1, wait_ms) != 1)
        return false;
    ssize_t size = recv(fd, text, sizeof text - 1, 0);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return strstr(text, "READY=1") != NULL;
}
