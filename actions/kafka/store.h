/* store.h - stores of keys and certificates: PEM, DER, PKCS#12 and JKS, told apart by their content. */
#ifndef KAFKA_STORE_H
#define KAFKA_STORE_H

#include "base/err.h"
#include "base/span.h"
#include "base/wiped.h"

#include <openssl/types.h>
#include <stdbool.h>

enum store_format { STORE_EMPTY, STORE_PEM, STORE_DER, STORE_PKCS12, STORE_JKS, STORE_JCEKS, STORE_UNKNOWN };

/* The limits of a store, far above any real one. */
enum { STORE_MAX_BYTES = 4 << 20, STORE_MAX_CERTIFICATES = 1000, STORE_MAX_CHAIN = 32 };

enum store_format store_format(struct span bytes);
const char *store_format_name(enum store_format format);

/* Text that holds a store: PEM or binary as it is, anything else as base64 (blanks and line breaks allowed;
 * the standard or the URL alphabet). NULL with `err`. */
struct wiped *store_bytes(struct span text, struct err *err);
/* The same from a file. */
struct wiped *store_file(const char *path, struct err *err);

/* What a store holds. `key` with its `chain`, own certificate first; all certificates besides in `trusted`.
 */
struct store {
    EVP_PKEY *key;
    STACK_OF(X509) * chain, *trusted;
};

/* Read a store of any format. `password` empty: none. `key_password` empty: the same as `password`. With
 * `want_key` false private keys are passed over. Returns 0, or -1 with `err`; leaves `store` fit for
 * store_done. */
int store_read(struct store *store, struct span bytes, struct span password, struct span key_password,
               bool want_key, struct err *err);
void store_done(struct store *store);

/* One reader a format; store_read chooses. */
int store_read_pem(struct store *store, struct span bytes, struct span key_password, bool want_key,
                   struct err *err);
int store_read_pkcs12(struct store *store, struct span bytes, struct span password, struct span key_password,
                      bool want_key, struct err *err);
int store_read_jks(struct store *store, struct span bytes, struct span password, struct span key_password,
                   bool want_key, struct err *err);

/* Rounds of hashing that a store may ask for, all its parts together: some seconds, where an honest one takes
 * a fraction of one. Takes what `algorithm` asks for from `*left`. 0; -1 when it is more than is left, or not
 * to be known and `strict`. */
enum { STORE_MAX_ROUNDS = 5000000 };
int store_take_rounds(const X509_ALGOR *algorithm, bool strict, long *left);

/* Take a certificate in DER into `list`: 0, or -1 with `err`. */
int store_add_der(STACK_OF(X509) * list, struct span der, struct err *err);

/* Put `chain` in order, the certificate of `key` first, then each one's issuer from `others` too as far as
 * they are there (a self-signed root is left out). -1 with `err` when no certificate is that of `key`. */
int store_order_chain(struct store *store, STACK_OF(X509) * others, struct err *err);

/* As PEM text. NULL without memory. */
struct wiped *store_certificates_pem(const STACK_OF(X509) * list);
struct wiped *store_key_pem(EVP_PKEY *key);

/* The reason at the head of OpenSSL's error queue, in its words ("no reason given" without one); empties it.
 */
const char *store_openssl_reason(char *out, size_t room);

#endif
