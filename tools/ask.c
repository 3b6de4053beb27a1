#include "ask.h"

#include "base/auto.h"
#include "base/clock.h"
#include "command.h"
#include "load.h"
#include "paint.h"
#include "rules/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_MS = 10000, ANSWER_MAX = 64 << 20 };

/* What the packaged service has as $RUNTIME_DIRECTORY, which a person's shell does not know. */
#define STANDARD_SOCKET "unix:/run/topicrule/admin.sock"

const struct option_row ask_rows[] = {
    [ASK_CONFIG] = {"config", 'c', "FILE",
                    "the daemon's configuration, which says where\nit listens; default\n" CONFIG_FILE},
    [ASK_ADMIN] = {"admin", 0, "ADDRESS", "where it listens, as in admin.listen; no\nconfiguration is read"},
    [ASK_JSON] = {"json", 0, NULL, "for programs"},
    {0},
};

DEFINE_DROP(config, struct config *, config_free)

/* ---- where ---- */

static const char *standard(struct listen *out)
{
    const char *folder = getenv("RUNTIME_DIRECTORY");
    char text[LISTEN_PATH + 32] = STANDARD_SOCKET;

    if (folder && folder[0] == '/')
        (void)snprintf(text, sizeof text, "unix:%.*s/admin.sock", (int)strcspn(folder, ":"), folder);
    return listen_read(span_of(text), NULL, out);
}

static int find(const char *admin, const char *file, struct listen *out)
{
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(config_drop) struct config *config = NULL;
    const char *wrong = NULL;
    struct err err = {0};

    if (admin) {
        wrong = listen_read(span_of(admin), NULL, out);
    } else {
        config = config_load(file, &report);
        if (!config) {
            paint_errors(&report, stderr);
            return STATUS_BAD;
        }
        *out = config->admin.listen;
    }
    if (!wrong && out->how == LISTEN_STANDARD)
        wrong = standard(out);
    if (!wrong && out->how == LISTEN_OFF)
        wrong = "is off, so the daemon cannot be asked";
    if (!wrong)
        return STATUS_FINE;
    (void)err_set(&err, ERR_VALUE, "%s: %s", admin ? "--admin" : "admin.listen", wrong);
    err_in(&err, config ? config->file : NULL, NULL);
    paint_err(&err, stderr);
    return STATUS_BAD;
}

bool ask_begin(const struct usage *usage, int argc, char **argv, struct ask *ask, int *status)
{
    const char *file = CONFIG_FILE, *admin = NULL;
    struct options options = options_begin(usage, argc, argv);

    *ask = (struct ask){0};
    while (options_next(&options))
        switch (options.row) {
        case ASK_CONFIG: file = options.value; break;
        case ASK_ADMIN: admin = options.value; break;
        case ASK_JSON: ask->json = true; break;
        default: break;
        }
    *status = options.ended ? options.status : find(admin, file, &ask->where);
    return !options.ended && *status == STATUS_FINE;
}

/* ---- asking: one request of HTTP/1.0 each, so that the end of the answer is the end of the connection ----
 */

static void name_of(const struct listen *where, char *out, size_t room)
{
    if (where->how == LISTEN_UNIX)
        (void)snprintf(out, room, "unix:%s", where->path);
    else
        (void)snprintf(out, room, strchr(where->host, ':') ? "[%s]:%d" : "%s:%d", where->host, where->port);
}

static int reach(const struct listen *where)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {.local = {.sun_family = AF_UNIX}};
    const struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    socklen_t size = sizeof address.local;

    if (where->how == LISTEN_UNIX) {
        memcpy(address.local.sun_path, where->path, sizeof address.local.sun_path);
    } else if (strchr(where->host, ':')) {
        address.six =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)where->port)};
        (void)inet_pton(AF_INET6, where->host, &address.six.sin6_addr);
        size = sizeof address.six;
    } else {
        address.four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)where->port)};
        (void)inet_pton(AF_INET, where->host, &address.four.sin_addr);
        size = sizeof address.four;
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* connect waits as long as send */
    if (connect(fd, &address.any, size) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static int exchange(int fd, const char *method, const char *path, struct buf *out)
{
    const int64_t until_ms = clock_mono_ms() + WAIT_MS;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char request[512];
    int size = snprintf(request, sizeof request,
                        "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", method, path);

    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        return -1;
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();

        if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) != 1) {
            errno = ETIMEDOUT;
            return -1;
        }
        if (!buf_reserve(out, 65536)) {
            errno = ENOMEM;
            return -1;
        }
        ssize_t got = recv(fd, out->data + out->size, 65536, 0);
        if (got <= 0)
            return got == 0 ? 0 : -1;
        out->size += (size_t)got;
        out->data[out->size] = '\0';
    }
}

/* Head off; what is left is the body. */
static enum ask_answer take_body(struct buf *out, const char *name, const char *path, struct err *err)
{
    const char *end = out->size ? strstr(out->data, "\r\n\r\n") : NULL;
    int status = 0;

    if (!end || strncmp(out->data, "HTTP/1.", 7) != 0 || out->size < 13) {
        err_set(err, ERR_IO, "%s: what listens there is no topicrule", name);
        return ASK_BROKEN;
    }
    status = atoi(out->data + 9);
    out->size -= (size_t)(end + 4 - out->data);
    memmove(out->data, end + 4, out->size + 1);
    if (status == 200 || status == 202)
        return ASK_HERE;
    for (size_t i = 0; i < out->size; i++) /* it goes to a terminal */
        if ((unsigned char)out->data[i] < ' ' || out->data[i] == 0x7f)
            out->data[i] = i + 1 < out->size ? '?' : '\0';
    err_set(err, ERR_IO, "%s: %s is answered with %d: %.160s", name, path, status, out->data);
    return ASK_BROKEN;
}

static enum ask_answer ask(const struct listen *where, const char *method, const char *path, struct buf *out,
                           struct err *err)
{
    char name[LISTEN_PATH + 16];
    int fd = reach(where);

    *out = BUF_INIT;
    out->limit = ANSWER_MAX;
    name_of(where, name, sizeof name);
    if (fd < 0) {
        err_set(err, ERR_IO, "no daemon answers at %s: %s%s", name, strerror(errno),
                errno == EACCES   ? "; only its own user and root may ask"
                : errno == ENOENT ? "; is it running, with this admin.listen?"
                                  : "");
        return ASK_NOBODY;
    }
    int done = exchange(fd, method, path, out);
    int error = errno;
    (void)close(fd);
    if (done != 0) {
        err_set(err, ERR_IO, "no answer from %s: %s", name, strerror(error));
        return ASK_NOBODY;
    }
    return take_body(out, name, path, err);
}

enum ask_answer ask_page(const struct listen *where, const char *path, struct buf *out, struct err *err)
{
    return ask(where, "GET", path, out, err);
}

enum ask_answer ask_post(const struct listen *where, const char *path, struct buf *out, struct err *err)
{
    return ask(where, "POST", path, out, err);
}

json_t *ask_json(const struct ask *ask, const char *path, int (*judge)(const json_t *), int *status)
{
    AUTO(buf_done) struct buf text = BUF_INIT;
    struct err err = {0};
    json_error_t where;

    enum ask_answer answer = ask_page(&ask->where, path, &text, &err);
    json_t *root = answer == ASK_HERE ? json_loadb(text.data, text.size, 0, &where) : NULL;
    if (answer == ASK_HERE && !json_is_object(root)) {
        (void)err_set(&err, ERR_SYNTAX, "what is answered is no JSON object: %s",
                      root ? "another value" : where.text);
        answer = ASK_BROKEN;
    }
    if (answer != ASK_HERE) {
        json_decref(root);
        paint_err(&err, stderr);
        *status = answer == ASK_NOBODY ? STATUS_AWAY : STATUS_BAD;
        return NULL;
    }
    *status = judge(root);
    if (!ask->json)
        return root;
    (void)fwrite(text.data, 1, text.size, stdout);
    json_decref(root);
    return NULL;
}

/* ---- what is shown ---- */

const char *ask_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

long long ask_count(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const char *ask_age(const json_t *object, const char *key, char *out)
{
    enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
    const json_t *value = json_object_get(object, key);
    const long long seconds = (long long)json_number_value(value);

    if (!json_is_number(value))
        (void)snprintf(out, 32, "-");
    else if (seconds < MINUTE)
        (void)snprintf(out, 32, "%llds", seconds);
    else if (seconds < HOUR)
        (void)snprintf(out, 32, "%lldm", seconds / MINUTE);
    else if (seconds < DAY)
        (void)snprintf(out, 32, "%lldh %lldm", seconds / HOUR, seconds % HOUR / MINUTE);
    else
        (void)snprintf(out, 32, "%lldd %lldh", seconds / DAY, seconds % DAY / HOUR);
    return out;
}

const char *ask_size(long long bytes, char *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    size_t unit = 0;

    for (; size >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        size /= 1024;
    (void)snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return out;
}
