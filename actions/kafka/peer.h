/* peer.h - a broker's certificate: is it for the host that was asked for, and what does it say of itself? */
#ifndef KAFKA_PEER_H
#define KAFKA_PEER_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/* The one rule, for the client and for `doctor`, and the same as towards MQTT brokers: a numeric address must
 * be among the certificate's addresses; a name may be covered by `*` for its whole first label, never by part
 * of one ("kaf*.example.com"), which OpenSSL would take and librdkafka does not forbid. `host` has no
 * brackets and no port. */
bool peer_is_for(X509 *certificate, const char *host);

/* "localhost, 127.0.0.1": whom the certificate is for; its subject when it names no host. Cut at `room`. */
void peer_names(const X509 *certificate, char *out, size_t room);

/* "CN=testbed ca": what is not printable ASCII comes out escaped. Cut at `room`. */
void peer_name_text(const X509_NAME *name, char *out, size_t room);

#endif
