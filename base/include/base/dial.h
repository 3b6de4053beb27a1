/* base/dial.h - from a server's name to a connection, each step within a time, each with its own reason.
 *
 * For looks at other systems, not for the hot path: what a person wants to know of each step is kept apart.
 * Everything blocks its caller until `until_ms` (clock_mono_ms) at most. */
#ifndef BASE_DIAL_H
#define BASE_DIAL_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIAL_ADDRESS = 64 }; /* room for an address as text */

/* The addresses of a host (name or address, no brackets) for TCP, to be freed with freeaddrinfo. `family` is
 * AF_UNSPEC, AF_INET or AF_INET6. NULL with `*error` for gai_strerror; EAI_INPROGRESS: the time is over.
 * The resolver has times of its own, so it is asked on a thread beside; one that answers too late costs the
 * memory of its question. */
struct addrinfo *dial_look_up(const char *host, const char *port, int family, int64_t until_ms, int *error);

/* The same for one who must not wait. NULL: no memory. */
struct dial_lookup;
struct dial_lookup *dial_ask(const char *host, const char *port, int family);
/* What getaddrinfo would return; EAI_INPROGRESS if there is no answer within `wait_ms`. */
int dial_answer(struct dial_lookup *lookup, int wait_ms);
struct addrinfo *dial_take(struct dial_lookup *lookup); /* after 0, once: for freeaddrinfo */
void dial_forget(struct dial_lookup *lookup);           /* NULL is a no-op */

/* "127.0.0.1, ::1". Cut after an address when there is no more room. */
void dial_addresses(const struct addrinfo *found, char *out, size_t room);
bool dial_is_address(const char *host); /* it needs no name server */

/* What to bind to for a connection by that family alone; 0: NULL. For libmosquitto, which takes the first
 * address of a name to which connect(2) begins, and never looks at another: a broker that listens on
 * 127.0.0.1 alone is out of reach as `localhost` where that is ::1 first. */
const char *dial_any_address(int family);

/* Addresses are tried in order, each with an equal part of the time that is left. Returns a socket that does
 * not block, and its address in `address` (room: DIAL_ADDRESS); -1 with `*error`, an errno, of the last try.
 */
int dial_connect(const struct addrinfo *found, int64_t until_ms, char *address, int *error);
const char *dial_advice(int error); /* what an errno of dial_connect means, and what to do */

/* Wait for `events` of poll(2); false when the time is over. */
bool dial_wait(int fd, short events, int64_t until_ms);

#endif
