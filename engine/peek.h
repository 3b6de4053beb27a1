/* peek.h - which message is next in the socket?
 *
 * Asked before acknowledgements leave: what has not been read by then comes again after a loss for certain,
 * and proves what came before it (redelivery.h). The library takes from the socket whole packets only, and
 * closes it when writing fails, so afterwards it is too late. */
#ifndef ENGINE_PEEK_H
#define ENGINE_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_st;

/* The packet identifier of the PUBLISH with QoS 1 that the bytes begin with, cut off anywhere; 0: anything
 * else, or not there yet. */
uint16_t peek_identifier(const unsigned char *bytes, size_t size);

/* The same of what waits in a socket, `ssl` NULL: without TLS. Takes nothing out. Only at the end of a
 * packet. */
uint16_t peek_socket(int fd, struct ssl_st *ssl);

/* Is it the answer of a broker that does not know MQTT 5: a CONNACK of MQTT 3.1.1 that refuses the version?
 * Of libmosquitto 2.0.11 the CONNACK callback tells so, for 2.0.21 it is a malformed packet like any other.
 */
bool peek_is_old_refusal(const unsigned char *bytes, size_t size);
bool peek_socket_old_refusal(int fd, struct ssl_st *ssl);

#endif
