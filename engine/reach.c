#include "reach.h"

#include "handshake.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool reach_wait(int fd, short events, int64_t until_ms)
{
    struct pollfd one = {.fd = fd, .events = events};
    int64_t left;
    int count;

    do {
        left = until_ms - clock_mono_ms();
        count = left > 0 ? poll(&one, 1, (int)left) : 0;
    } while (count < 0 && errno == EINTR);
    return count > 0;
}

/* ---- the name: asked beside us, because the resolver has times of its own ---- */

struct lookup {
    struct gaicb request;
    struct addrinfo hints;
    char host[256], port[16];
};

/* The addresses, for freeaddrinfo; NULL when told why there are none. */
static struct addrinfo *look_up(const struct reach_server *server, const struct health_report *report)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct gaicb *list[1];
    int error = EAI_MEMORY;

    if (lookup) {
        (void)snprintf(lookup->host, sizeof lookup->host, "%s", server->host);
        (void)snprintf(lookup->port, sizeof lookup->port, "%d", server->port);
        lookup->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        lookup->request =
            (struct gaicb){.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &lookup->hints};
        list[0] = &lookup->request;
        error = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
        while (error == 0 && (error = gai_error(list[0])) == EAI_INPROGRESS) {
            int64_t left = server->until_ms - clock_mono_ms();
            struct timespec wait = {left / 1000, left % 1000 * 1000000};

            if (left <= 0)
                break;
            (void)gai_suspend((const struct gaicb *const *)list, 1, &wait);
            error = 0;
        }
    }
    if (error == EAI_INPROGRESS) {
        health_tell(report, HEALTH_BROKEN, "DNS",
                    "no answer in time for %s; are the name servers of /etc/resolv.conf up?", server->host);
        if (gai_cancel(list[0]) != EAI_CANCELED)
            return NULL; /* its thread still writes there: left to it */
        free(lookup);
        return NULL;
    }
    struct addrinfo *found = error == 0 ? lookup->request.ar_result : NULL;
    free(lookup);
    if (!found)
        health_tell(report, HEALTH_BROKEN, "DNS", "%s does not resolve (%s); is the name right?",
                    server->host, gai_strerror(error));
    return found;
}

static void show_address(const struct addrinfo *address, char *out, size_t room)
{
    if (getnameinfo(address->ai_addr, address->ai_addrlen, out, (socklen_t)room, NULL, 0, NI_NUMERICHOST) !=
        0)
        (void)snprintf(out, room, "?");
}

static bool is_numeric(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static void tell_addresses(const struct addrinfo *found, const struct health_report *report)
{
    char text[400] = "", one[64];
    size_t used = 0;

    for (const struct addrinfo *at = found; at && used + sizeof one + 2 < sizeof text; at = at->ai_next) {
        show_address(at, one, sizeof one);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "", one);
    }
    health_tell(report, HEALTH_FINE, "DNS", "%s", text);
}

/* ---- the connection ---- */

/* A socket, or -1 with the reason in `*error`. */
static int connect_one(const struct addrinfo *address, int64_t until_ms, int *error)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof *error;

    *error = fd < 0 ? errno : 0;
    if (fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        *error = errno;
        if (*error == EINPROGRESS) {
            if (!reach_wait(fd, POLLOUT, until_ms))
                *error = ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &size) != 0)
                *error = errno;
        }
    }
    if (*error == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static const char *advice(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "nothing listens there (connection refused); is the server up, is the port right?";
    case ETIMEDOUT: return "no answer in time; is a firewall in between?";
    case ENETUNREACH:
    case EHOSTUNREACH: return "there is no way to it from here; look at routes and firewalls";
    default: return strerror(error);
    }
}

/* Addresses are tried in order, each with an equal part of the time that is left. */
static int connect_any(const struct addrinfo *found, const struct reach_server *server,
                       const struct health_report *report)
{
    const int64_t began_ms = clock_mono_ms();
    int fd = -1, error = 0, count = 0;

    for (const struct addrinfo *at = found; at; at = at->ai_next)
        count++;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next, count--) {
        int64_t now = clock_mono_ms();

        fd = connect_one(at, now + (server->until_ms - now) / count, &error);
    }
    if (fd < 0)
        health_tell(report, HEALTH_BROKEN, "TCP", "%s", advice(error));
    else
        health_tell(report, HEALTH_FINE, "TCP", "connected in %lld ms",
                    (long long)(clock_mono_ms() - began_ms));
    return fd;
}

bool reach(const struct reach_server *server, const struct health_report *report)
{
    struct addrinfo *found = look_up(server, report);

    if (!found)
        return false;
    if (!is_numeric(server->host))
        tell_addresses(found, report);
    int fd = connect_any(found, server, report);
    freeaddrinfo(found);
    if (fd < 0)
        return false;
    bool fine = !server->tls || handshake(server, fd, report);
    (void)close(fd);
    return fine;
}
