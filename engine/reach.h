/* reach.h - can a server be reached? Its name, the connection, TLS, each a finding. */
#ifndef ENGINE_REACH_H
#define ENGINE_REACH_H

#include "base/health.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

struct reach_server {
    const char *host; /* a name or an address, without brackets */
    int port;
    SSL_CTX *tls;      /* with trust and our certificate, borrowed; NULL: no TLS */
    const char *trust; /* who is trusted, for people: "mqtt.tls.ca_file" */
    bool any_name;     /* the certificate may be for another host */
    int64_t until_ms;  /* monotonic: when to give up */
};

/* Look, and tell of each step; the first that fails is the last told. True when all are fine, with the family
 * of the address that answered, AF_INET or AF_INET6. Blocks until `until_ms` at most. */
bool reach(const struct reach_server *server, int *family, const struct health_report *report);

#endif
