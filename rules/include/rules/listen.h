/* rules/listen.h - where a server of ours listens: this machine alone, by design.
 *
 * What is told there is no secret, yet it is nobody else's business either, and there is no password. Who
 * wants to reach it from elsewhere puts a proxy in front that asks for one. */
#ifndef RULES_LISTEN_H
#define RULES_LISTEN_H

#include "base/span.h"

enum listen_how {
    LISTEN_STANDARD, /* not said: the program's choice */
    LISTEN_OFF,      /* off */
    LISTEN_UNIX,     /* unix:/run/topicrule/admin.sock */
    LISTEN_TCP,      /* 127.0.0.1:9188, [::1]:9188, localhost:9188 */
};

enum { LISTEN_PATH = 108 }; /* bytes that a socket's address has room for, terminator included: unix(7) */

struct listen {
    enum listen_how how;
    char path[LISTEN_PATH]; /* UNIX; a relative one starts at `directory` */
    char host[46];          /* TCP: a loopback address in numbers */
    int port;
};

/* NULL, or what is wrong with `text` (which `out` then says nothing about). `directory`: where a relative
 * path starts; NULL: the current one. */
const char *listen_read(struct span text, const char *directory, struct listen *out);

#endif
