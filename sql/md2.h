/* sql/md2.h - the MD2 message digest (RFC 1319), which OpenSSL 3 no longer has and AWS's md2() still needs.
 * For old data only: it is broken as a cryptographic hash. */
#ifndef SQL_MD2_H
#define SQL_MD2_H

#include "base/span.h"

enum { MD2_SIZE = 16 };

void md2(struct span text, unsigned char out[MD2_SIZE]);

#endif
