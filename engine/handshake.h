/* handshake.h - TLS over a connection that is there. */
#ifndef ENGINE_HANDSHAKE_H
#define ENGINE_HANDSHAKE_H

#include "reach.h"

/* `fd` does not block. True when the server is one that is trusted; tells either way. */
bool handshake(const struct reach_server *server, int fd, const struct health_report *report);

#endif
