/* The start of a connection: who we are, what we ask for, TLS, and the socket. */
#include "session_state.h"

#include "base/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WANTED_RCVBUF = 16 << 20,
    LOOKUP_MS = 5,    /* the lane waits so long for names: enough for /etc/hosts */
    FAMILY_MS = 3000, /* where a name has IPv4 and IPv6, the first has so long for a connection */
};

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

/* A fixed buffer switches the kernel's own sizing off, which goes to 6 MiB by default. So ask for one only
 * where net.core.rmem_max lets it be larger. */
static bool large_buffer_allowed(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), got = 0;
    socklen_t size = sizeof got;

    if (fd < 0)
        return false;
    set_int(fd, SOL_SOCKET, SO_RCVBUF, WANTED_RCVBUF);
    (void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &size);
    (void)close(fd);
    return got >= WANTED_RCVBUF;
}

static void tune_socket(struct session *session)
{
    int patience_ms = session->keepalive_s > 0 ? session->keepalive_s * 1000 : 60000, family = AF_INET;
    socklen_t size = sizeof family;

    /* While holding we do not read, so only the kernel can notice a dead peer. */
    set_int(session->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(session->fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set_int(session->fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_int(session->fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_int(session->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, patience_ms);
    (void)getsockopt(session->fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    if (large_buffer_allowed(family))
        set_int(session->fd, SOL_SOCKET, SO_RCVBUF, WANTED_RCVBUF);
}

static uint32_t to_u32(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* What MQTT 5 says in CONNECT. There is no call that sets it for a connection that does not block: the one
 * that does both keeps the properties even when it refuses the port. */
static int set_connect_properties(struct session *session, const char *host)
{
    const struct config *config = session->options.config;
    /* The limit is on the payload; topic and properties come on top. */
    const int64_t packet = config->limits.payload_bytes + (256 << 10);
    mosquitto_property *properties = NULL;

    if (mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                     to_u32(config->mqtt.session_expiry_s)) != 0 ||
        mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, to_u32(packet)) != 0) {
        mosquitto_property_free_all(&properties);
        return -1;
    }
    int rc = mosquitto_connect_bind_v5(session->mosq, host, -1, session->keepalive_s, NULL, properties);
    mosquitto_property_free_all(&properties);
    return rc == MOSQ_ERR_INVAL ? 0 : -1;
}

static int set_tls(struct session *session, const struct config_broker *broker)
{
    const struct session_login *login = session->login;
    const struct tls_files files = {login->ca_file, login->cert_file, login->key_file, login->key_password};
    struct err err;

    SSL_CTX *context = tls_context(&files, broker->host, &session->verdict, &err);
    if (!context) {
        session_say_why(session, "%s", err.text);
        return -1;
    }
    int rc = mosquitto_void_option(session->mosq, MOSQ_OPT_SSL_CTX, context);
    SSL_CTX_free(context); /* the session has a reference of its own */
    return rc == 0 && mosquitto_int_option(session->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0) == 0 ? 0 : -1;
}

static int make_client(struct session *session, const struct config_broker *broker)
{
    const struct session_login *login = session->login;

    free(session->dup_line);
    if (asprintf(&session->dup_line, "Client %s received PUBLISH (d", login->client_id) < 0)
        session->dup_line = NULL;
    session->mosq = mosquitto_new(login->client_id, false, session);
    if (!session->mosq || !session->dup_line)
        return -1;
    session_set_callbacks(session);
    mosquitto_threaded_set(session->mosq, true); /* see session.h */
    if (mosquitto_int_option(session->mosq, MOSQ_OPT_PROTOCOL_VERSION,
                             session->old_protocol ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5) != 0 ||
        mosquitto_int_option(session->mosq, MOSQ_OPT_RECEIVE_MAXIMUM, REDELIVERY_RECEIVE_MAXIMUM) != 0 ||
        mosquitto_int_option(session->mosq, MOSQ_OPT_TCP_NODELAY, 1) != 0)
        return -1;
    if (login->username || login->password) {
        const char *password = login->password ? wiped_reveal(login->password).data : NULL;

        if (mosquitto_username_pw_set(session->mosq, login->username ? login->username : "", password) != 0)
            return -1;
    }
    if (broker->tls && set_tls(session, broker) != 0)
        return -1;
    return session->old_protocol ? 0 : set_connect_properties(session, broker->host);
}

static void take_login(struct session *session)
{
    struct session_login *fresh = atomic_exchange(&session->fresh_login, NULL);

    if (!fresh)
        return;
    session_login_free(session->login);
    session->login = fresh;
}

/* The name is known to resolve, so the look-up of the library, which knows no other way, does not last. */
static int connect_now(struct session *session, const struct config_broker *broker)
{
    take_login(session);
    if (make_client(session, broker) != 0) {
        session_say_why(session, "no memory, or a value that MQTT cannot carry");
        return -1;
    }
    int rc = mosquitto_connect_bind_async(session->mosq, broker->host, broker->port, session->keepalive_s,
                                          dial_any_address(session->family));
    if (rc != MOSQ_ERR_SUCCESS) {
        session_say_why(session, "%s",
                        rc == MOSQ_ERR_EAI     ? gai_strerror(errno)
                        : rc == MOSQ_ERR_ERRNO ? strerror(errno)
                                               : mosquitto_strerror(rc));
        return -1;
    }
    session->fd = mosquitto_socket(session->mosq);
    tune_socket(session);
    return 0;
}

/* What to try next, should the first family of the name not answer. */
static void look_at_families(struct session *session, const struct addrinfo *found)
{
    session->other_family = 0;
    if (session->family != 0)
        return;
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        if (at->ai_family != found->ai_family)
            session->other_family = at->ai_family;
    if (session->other_family != 0)
        session->due_ms = session->now_ms + FAMILY_MS;
}

int session_dial(struct session *session)
{
    const struct config_broker *broker = &session->options.config->mqtt.brokers[session->broker];
    char port[16];

    (void)snprintf(session->name, sizeof session->name, "%s://%s:%d", broker->tls ? "mqtts" : "mqtt",
                   broker->host, broker->port);
    session->other_family = 0;
    if (dial_is_address(broker->host))
        return connect_now(session, broker);
    (void)snprintf(port, sizeof port, "%d", broker->port);
    session->lookup = dial_ask(broker->host, port, AF_UNSPEC);
    if (!session->lookup) {
        session_say_why(session, "no memory");
        return -1;
    }
    return session_dial_on(session);
}

int session_dial_on(struct session *session)
{
    const struct config_broker *broker = &session->options.config->mqtt.brokers[session->broker];
    const int error = dial_answer(session->lookup, LOOKUP_MS);

    if (error == EAI_INPROGRESS)
        return 0;
    struct addrinfo *found = error == 0 ? dial_take(session->lookup) : NULL;
    look_at_families(session, found);
    if (found)
        freeaddrinfo(found);
    dial_forget(session->lookup);
    session->lookup = NULL;
    if (error == 0)
        return connect_now(session, broker);
    session_say_why(session, "the name does not resolve: %s", gai_strerror(error));
    return -1;
}
