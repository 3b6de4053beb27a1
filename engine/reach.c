#include "reach.h"

#include "handshake.h"

#include "base/clock.h"
#include "base/dial.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The addresses, for freeaddrinfo; NULL when told why there are none. */
static struct addrinfo *look_up(const struct reach_server *server, const struct health_report *report)
{
    char port[16], addresses[400];
    int error;

    (void)snprintf(port, sizeof port, "%d", server->port);
    struct addrinfo *found = dial_look_up(server->host, port, AF_UNSPEC, server->until_ms, &error);

    if (found && !dial_is_address(server->host)) {
        dial_addresses(found, addresses, sizeof addresses);
        health_tell(report, HEALTH_FINE, "DNS", "%s", addresses);
    }
    if (!found && error == EAI_INPROGRESS)
        health_tell(report, HEALTH_BROKEN, "DNS",
                    "no answer in time for %s; are the name servers of /etc/resolv.conf up?", server->host);
    else if (!found)
        health_tell(report, HEALTH_BROKEN, "DNS", "%s does not resolve (%s); is the name right?",
                    server->host, gai_strerror(error));
    return found;
}

static int connect_any(const struct addrinfo *found, const struct reach_server *server,
                       const struct health_report *report)
{
    const int64_t began_ms = clock_mono_ms();
    char address[DIAL_ADDRESS];
    int error, fd = dial_connect(found, server->until_ms, address, &error);

    if (fd < 0)
        health_tell(report, HEALTH_BROKEN, "TCP", "%s", dial_advice(error));
    else
        health_tell(report, HEALTH_FINE, "TCP", "connected in %lld ms",
                    (long long)(clock_mono_ms() - began_ms));
    return fd;
}

bool reach(const struct reach_server *server, int *family, const struct health_report *report)
{
    socklen_t size = sizeof *family;
    struct addrinfo *found = look_up(server, report);

    if (!found)
        return false;
    int fd = connect_any(found, server, report);
    freeaddrinfo(found);
    if (fd < 0)
        return false;
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, family, &size);
    bool fine = !server->tls || handshake(server, fd, report);
    (void)close(fd);
    return fine;
}
