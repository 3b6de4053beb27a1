#include "store.h"

#include "base/auto.h"
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void bio_drop(BIO **bio)
{
    BIO_free(*bio);
}

const char *store_openssl_reason(char *out, size_t room)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    (void)snprintf(out, room, "%s", reason ? reason : "no reason given");
    ERR_clear_error();
    return out;
}

/* ---- what is it? ---- */

static bool starts_like_pem(struct span bytes)
{
    return memmem(bytes.data, bytes.size < 65536 ? bytes.size : 65536, "-----BEGIN ", 11) != NULL;
}

/* PKCS#12 (RFC 7292): SEQUENCE { INTEGER 3, ... }. A certificate: SEQUENCE { SEQUENCE ... }. */
static enum store_format der_format(struct span bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.data;
    size_t head = 2;

    if (p[1] > 0x84)
        return STORE_UNKNOWN;
    if (p[1] >= 0x80)
        head += p[1] & 0x7fu; /* BER of unknown length (0x80) has no length bytes */
    if (bytes.size < head + 3)
        return STORE_UNKNOWN;
    if (p[head] == 0x02 && p[head + 1] == 0x01 && p[head + 2] == 0x03)
        return STORE_PKCS12;
    return p[head] == 0x30 ? STORE_DER : STORE_UNKNOWN;
}

enum store_format store_format(struct span bytes)
{
    if (bytes.size == 0)
        return STORE_EMPTY;
    if (bytes.size >= 4 && memcmp(bytes.data, "\xfe\xed\xfe\xed", 4) == 0)
        return STORE_JKS;
    if (bytes.size >= 4 && memcmp(bytes.data, "\xce\xce\xce\xce", 4) == 0)
        return STORE_JCEKS;
    if (bytes.size >= 8 && bytes.data[0] == 0x30 && ((unsigned char)bytes.data[1] & 0x80))
        return der_format(bytes);
    return starts_like_pem(bytes) ? STORE_PEM : STORE_UNKNOWN;
}

const char *store_format_name(enum store_format format)
{
    switch (format) {
    case STORE_EMPTY: return "nothing";
    case STORE_PEM: return "PEM";
    case STORE_DER: return "a DER certificate";
    case STORE_PKCS12: return "PKCS#12";
    case STORE_JKS: return "JKS";
    case STORE_JCEKS: return "JCEKS";
    case STORE_UNKNOWN: break;
    }
    return "of no known format";
}

/* ---- from text or file to bytes ---- */

static int base64_digit(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Returns the number of bytes, or -1. `out` has room for 3 bytes for every 4 of `text`, and 3 more. */
static long decode_base64(struct span text, unsigned char *out)
{
    uint32_t bits = 0;
    size_t digits = 0, size = 0, padding = 0;

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        int digit = base64_digit(c);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        if (c == '=' && digits % 4 >= 2 && padding < 2) {
            padding++;
            continue;
        }
        if (digit < 0 || padding)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        if (++digits % 4 == 0) {
            out[size++] = (unsigned char)(bits >> 16);
            out[size++] = (unsigned char)(bits >> 8);
            out[size++] = (unsigned char)bits;
        }
    }
    if (digits % 4 == 1 || (padding && (digits + padding) % 4 != 0))
        return -1;
    if (digits % 4 == 2)
        out[size++] = (unsigned char)(bits >> 4);
    if (digits % 4 == 3) {
        out[size++] = (unsigned char)(bits >> 10);
        out[size++] = (unsigned char)(bits >> 2);
    }
    return (long)size;
}

struct wiped *store_bytes(struct span text, struct err *err)
{
    if (text.size > STORE_MAX_BYTES) {
        err_set(err, ERR_LIMIT, "more than %d bytes", STORE_MAX_BYTES);
        return NULL;
    }

    enum store_format format = store_format(text);
    struct wiped *bytes = NULL;

    if (format != STORE_UNKNOWN || (text.size >= 2 && memcmp(text.data, "\x05\x02", 2) == 0)) {
        bytes = wiped_new(text); /* 05 02: a keytab */
    } else {
        size_t room = text.size / 4 * 3 + 3;
        unsigned char *decoded = malloc(room);
        long size = decoded ? decode_base64(text, decoded) : 0;

        if (size < 0) {
            free(decoded);
            err_set(err, ERR_SYNTAX, "neither base64 nor a store that is known here");
            return NULL;
        }
        if (decoded)
            bytes = wiped_new((struct span){(char *)decoded, (size_t)size});
        if (decoded)
            wipe(decoded, room);
        free(decoded);
    }
    if (!bytes)
        err_memory(err);
    return bytes;
}

struct wiped *store_file(const char *path, struct err *err)
{
    struct wiped *bytes = NULL;
    char *content = NULL;
    struct stat info = {0};
    size_t size = 0, room = 0;
    ssize_t got = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (file < 0 || fstat(file, &info) != 0) {
        err_set(err, ERR_IO, "cannot read %.200s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > STORE_MAX_BYTES) {
        err_set(err, ERR_IO, "%.200s is not a file of at most %d bytes", path, STORE_MAX_BYTES);
        goto out;
    }
    room = (size_t)info.st_size + 1;
    content = malloc(room);
    while (content && size < room && (got = read(file, content + size, room - size)) > 0)
        size += (size_t)got;
    if (got < 0)
        err_set(err, ERR_IO, "cannot read %.200s: %s", path, strerror(errno));
    else if (!content || !(bytes = wiped_new((struct span){content, size})))
        err_memory(err);
out:
    if (content)
        wipe(content, room);
    free(content);
    if (file >= 0)
        (void)close(file);
    return bytes;
}

/* ---- reading ---- */

static int read_der(struct store *store, struct span bytes, struct err *err)
{
    return store_add_der(store->trusted, bytes, err);
}

int store_read(struct store *store, struct span bytes, struct span password, struct span key_password,
               bool want_key, struct err *err)
{
    enum store_format format = store_format(bytes);

    *store = (struct store){NULL, sk_X509_new_null(), sk_X509_new_null()};
    if (!store->chain || !store->trusted)
        return err_memory(err);
    if (key_password.size == 0)
        key_password = password;
    ERR_clear_error();
    switch (format) {
    case STORE_PEM: return store_read_pem(store, bytes, key_password, want_key, err);
    case STORE_DER: return read_der(store, bytes, err);
    case STORE_PKCS12: return store_read_pkcs12(store, bytes, password, key_password, want_key, err);
    case STORE_JKS: return store_read_jks(store, bytes, password, key_password, want_key, err);
    case STORE_JCEKS:
        return err_set(err, ERR_UNSUPPORTED,
                       "a JCEKS store; make it PKCS#12: keytool -importkeystore -deststoretype pkcs12");
    case STORE_EMPTY: return err_set(err, ERR_SYNTAX, "empty");
    case STORE_UNKNOWN: break;
    }
    return err_set(err, ERR_SYNTAX, "neither PEM, PKCS#12 nor JKS");
}

void store_done(struct store *store)
{
    EVP_PKEY_free(store->key);
    sk_X509_pop_free(store->chain, X509_free);
    sk_X509_pop_free(store->trusted, X509_free);
    *store = (struct store){0};
}

int store_add_der(STACK_OF(X509) * list, struct span der, struct err *err)
{
    const unsigned char *at = (const unsigned char *)der.data;
    X509 *certificate = NULL;
    char reason[80];

    if (sk_X509_num(list) >= STORE_MAX_CERTIFICATES)
        return err_set(err, ERR_LIMIT, "more than %d certificates", STORE_MAX_CERTIFICATES);
    if (der.size <= STORE_MAX_BYTES)
        certificate = d2i_X509(NULL, &at, (long)der.size);
    if (!certificate)
        return err_set(err, ERR_SYNTAX, "certificate %d is broken: %s", sk_X509_num(list) + 1,
                       store_openssl_reason(reason, sizeof reason));
    if (sk_X509_push(list, certificate) <= 0) {
        X509_free(certificate);
        return err_memory(err);
    }
    return 0;
}

/* ---- the chain ---- */

static int push_ref(STACK_OF(X509) * list, X509 *certificate)
{
    if (sk_X509_push(list, certificate) <= 0)
        return -1;
    X509_up_ref(certificate);
    return 0;
}

static X509 *issuer_of(X509 *certificate, const STACK_OF(X509) * among)
{
    for (int i = 0; i < sk_X509_num(among); i++) {
        X509 *candidate = sk_X509_value(among, i);
        if (X509_check_issued(candidate, certificate) == X509_V_OK && X509_cmp(candidate, certificate) != 0)
            return candidate;
    }
    return NULL;
}

int store_order_chain(struct store *store, STACK_OF(X509) * others, struct err *err)
{
    X509 *at = NULL;

    for (int i = 0; i < sk_X509_num(others) && !at; i++)
        if (X509_check_private_key(sk_X509_value(others, i), store->key) == 1)
            at = sk_X509_value(others, i);
    ERR_clear_error();
    if (!at)
        return err_set(err, ERR_VALUE,
                       sk_X509_num(others) == 0 ? "there is a private key, but no certificate"
                                                : "no certificate belongs to the private key");
    for (int length = 0; at && length < STORE_MAX_CHAIN; length++) {
        if (push_ref(store->chain, at) != 0)
            return err_memory(err);
        at = issuer_of(at, others);
        if (at && X509_check_issued(at, at) == X509_V_OK)
            break; /* a root: the broker has it, or does not trust it anyway */
    }
    ERR_clear_error();
    return 0;
}

/* ---- to PEM ---- */

static struct wiped *bio_content(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);

    return size > 0 ? wiped_new((struct span){data, (size_t)size}) : NULL;
}

struct wiped *store_certificates_pem(const STACK_OF(X509) * list)
{
    AUTO(bio_drop) BIO *bio = BIO_new(BIO_s_mem());

    for (int i = 0; bio && i < sk_X509_num(list); i++)
        if (PEM_write_bio_X509(bio, sk_X509_value(list, i)) != 1)
            return NULL;
    return bio ? bio_content(bio) : NULL;
}

struct wiped *store_key_pem(EVP_PKEY *key)
{
    AUTO(bio_drop) BIO *bio = BIO_new(BIO_s_secmem()); /* cleared when it grows and when it is freed */

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return NULL;
    return bio_content(bio);
}
