/* detour.c - preloaded into the daemon: connections to one port go to another, where the test's proxy
 * listens.
 *
 * A Kafka tells its clients where to connect, so a proxy cannot just be named in a rule.
 *
 *     CHAOS_DETOUR=9092=31000
 *
 * Loopback only; a broker's own connections are not ours to see. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's names are reserved */
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    const char *detour = getenv("CHAOS_DETOUR");
    struct sockaddr_in other;
    unsigned from, to;

    if (detour && address->sa_family == AF_INET && size >= sizeof other &&
        sscanf(detour, "%u=%u", &from, &to) == 2) {
        other = *(const struct sockaddr_in *)(const void *)address;
        if (other.sin_port == htons((uint16_t)from)) {
            other.sin_port = htons((uint16_t)to);
            return NEXT(connect)(fd, (const struct sockaddr *)(const void *)&other, sizeof other);
        }
    }
    return NEXT(connect)(fd, address, size);
}
