/* HTTP: which pages there are, how often they are made, and how long anybody may take. */
#include "admin.h"
#include "json.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONNECTIONS = 64,
    REQUEST_BYTES =
        16 << 10,      /* a connection's memory: request line and headers, and what is sent of an answer */
    LIFE_MS = 10000,   /* of a connection, from accept to the last byte */
    CROWDED_MS = 1000, /* the same when no more are taken, unless it is being answered */
    TURN_MS = 250,     /* the thread looks at that that often */
    FRESH_MS = 200,    /* a page is made that often at most */
    PAGE_MAX = 64 << 20,
};

/* ---- what there is ---- */

struct page {
    const char *path, *type;
    void (*tell)(const struct view *view, struct buf *out);
};

#define JSON "application/json"
static const struct page pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", metrics_text},
    {"/status", JSON, status_json},
    {"/rules", JSON, rules_json},
    {"/secrets", JSON, secrets_json},
};
enum { PAGES = sizeof pages / sizeof *pages };

static const char index_text[] =
    "/metrics     Prometheus\n"
    "/healthz     200 while the process works\n"
    "/readyz      200 while what is published is heard, else 503 and why\n"
    "/status      JSON, as `topicrule status --json`\n"
    "/rules       JSON, every rule with its counters\n"
    "/rules/NAME  one of them\n"
    "/secrets     JSON, as `topicrule secrets --json`: names and users, no values\n"
    "/reload      JSON, what came of the last one; POST: read configuration and rules anew\n";

struct client_connection {
    int fd;
    int64_t since_ms;
    bool answered;
    struct client_connection *next;
};

struct admin {
    struct listen listen;
    int fd;
    struct stat file; /* of the Unix socket, to know it again */
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool running;
    atomic_bool stop;

    pthread_mutex_t lock; /* around `subject` and all that is borrowed from it; no lane ever takes it */
    struct subject subject;
    struct reload *reload; /* NULL: there is none. It needs no lock */

    /* The thread's own. */
    struct client_connection *connections;
    size_t connection_count;
    struct MHD_Response *kept[PAGES]; /* of a moment ago */
    int64_t kept_ms[PAGES];
};

DEFINE_DROP(admin, struct admin *, admin_free)

/* ---- answers ---- */

static struct MHD_Response *with_headers(struct MHD_Response *response, const char *type)
{
    if (!response)
        return NULL;
    (void)MHD_add_response_header(response, "Content-Type", type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Connection", "close"); /* a life is bounded: one request each */
    return response;
}

/* Takes what is in `text`. NULL: no memory. */
static struct MHD_Response *response_of(struct buf *text, const char *type)
{
    struct MHD_Response *response =
        text->failed ? NULL : MHD_create_response_from_buffer(text->size, text->data, MHD_RESPMEM_MUST_FREE);

    if (!response)
        buf_done(text);
    return with_headers(response, type);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              struct MHD_Response *response)
{
    if (!response)
        return MHD_NO; /* no memory: the connection is closed */
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct buf out = BUF_INIT;

    buf_text(&out, text);
    if (out.size && out.data[out.size - 1] != '\n')
        buf_char(&out, '\n');
    return answer(connection, status, response_of(&out, "text/plain; charset=utf-8"));
}

/* ---- pages ---- */

static struct MHD_Response *make_page(struct admin *admin, const struct page *page)
{
    struct buf out = BUF_INIT;
    struct view view;

    out.limit = PAGE_MAX;
    (void)pthread_mutex_lock(&admin->lock);
    if (view_take(&view, &admin->subject) == 0)
        page->tell(&view, &out);
    else
        out.failed = true;
    view_done(&view);
    (void)pthread_mutex_unlock(&admin->lock);
    return response_of(&out, page->type);
}

/* Whoever asks in a loop costs the sending, not the making. */
static enum MHD_Result send_page(struct admin *admin, struct MHD_Connection *connection, size_t which)
{
    const int64_t now_ms = clock_mono_ms();

    if (!admin->kept[which] || now_ms - admin->kept_ms[which] >= FRESH_MS) {
        struct MHD_Response *made = make_page(admin, &pages[which]);

        if (!made)
            return MHD_NO;
        if (admin->kept[which])
            MHD_destroy_response(admin->kept[which]); /* goes when the last one who is sent it has it */
        admin->kept[which] = made;
        admin->kept_ms[which] = now_ms;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, admin->kept[which]);
}

static enum MHD_Result send_rule(struct admin *admin, struct MHD_Connection *connection, const char *name)
{
    struct buf out = BUF_INIT;

    (void)pthread_mutex_lock(&admin->lock);
    for (size_t i = 0; i < admin->subject.rules->count; i++) {
        struct view_rule rule = {.rule = admin->subject.rules->rules[i]};

        if (strcmp(rule.rule->name, name) != 0)
            continue;
        view_rule_take(&rule, admin->subject.lane, i);
        rule_json(&rule, &out);
        break;
    }
    (void)pthread_mutex_unlock(&admin->lock);
    if (out.size == 0 && !out.failed)
        return say(connection, MHD_HTTP_NOT_FOUND, "no rule of that name is loaded");
    return answer(connection, MHD_HTTP_OK, response_of(&out, JSON));
}

static enum MHD_Result send_health(struct admin *admin, struct MHD_Connection *connection)
{
    (void)pthread_mutex_lock(&admin->lock);
    bool hung = view_is_hung(&admin->subject);
    (void)pthread_mutex_unlock(&admin->lock);
    return hung ? say(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the lane has stood still for half a minute")
                : say(connection, MHD_HTTP_OK, "ok");
}

static enum MHD_Result send_readiness(struct admin *admin, struct MHD_Connection *connection)
{
    (void)pthread_mutex_lock(&admin->lock);
    const char *problem = view_problem(&admin->subject);
    const enum MHD_Result said =
        say(connection, problem ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
            problem ? problem : "ready"); /* copies it, and it may be the subject's */
    (void)pthread_mutex_unlock(&admin->lock);
    return said;
}

static enum MHD_Result send_reload(struct admin *admin, struct MHD_Connection *connection)
{
    struct buf out = BUF_INIT;

    reload_json(admin->reload, &out);
    return answer(connection, MHD_HTTP_OK, response_of(&out, JSON));
}

/* Once the whole request is here: what comes with it is not read. A browser that does somebody else's bidding
 * says so by an Origin. */
static enum MHD_Result ask_reload(struct admin *admin, struct MHD_Connection *connection, size_t *upload_size,
                                  void **request)
{
    struct buf out = BUF_INIT;
    struct json json = {.out = &out};

    if (!*request || *upload_size > 0) {
        *request = admin;
        *upload_size = 0;
        return MHD_YES;
    }
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin"))
        return say(connection, MHD_HTTP_FORBIDDEN, "not for web pages");
    json_open(&json, NULL, '{');
    json_count(&json, "number", reload_ask(admin->reload));
    json_close(&json, '}');
    buf_char(&out, '\n');
    return answer(connection, MHD_HTTP_ACCEPTED, response_of(&out, JSON));
}

static enum MHD_Result refuse_method(struct MHD_Connection *connection, const char *allowed)
{
    struct buf out = BUF_INIT;

    buf_format(&out, "only %s is known here\n", allowed);
    struct MHD_Response *response = response_of(&out, "text/plain; charset=utf-8");
    if (response)
        (void)MHD_add_response_header(response, "Allow", allowed);
    return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
}

static bool is_for_us(const struct admin *admin, struct MHD_Connection *connection)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

    return admin->listen.how == LISTEN_UNIX || !host || admin_host_is_ours(host);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct admin *admin = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    (void)version;
    (void)upload;
    if (info && info->socket_context)
        ((struct client_connection *)info->socket_context)->answered = true;
    const bool is_reload = strcmp(url, "/reload") == 0 && admin->reload;
    const bool asks = strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    const bool posts = is_reload && strcmp(method, MHD_HTTP_METHOD_POST) == 0;

    if (!asks && !posts)
        return refuse_method(connection, is_reload ? "GET, HEAD, POST" : "GET, HEAD");
    if (!is_for_us(admin, connection))
        return say(connection, MHD_HTTP_FORBIDDEN, "the Host of the request is not this machine");
    if (posts)
        return ask_reload(admin, connection, upload_size, request);
    if (is_reload)
        return send_reload(admin, connection);
    for (size_t i = 0; i < PAGES; i++)
        if (strcmp(url, pages[i].path) == 0)
            return send_page(admin, connection, i);
    if (strncmp(url, "/rules/", 7) == 0)
        return send_rule(admin, connection, url + 7);
    if (strcmp(url, "/healthz") == 0)
        return send_health(admin, connection);
    if (strcmp(url, "/readyz") == 0)
        return send_readiness(admin, connection);
    if (strcmp(url, "/") == 0)
        return say(connection, MHD_HTTP_OK, index_text);
    return say(connection, MHD_HTTP_NOT_FOUND, "no such page; / lists them");
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct admin *admin = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct client_connection *made = calloc(1, sizeof *made);

        *socket_context = made;
        if (!made || !info) {
            free(made);
            *socket_context = NULL; /* MHD's own timeout ends it */
            return;
        }
        *made = (struct client_connection){info->connect_fd, clock_mono_ms(), false, admin->connections};
        admin->connections = made;
        admin->connection_count++;
        return;
    }
    for (struct client_connection **link = &admin->connections; *link; link = &(*link)->next)
        if (*link == *socket_context) {
            struct client_connection *gone = *link;

            *link = gone->next;
            admin->connection_count--;
            free(gone);
            break;
        }
    *socket_context = NULL;
}

/* libmicrohttpd bounds silence, not slowness: one byte now and then would keep a connection for ever. */
static void cut_off_slow(struct admin *admin)
{
    const int64_t now_ms = clock_mono_ms();
    const bool crowded = admin->connection_count >= CONNECTIONS;

    for (struct client_connection *each = admin->connections; each; each = each->next) {
        const int64_t life = now_ms - each->since_ms;

        if (life > LIFE_MS || (crowded && !each->answered && life > CROWDED_MS))
            (void)shutdown(each->fd, SHUT_RDWR); /* noticed as the peer's end */
    }
}

static void *run(void *context)
{
    struct admin *admin = context;

    while (!atomic_load(&admin->stop)) {
        if (MHD_run_wait(admin->daemon, TURN_MS) != MHD_YES)
            (void)poll(NULL, 0, TURN_MS); /* out of something: better than a busy loop */
        cut_off_slow(admin);
    }
    return NULL;
}

/* ---- its life ---- */

/* Where to listen, with what is standard filled in. */
static int choose(const struct listen *wanted, struct listen *out, struct err *err)
{
    const char *folder = getenv("RUNTIME_DIRECTORY"); /* may be several, with colons between them */
    char text[PATH_MAX + 32];

    *out = *wanted;
    if (wanted->how != LISTEN_STANDARD)
        return 0;
    out->how = LISTEN_OFF;
    if (!folder || folder[0] != '/')
        return 0;
    (void)snprintf(text, sizeof text, "unix:%.*s/admin.sock", (int)strcspn(folder, ":"), folder);
    const char *wrong = listen_read(span_of(text), NULL, out);
    return wrong ? err_set(err, ERR_VALUE, "$RUNTIME_DIRECTORY: %s", wrong) : 0;
}

static int start(struct admin *admin, struct err *err)
{
    admin->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, admin,
                                     MHD_OPTION_LISTEN_SOCKET, admin->fd, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                     (size_t)REQUEST_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                                     (unsigned)(LIFE_MS / 1000), MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                                     admin, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!admin->daemon)
        return err_set(err, ERR_IO, "admin.listen: cannot start a server there");
    const int error = thread_start(&admin->thread, run, admin);
    if (error)
        return err_set(err, ERR_IO, "cannot start a thread: %s", strerror(error));
    admin->running = true;
    return 0;
}

struct admin *admin_new(const struct listen *listen, const struct subject *subject, struct err *err)
{
    AUTO(admin_drop) struct admin *admin = calloc(1, sizeof *admin);

    err->code = ERR_NONE;
    if (!admin) {
        err_memory(err);
        return NULL;
    }
    admin->fd = -1;
    admin->subject = *subject;
    admin->reload = subject->reload;
    (void)pthread_mutex_init(&admin->lock, NULL);
    if (choose(listen, &admin->listen, err) != 0 || admin->listen.how == LISTEN_OFF)
        return NULL;
    admin->fd = admin_listen(&admin->listen, err);
    if (admin->fd < 0)
        return NULL;
    if (admin->listen.how == LISTEN_UNIX)
        (void)lstat(admin->listen.path, &admin->file);
    if (start(admin, err) != 0)
        return NULL;
    if (admin->listen.how == LISTEN_UNIX)
        log_info("admin", "listens to unix:%s", admin->listen.path);
    else
        log_info("admin", "listens to %s, port %d", admin->listen.host, admin->listen.port);
    return TAKE(admin);
}

void admin_begin_change(struct admin *admin)
{
    if (admin)
        (void)pthread_mutex_lock(&admin->lock);
}

void admin_end_change(struct admin *admin, const struct subject *subject)
{
    if (!admin)
        return;
    admin->subject = *subject;
    (void)pthread_mutex_unlock(&admin->lock);
}

void admin_show(struct admin *admin, const struct subject *subject)
{
    admin_begin_change(admin);
    admin_end_change(admin, subject);
}

/* Unless another has put its own in our place. */
static void remove_socket(const struct admin *admin)
{
    struct stat found;

    if (admin->fd >= 0 && admin->listen.how == LISTEN_UNIX && lstat(admin->listen.path, &found) == 0 &&
        found.st_dev == admin->file.st_dev && found.st_ino == admin->file.st_ino)
        (void)unlink(admin->listen.path);
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    atomic_store(&admin->stop, true);
    if (admin->running)
        (void)pthread_join(admin->thread, NULL);
    remove_socket(admin);
    if (admin->daemon)
        MHD_stop_daemon(admin->daemon); /* closes the socket, too */
    else if (admin->fd >= 0)
        (void)close(admin->fd);
    for (size_t i = 0; i < PAGES; i++)
        if (admin->kept[i])
            MHD_destroy_response(admin->kept[i]);
    (void)pthread_mutex_destroy(&admin->lock);
    free(admin);
}
