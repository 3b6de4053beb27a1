/* The life of a connection: read, hold, flush, ping, drop, and again. */
#include "peek.h"
#include "session_state.h"

#include "base/auto.h"
#include "base/dial.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DOUBT_MS = 10000,   /* for the broker to send again what proves the rest */
    CONNECT_MS = 10000, /* TCP, TLS and CONNACK together */
    TICK_MS = 50,       /* looked at that often while connecting */
    FINISH_MS = 2000,   /* for the broker to close after we did */
};

/* ---- the socket ---- */

static void arm(struct session *session)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.u64 = session->options.epoll_data};

    if (session->fd < 0)
        return;
    if (session->phase == SESSION_CONNECTING)
        event.events |= session->tcp_up ? EPOLLIN : EPOLLIN | EPOLLOUT;
    else if (session->phase == SESSION_FINISHING)
        event.events |= EPOLLIN;
    else if (session->flushing)
        event.events |= EPOLLOUT;
    else if (session->reading)
        event.events |= EPOLLIN;
    if (event.events == session->armed)
        return;
    (void)epoll_ctl(session->options.epoll_fd, session->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, session->fd,
                    &event);
    session->armed = event.events;
}

static size_t tls_waiting(const struct session *session)
{
    SSL *ssl = session->mosq ? mosquitto_ssl_get(session->mosq) : NULL;
    int waiting = ssl ? SSL_pending(ssl) : 0;

    return waiting > 0 ? (size_t)waiting : 0;
}

/* ---- connecting ---- */

static void connect_now(struct session *session)
{
    session->reason[0] = session->verdict.text[0] = '\0';
    session->keepalive_s = session->options.config->mqtt.keepalive_s;
    session->phase = SESSION_CONNECTING;
    session->due_ms = session->now_ms + CONNECT_MS;
    if (session_dial(session) != 0)
        session_drop(session);
    else
        arm(session);
}

static void look_on(struct session *session)
{
    if (session_dial_on(session) != 0)
        session_drop(session);
    else if (!session->lookup)
        arm(session);
}

/* ---- reading ---- */

static bool is_over(const struct session *session)
{
    return session->ended || mosquitto_socket(session->mosq) < 0;
}

/* One call of the library. False when there was nothing to read. errno alone says nothing: after every
 * message it is EAGAIN from an internal socket pair that nobody empties. */
static bool read_packet(struct session *session)
{
    uint64_t before = session->packets;

    errno = 0;
    int rc = mosquitto_loop_read(session->mosq, 1);
    if (rc != MOSQ_ERR_SUCCESS) {
        int error = errno;

        session->ended = true;
        session_say_why(session, "%s",
                        rc == MOSQ_ERR_ERRNO       ? strerror(error)
                        : rc == MOSQ_ERR_CONN_LOST ? session_closed
                                                   : mosquitto_strerror(rc));
    }
    return !is_over(session) && (session->packets != before || errno != EAGAIN || tls_waiting(session) > 0);
}

static void read_messages(struct session *session)
{
    bool room;

    session->heard_ms = session->now_ms;
    while ((room = session->options.events.more(session->options.events.context)) && read_packet(session))
        ;
    session->between_packets = !room;
}

/* With a time-out while we write, the peer is there and reads nothing: the kernel waits for room. */
static void say_error(struct session *session, int error)
{
    session_say_why(session, "%s%s",
                    session->flushing && error == ETIMEDOUT
                        ? "the broker has taken none of our acknowledgements for a while: "
                    : session->flushing ? "writing failed: "
                                        : "",
                    strerror(error));
}

/* The peer has closed, so no acknowledgement can reach it and what it has sent will come again: producing
 * that would only make duplicates. Its last packet may say why. */
static void read_reason(struct session *session)
{
    int error = 0;
    socklen_t size = sizeof error;

    session->discarding = true;
    (void)getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        say_error(session, error);
    if (session->tcp_up)
        while (read_packet(session))
            ;
    session_drop(session);
}

/* Has it closed since epoll was asked? What is written then reaches nobody, but nobody could tell any more
 * that no acknowledgement has left, and so the whole batch would be evaluated again (redelivery.h). */
static bool peer_has_closed(const struct session *session)
{
    struct pollfd look = {.fd = session->fd, .events = POLLRDHUP};

    return poll(&look, 1, 0) > 0;
}

static bool handshake_done(const struct session *session)
{
    SSL *ssl = mosquitto_ssl_get(session->mosq);

    return !ssl || SSL_is_init_finished(ssl);
}

static void go_on_connecting(struct session *session, uint32_t events)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (!session->tcp_up) {
        if (!(events & EPOLLOUT))
            return;
        (void)getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            session->ended = true;
            session_say_why(session, "%s", strerror(error));
            return;
        }
        session->tcp_up = true;
        session->due_ms = session->now_ms + CONNECT_MS;
    }
    SSL *ssl = mosquitto_ssl_get(session->mosq);
    if (session->asked && !session->old_protocol && peek_socket_old_refusal(session->fd, ssl)) {
        session_refused_as_old(session);
        return;
    }
    /* Depending on the library's version the TLS handshake is a step of either call. */
    do
        (void)read_packet(session);
    while (session->phase == SESSION_CONNECTING && tls_waiting(session) > 0 && !is_over(session));
    if (is_over(session) || session->phase != SESSION_CONNECTING)
        return;
    if (mosquitto_want_write(session->mosq) && mosquitto_loop_write(session->mosq, 1) != MOSQ_ERR_SUCCESS)
        session->ended = true;
    else
        session->asked = handshake_done(session) && !mosquitto_want_write(session->mosq);
}

static void finish_reading(struct session *session)
{
    char junk[16384];
    ssize_t got;

    while ((got = recv(session->fd, junk, sizeof junk, MSG_DONTWAIT)) > 0)
        ;
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        session_drop(session);
}

void session_event(struct session *session, uint32_t events, int64_t now_ms)
{
    session->now_ms = now_ms;
    switch (session->phase) {
    case SESSION_DOWN: return;
    case SESSION_FINISHING: finish_reading(session); return;
    case SESSION_CONNECTING: go_on_connecting(session, events); break;
    case SESSION_UP:
        if (session->flushing && (events & EPOLLOUT)) {
            session->heard_ms = now_ms; /* it has made room */
            (void)session_flush(session);
        } else if (session->reading && !session->flushing && (events & EPOLLIN) &&
                   !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            read_messages(session);
        break;
    }
    if (session->phase == SESSION_DOWN)
        return;
    if (is_over(session))
        session_drop(session);
    else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        read_reason(session);
    else
        arm(session);
}

void session_read(struct session *session, bool on)
{
    if (on && !session->reading)
        session->heard_ms = session->now_ms;
    session->reading = on;
    if (session->phase == SESSION_UP)
        arm(session);
}

/* ---- writing ---- */

/* Our own two bytes, which overtake the PUBACKs that the library keeps: right after a whole flush no packet
 * is half written. Returns false while the socket does not take them. */
static bool send_ping(struct session *session)
{
    static const char ping[2] = {(char)0xc0, 0};
    SSL *ssl = mosquitto_ssl_get(session->mosq);
    const char *at = ping + sizeof ping - session->ping_left;
    ssize_t sent;

    if (session->ping_left == 0)
        return true;
    if (ssl) {
        ERR_clear_error();
        sent = SSL_write(ssl, at, (int)session->ping_left);
    } else {
        sent = send(session->fd, at, session->ping_left, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (sent > 0)
        session->ping_left -= (size_t)sent;
    return session->ping_left == 0; /* an error shows as EPOLLERR, or by silence */
}

bool session_wants_flush(const struct session *session)
{
    return session->phase == SESSION_UP && !session->flushing && mosquitto_want_write(session->mosq);
}

/* Thousands of PUBACKs of 4 bytes, each a write of its own, leave in few segments. */
static void set_cork(const struct session *session, int on)
{
    (void)setsockopt(session->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

static void begin_flush(struct session *session)
{
    session->heard_ms = session->now_ms; /* patience starts afresh */
    session->flushing = true;
    redelivery_flushing(session->redelivery, session->between_packets
                                                 ? peek_socket(session->fd, mosquitto_ssl_get(session->mosq))
                                                 : 0);
}

bool session_flush(struct session *session)
{
    if (session->phase != SESSION_UP)
        return true;
    if (session->options.hold->unsettled != 0) {
        log_error("mqtt",
                  "about to acknowledge %zu messages that are not safe: stopping here, so that the broker "
                  "sends them again",
                  session->options.hold->unsettled);
        abort();
    }
    if (!session->flushing && peer_has_closed(session)) {
        read_reason(session);
        return true;
    }
    if (!session->flushing)
        begin_flush(session);
    set_cork(session, 1);
    if (send_ping(session) && mosquitto_want_write(session->mosq) &&
        mosquitto_loop_write(session->mosq, 1) != MOSQ_ERR_SUCCESS) {
        say_error(session, errno);
        session->ended = true;
    }
    if (is_over(session)) {
        session_drop(session);
        return true;
    }
    set_cork(session, 0);
    if (!mosquitto_want_write(session->mosq) && session->ping_left == 0) {
        session->flushing = false;
        session->ping_ms = session->now_ms + session->keepalive_s * 500;
        counters_add(session->options.counters, COUNT_acknowledged, session->to_acknowledge);
        session->to_acknowledge = 0;
    }
    arm(session);
    return !session->flushing;
}

bool session_finish(struct session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    if (session->phase == SESSION_UP && !session->flushing) {
        SSL *ssl = mosquitto_ssl_get(session->mosq);

        session->phase = SESSION_FINISHING;
        session->due_ms = now_ms + FINISH_MS;
        if (ssl)
            (void)SSL_shutdown(ssl);
        (void)shutdown(session->fd, SHUT_WR);
        arm(session);
    } else if (session->phase == SESSION_CONNECTING) {
        session->phase = SESSION_FINISHING;
        session_drop(session);
    }
    if (session->phase == SESSION_FINISHING && now_ms >= session->due_ms)
        session_drop(session);
    return session->phase == SESSION_DOWN;
}

/* ---- time ---- */

/* As long as messages of the last connection are open nothing is read. A connection that waits for them only
 * risks to be lost unread, and then what is safe comes twice (redelivery.h); and the broker's queue for one
 * that reads is the smaller. But not for long: a session that nobody uses ends. */
static int64_t tick_down(struct session *session)
{
    const bool wait = session->options.hold->orphans > 0 && session->patience_ms > session->due_ms;
    const int64_t due_ms = wait ? session->patience_ms : session->due_ms;

    /* A new login may be what the broker waits for. */
    if (session->now_ms < due_ms && !atomic_load(&session->fresh_login))
        return due_ms;
    connect_now(session);
    return session->phase == SESSION_DOWN ? session->due_ms : session->now_ms + TICK_MS;
}

static int64_t tick_up(struct session *session)
{
    const int64_t keepalive_ms = session->keepalive_s * INT64_C(1000);
    int64_t next = session->now_ms + 1000;

    if (session->reading && !session->flushing && tls_waiting(session) > 0) {
        read_messages(session); /* decrypted already, so epoll knows nothing of it */
        if (is_over(session)) {
            session_drop(session);
            return session->due_ms;
        }
        next = session->now_ms; /* the lane goes over what came, and there may be more */
    }
    if (session->doubting && session->now_ms - session->doubt_ms > DOUBT_MS) {
        session_doubt_is_broken(session);
        session_drop(session);
        return session->due_ms;
    }
    session_ask_again(session);
    if (keepalive_ms == 0)
        return next;
    if ((session->reading || session->flushing) &&
        session->now_ms - session->heard_ms > keepalive_ms * 3 / 2) {
        session_say_why(session,
                        session->flushing ? "the broker has taken none of our acknowledgements for %lld s"
                                          : "the broker has said nothing for %lld s",
                        (long long)(session->now_ms - session->heard_ms) / 1000);
        session_drop(session);
        return session->due_ms;
    }
    if (session->now_ms >= session->ping_ms && !session->flushing) {
        session->ping_ms = session->now_ms + keepalive_ms / 2;
        if (session->ping_left == 0)
            session->ping_left = 2;
        if (!send_ping(session))
            session->ping_ms = session->now_ms + 100;
    }
    return next < session->ping_ms ? next : session->ping_ms;
}

int64_t session_tick(struct session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    switch (session->phase) {
    case SESSION_DOWN: return tick_down(session);
    case SESSION_CONNECTING:
        if (now_ms < session->due_ms) {
            if (session->lookup)
                look_on(session);
            else if (session->tcp_up)
                session_event(session, 0, now_ms);
            return session->phase == SESSION_DOWN ? session->due_ms : now_ms + TICK_MS;
        }
        session_say_why(session, session->lookup   ? "no name server answers within 10 s"
                                 : session->tcp_up ? "no answer to CONNECT within 10 s"
                                                   : "the host does not answer within 10 s");
        session_drop(session);
        return session->due_ms;
    case SESSION_UP: return tick_up(session);
    case SESSION_FINISHING: return session->due_ms;
    }
    return now_ms;
}

struct session *session_new(const struct session_options *options, struct err *err)
{
    struct session *session = calloc(1, sizeof *session);

    if (!session) {
        err_memory(err);
        return NULL;
    }
    session->options = *options;
    session->fd = -1;
    session->login = session_login_ref(options->login);
    session->options.login = NULL; /* may be replaced */
    atomic_init(&session->fresh_login, NULL);
    atomic_init(&session->ready, false);
    atomic_init(&session->unsubscribed, 0);
    copies_init(&session->copies);
    session->redelivery = redelivery_new();
    if (!session->redelivery) {
        err_memory(err);
        session_free(session);
        return NULL;
    }
    if (session_plan(session, options->route, NULL, err) != 0) {
        session_free(session);
        return NULL;
    }
    return session;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    mosquitto_destroy(session->mosq);
    session_login_free(session->login);
    session_login_free(atomic_load(&session->fresh_login));
    free(session->order);
    free(session->denied);
    free(session->subscribes);
    dial_forget(session->lookup);
    redelivery_free(session->redelivery);
    free(session->dup_line);
    free(session);
}

int session_move(struct session *session, const struct session_options *options, struct err *err)
{
    assert(!session->reading && !session->flushing && !session->doubting);
    if (session_plan(session, options->route, session->options.route, err) != 0)
        return -1;
    if (session->armed)
        (void)epoll_ctl(session->options.epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
    session->armed = 0;
    session->options = *options;
    session->options.login = NULL;
    if (!session_login_same(session->login, options->login))
        session_give_login(session, session_login_ref(options->login));
    atomic_store(&session->unsubscribed, 0);
    if (session->phase == SESSION_UP)
        session_subscribe(session);
    return 0;
}

void session_go_on(struct session *session)
{
    arm(session);
}

void session_give_login(struct session *session, struct session_login *login)
{
    session_login_free(atomic_exchange(&session->fresh_login, login));
}

void session_given_up(struct session *session, uint32_t epoch, uint32_t place)
{
    redelivery_given_up(session->redelivery, epoch, place);
}

bool session_must_read_on(const struct session *session)
{
    return session->doubting;
}

bool session_is_up(const struct session *session)
{
    return session->phase == SESSION_UP;
}

bool session_is_flushing(const struct session *session)
{
    return session->flushing;
}

bool session_is_ready(const struct session *session)
{
    return atomic_load(&session->ready);
}

void session_look(const struct session *session, char *out)
{
    (void)glance_read(&session->seen, out);
}

bool session_is_in_doubt(const struct session *session)
{
    return atomic_load(&session->in_doubt);
}

bool session_is_v5(const struct session *session)
{
    return !session->old_protocol;
}
