/* examine_host.c - the way to each broker and KDC: its addresses, a connection, and what listens there.
 *
 * A client that speaks plain text to a TLS listener is hung up on without a word, and so is the reverse, so
 * what is there is asked in both ways before anybody is told to look for a firewall. */
#include "examine.h"

#include "base/clock.h"
#include "base/dial.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOSTS_MS = 15000, HOSTS_MAX = 64 };

struct host {
    char name[256], port[8], whom[272];
    const char *because; /* why we look at it, where it stands in no setting; "" otherwise */
    int64_t until_ms;
};

/* The next of "SSL://a:1, [::1]:2, b"; false at the end. */
static bool next_host(struct span *rest, const char *port, struct host *host)
{
    while (rest->size && strchr(", ", rest->data[0])) {
        rest->data++;
        rest->size--;
    }
    if (rest->size == 0)
        return false;

    size_t size = 0;
    while (size < rest->size && !strchr(", ", rest->data[size]))
        size++;
    struct span one = {rest->data, size};
    *rest = (struct span){rest->data + size, rest->size - size};

    const char *scheme = memmem(one.data, one.size, "://", 3);
    if (scheme) {
        one.size -= (size_t)(scheme + 3 - one.data);
        one.data = scheme + 3;
    }
    const char *colon = memrchr(one.data, ':', one.size), *bracket = memrchr(one.data, ']', one.size);
    *host = (struct host){.because = ""};
    (void)snprintf(host->port, sizeof host->port, "%s", port);
    if (colon && (!bracket || colon > bracket)) {
        (void)snprintf(host->port, sizeof host->port, "%.*s", (int)(one.data + one.size - colon - 1),
                       colon + 1);
        one.size = (size_t)(colon - one.data);
    }
    (void)snprintf(host->whom, sizeof host->whom, "%.*s:%s", (int)(one.size < 255 ? one.size : 255), one.data,
                   host->port);
    if (one.size >= 2 && one.data[0] == '[')
        one = (struct span){one.data + 1, one.size - 2};
    (void)snprintf(host->name, sizeof host->name, "%.*s", (int)(one.size < 255 ? one.size : 255), one.data);
    return true;
}

static size_t count_hosts(struct span rest)
{
    struct host host;
    size_t count = 0;

    while (count < HOSTS_MAX && next_host(&rest, "0", &host))
        count++;
    return count;
}

static int family_of(const struct settings *settings)
{
    struct span family = setting_text(settings, PROP_FAMILY);

    return span_is(family, "v4") ? AF_INET : span_is(family, "v6") ? AF_INET6 : AF_UNSPEC;
}

/* ---- DNS and TCP ---- */

static struct addrinfo *look_up(const struct examination *to, const struct host *host, int family)
{
    char addresses[400];
    int error;

    examining(to, "DNS", host->name);
    struct addrinfo *found = dial_look_up(host->name, host->port, family, host->until_ms, &error);
    if (found && !dial_is_address(host->name)) {
        dial_addresses(found, addresses, sizeof addresses);
        examined(to, "DNS", host->name, ACTION_GOOD, "%s", addresses);
    }
    if (!found && error == EAI_INPROGRESS)
        examined(to, "DNS", host->name, ACTION_BAD,
                 "no answer in time; are the name servers of /etc/resolv.conf up?%s", host->because);
    else if (!found)
        examined(to, "DNS", host->name, ACTION_BAD, "the name does not resolve (%s); is it right?%s",
                 gai_strerror(error), host->because);
    return found;
}

/* A socket that does not block, or -1 when it was said why not. */
static int connect_to(const struct examination *to, const struct host *host, const struct addrinfo *found)
{
    const int64_t began_ms = clock_mono_ms();
    char address[DIAL_ADDRESS] = "";
    int error, fd;

    examining(to, "TCP", host->whom);
    fd = dial_connect(found, host->until_ms, address, &error);
    if (fd < 0)
        examined(to, "TCP", host->whom, ACTION_BAD, "no connection: %s%s", dial_advice(error), host->because);
    else if (dial_is_address(host->name))
        examined(to, "TCP", host->whom, ACTION_GOOD, "connected in %lld ms",
                 (long long)(clock_mono_ms() - began_ms));
    else
        examined(to, "TCP", host->whom, ACTION_GOOD, "connected to %s in %lld ms", address,
                 (long long)(clock_mono_ms() - began_ms));
    return fd;
}

/* ---- what listens there ---- */

enum wire { WIRE_KAFKA, WIRE_CLOSED, WIRE_SILENT, WIRE_OTHER };

/* Ask, without TLS, which requests are known (ApiVersions of version 0), which a broker answers before any
 * login. */
static enum wire ask_plain(int fd, int64_t until_ms)
{
    static const char request[] = "\0\0\0\x13"
                                  "\0\x12\0\0"
                                  "rule"
                                  "\0\x09topicrule"; /* size, key 18, version 0, our number, our name */
    char answer[8];
    size_t have = 0;

    if (!dial_wait(fd, POLLOUT, until_ms) ||
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return WIRE_CLOSED;
    while (have < sizeof answer) {
        if (!dial_wait(fd, POLLIN, until_ms))
            return WIRE_SILENT;
        ssize_t got = recv(fd, answer + have, sizeof answer - have, 0);
        if (got <= 0)
            return WIRE_CLOSED;
        have += (size_t)got;
    }
    return memcmp(answer + 4, "rule", 4) == 0 ? WIRE_KAFKA : WIRE_OTHER;
}

/* Another connection to the same place; -1 without a word. */
static int again(const struct host *host, const struct addrinfo *found)
{
    char address[DIAL_ADDRESS];
    int error;

    return dial_connect(found, host->until_ms, address, &error);
}

static bool look_at_plain(const struct examination *to, const struct host *host, int fd,
                          const struct addrinfo *found)
{
    const bool sasl = to->settings->sasl;

    examining(to, "listener", host->whom);
    switch (ask_plain(fd, host->until_ms)) {
    case WIRE_KAFKA:
        examined(to, "listener", host->whom, ACTION_GOOD, "speaks Kafka without TLS");
        return true;
    case WIRE_SILENT:
        examined(to, "listener", host->whom, ACTION_BAD,
                 "it takes the connection and says nothing; is it overloaded, is a proxy in between?%s",
                 host->because);
        return false;
    case WIRE_CLOSED:
    case WIRE_OTHER: break;
    }
    int second = again(host, found);
    if (second >= 0 && examine_speaks_tls(second, host->until_ms))
        examined(
            to, "listener", host->whom, ACTION_BAD,
            "it speaks TLS, and security.protocol is " SPAN_FMT ": it is to be %s, or the port another%s",
            SPAN_ARG(setting_text(to->settings, PROP_PROTOCOL)), sasl ? "SASL_SSL" : "SSL", host->because);
    else
        examined(to, "listener", host->whom, ACTION_BAD,
                 "it hangs up on Kafka's first request; is that the port of a broker?%s", host->because);
    if (second >= 0)
        (void)close(second);
    return false;
}

static bool look_at_tls(const struct examination *to, const struct host *host, int fd,
                        const struct addrinfo *found)
{
    bool is_plain = false, good;

    examining(to, "TLS", host->whom);
    good = examine_tls(to, fd, host->name, host->whom, host->until_ms, &is_plain);
    if (!is_plain)
        return good;
    int second = again(host, found);
    if (second >= 0 && ask_plain(second, host->until_ms) == WIRE_KAFKA)
        examined(to, "TLS", host->whom, ACTION_BAD,
                 "it speaks Kafka without TLS, and security.protocol is " SPAN_FMT
                 ": it is to be %s, or the port another%s",
                 SPAN_ARG(setting_text(to->settings, PROP_PROTOCOL)),
                 to->settings->sasl ? "SASL_PLAINTEXT" : "PLAINTEXT", host->because);
    else
        examined(to, "TLS", host->whom, ACTION_BAD,
                 "it speaks neither TLS nor Kafka; is that the port of a broker?%s", host->because);
    if (second >= 0)
        (void)close(second);
    return false;
}

static bool look_at_broker(struct examination *to, const struct host *host)
{
    struct addrinfo *found = look_up(to, host, family_of(to->settings));
    bool good = false;
    int fd = found ? connect_to(to, host, found) : -1;

    if (fd >= 0) {
        good = to->settings->tls ? look_at_tls(to, host, fd, found) : look_at_plain(to, host, fd, found);
        (void)close(fd);
    }
    if (found)
        freeaddrinfo(found);
    buf_format(&to->seen, ",%s,", host->whom);
    return good;
}

static void look_at_kdc(struct examination *to, const struct host *host)
{
    struct addrinfo *found = look_up(to, host, AF_UNSPEC);
    int fd = found ? connect_to(to, host, found) : -1;

    to->kdc_reached |= fd >= 0;
    if (fd >= 0)
        (void)close(fd);
    if (found)
        freeaddrinfo(found);
}

/* When the next of `count` is to end, if they have the same time. */
static int64_t share(int64_t end_ms, size_t count)
{
    const int64_t now = clock_mono_ms();

    return now + (end_ms - now) / (int64_t)(count ? count : 1);
}

void examine_hosts(struct examination *to)
{
    struct span brokers = setting_text(to->settings, PROP_BOOTSTRAP),
                kdcs = setting_text(to->settings, PROP_KDC);
    const bool kerberos = to->settings->mechanism == MECHANISM_GSSAPI;
    const int64_t end_ms = clock_mono_ms() + HOSTS_MS;
    size_t left = count_hosts(brokers) + (kerberos ? count_hosts(kdcs) : 0);
    struct host host;

    /* Each has an equal part of the time that is left, and those that are quick leave theirs to the others.
     */
    for (int i = 0; i < HOSTS_MAX && next_host(&brokers, "9092", &host); i++, left--) {
        host.until_ms = share(end_ms, left);
        if (look_at_broker(to, &host))
            buf_format(&to->reached, "%s%s", to->reached.size ? "," : "", host.whom);
    }
    for (int i = 0; kerberos && i < HOSTS_MAX && next_host(&kdcs, "88", &host); i++, left--) {
        host.until_ms = share(end_ms, left);
        look_at_kdc(to, &host);
    }
}

void examine_advertised(struct examination *to, int id, const char *name, unsigned port, int64_t until_ms)
{
    struct host host = {.until_ms = until_ms};
    char known[300], because[120];

    (void)snprintf(host.name, sizeof host.name, "%s", name);
    (void)snprintf(host.port, sizeof host.port, "%u", port & 0xffffu);
    (void)snprintf(host.whom, sizeof host.whom, strchr(name, ':') ? "[%s]:%s" : "%s:%s", host.name,
                   host.port);
    (void)snprintf(known, sizeof known, ",%s,", host.whom);
    if (to->seen.data && strstr(to->seen.data, known))
        return;
    (void)snprintf(because, sizeof because,
                   "; broker %d gives this address to its clients: see its advertised.listeners", id);
    host.because = because;
    (void)look_at_broker(to, &host);
}
