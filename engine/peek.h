/* peek.h - which message is next in the socket?
 *
 * Asked before acknowledgements leave: what has not been read by then comes again after a loss for certain,
 * and proves what came before it (redelivery.h). The library takes from the socket whole packets only, and
 * closes it when writing fails, so afterwards it is too late. */
#ifndef ENGINE_PEEK_H
#define ENGINE_PEEK_H

#include <stddef.h>
#include <stdint.h>

struct ssl_st;

/* The packet identifier of the PUBLISH with QoS 1 that the bytes begin with, cut off anywhere; 0: anything
 * else, or not there yet. */
uint16_t peek_identifier(const unsigned char *bytes, size_t size);

/* The same of what waits in a socket, `ssl` NULL: without TLS. Takes nothing out. Only at the end of a
 * packet. */
uint16_t peek_socket(int fd, struct ssl_st *ssl);

#endif
