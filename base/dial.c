#include "base/dial.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

bool dial_wait(int fd, short events, int64_t until_ms)
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

/* ---- the name ---- */

struct dial_lookup {
    struct gaicb request;
    struct addrinfo hints;
    char host[256], port[16];
    int error; /* of the start */
};

struct dial_lookup *dial_ask(const char *host, const char *port, int family)
{
    struct dial_lookup *lookup = calloc(1, sizeof *lookup);
    struct gaicb *list[1];

    if (!lookup)
        return NULL;
    (void)snprintf(lookup->host, sizeof lookup->host, "%s", host);
    (void)snprintf(lookup->port, sizeof lookup->port, "%s", port);
    lookup->hints =
        (struct addrinfo){.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    lookup->request =
        (struct gaicb){.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &lookup->hints};
#ifdef __SANITIZE_THREAD__ /* which does not know the C library's own threads, and crashes in them */
    (void)list;
    lookup->error = getaddrinfo(host, port, &lookup->hints, &lookup->request.ar_result);
#else
    list[0] = &lookup->request;
    lookup->error = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
#endif
    return lookup;
}

int dial_answer(struct dial_lookup *lookup, int wait_ms)
{
    const struct gaicb *const list[] = {&lookup->request};
    const struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000L};

    if (lookup->error != 0)
        return lookup->error;
    if (gai_error(&lookup->request) == EAI_INPROGRESS)
        (void)gai_suspend(list, 1, &wait);
    return gai_error(&lookup->request);
}

struct addrinfo *dial_take(struct dial_lookup *lookup)
{
    struct addrinfo *found = lookup->request.ar_result;

    lookup->request.ar_result = NULL;
    return found;
}

void dial_forget(struct dial_lookup *lookup)
{
    if (!lookup)
        return;
    if (dial_answer(lookup, 0) == EAI_INPROGRESS && gai_cancel(&lookup->request) == EAI_NOTCANCELED)
        return; /* its thread still writes there: left to it */
    if (lookup->error == 0 && gai_error(&lookup->request) == 0 && lookup->request.ar_result)
        freeaddrinfo(lookup->request.ar_result);
    free(lookup);
}

struct addrinfo *dial_look_up(const char *host, const char *port, int family, int64_t until_ms, int *error)
{
    struct dial_lookup *lookup = dial_ask(host, port, family);
    struct addrinfo *found = NULL;
    int64_t left;

    *error = lookup ? EAI_INPROGRESS : EAI_MEMORY;
    while (*error == EAI_INPROGRESS && (left = until_ms - clock_mono_ms()) > 0)
        *error = dial_answer(lookup, left < INT_MAX ? (int)left : INT_MAX);
    if (*error == 0)
        found = dial_take(lookup);
    dial_forget(lookup);
    return found;
}

static void show_address(const struct addrinfo *address, char *out, size_t room)
{
    if (getnameinfo(address->ai_addr, address->ai_addrlen, out, (socklen_t)room, NULL, 0, NI_NUMERICHOST) !=
        0)
        (void)snprintf(out, room, "?");
}

void dial_addresses(const struct addrinfo *found, char *out, size_t room)
{
    char one[DIAL_ADDRESS];
    size_t used = 0;

    out[0] = '\0';
    for (const struct addrinfo *at = found; at && used + sizeof one + 2 < room; at = at->ai_next) {
        show_address(at, one, sizeof one);
        used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "", one);
    }
}

bool dial_is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

const char *dial_any_address(int family)
{
    return family == AF_INET ? "0.0.0.0" : family == AF_INET6 ? "::" : NULL;
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
            if (!dial_wait(fd, POLLOUT, until_ms))
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

int dial_connect(const struct addrinfo *found, int64_t until_ms, char *address, int *error)
{
    int fd = -1, count = 0;

    *error = EADDRNOTAVAIL;
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        count++;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next, count--) {
        int64_t now = clock_mono_ms();

        show_address(at, address, DIAL_ADDRESS);
        fd = connect_one(at, now + (until_ms - now) / count, error);
    }
    return fd;
}

const char *dial_advice(int error)
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
