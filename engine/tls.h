/* tls.h - TLS to the broker: our own context, so that we know why a handshake fails, and take the key's
 * password from wiped memory. */
#ifndef ENGINE_TLS_H
#define ENGINE_TLS_H

#include "base/err.h"
#include "base/wiped.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct tls_files {
    const char *ca, *cert, *key;      /* paths; NULL: the system's authorities; no certificate of ours */
    const struct wiped *key_password; /* NULL: none */
};

/* Why the peer's certificate was refused; empty if it was not. Outlives the context. */
struct tls_verdict {
    char text[160];
};

/* A client context that accepts a server named `host` alone. The caller drops it with SSL_CTX_free. NULL with
 * `err`, which names the file. */
SSL_CTX *tls_context(const struct tls_files *files, const char *host, struct tls_verdict *verdict,
                     struct err *err);

/* Take no certificate but one for `host`, a name or a numeric address. The one rule, for the daemon and for
 * doctor. False: no memory. */
bool tls_expect_host(X509_VERIFY_PARAM *param, const char *host);

#endif
