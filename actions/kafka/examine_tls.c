#include "examine.h"

#include "peer.h"
#include "words.h"

#include "base/auto.h"
#include "base/dial.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

static inline void bio_drop(BIO **bio)
{
    BIO_free(*bio);
}

/* Take the certificates of PEM text as trusted, or as our chain. */
static void add_certificates(SSL_CTX *context, struct span pem, bool trusted)
{
    AUTO(bio_drop) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *certificate;

    for (bool own = true; bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)); own = false) {
        if (trusted)
            (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
        else if (own)
            (void)SSL_CTX_use_certificate(context, certificate);
        else
            (void)SSL_CTX_add1_chain_cert(context, certificate);
        X509_free(certificate);
    }
    ERR_clear_error();
}

static SSL_CTX *context_of(const struct material *material)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    if (material->trust)
        add_certificates(context, wiped_reveal(material->trust), true);
    else if (material->trust_directory[0])
        (void)SSL_CTX_load_verify_dir(context, material->trust_directory);
    else if (material->system_trust && SSL_CTX_load_verify_file(context, material->system_trust) != 1)
        (void)SSL_CTX_load_verify_dir(context, material->system_trust);
    if (material->key) {
        struct span pem = wiped_reveal(material->key);
        AUTO(bio_drop) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
        EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

        add_certificates(context, wiped_reveal(material->chain), false);
        if (key)
            (void)SSL_CTX_use_PrivateKey(context, key);
        EVP_PKEY_free(key);
    }
    ERR_clear_error();
    return context;
}

/* ---- what is told ---- */

struct certificate {
    char names[240], subject[120], issuer[120], end[32];
    int days; /* until it ends; negative: since */
};

static void look_at_certificate(const X509 *from, struct certificate *to)
{
    struct tm tm;
    int seconds = 0;

    peer_names(from, to->names, sizeof to->names);
    peer_name_text(X509_get_subject_name(from), to->subject, sizeof to->subject);
    peer_name_text(X509_get_issuer_name(from), to->issuer, sizeof to->issuer);
    (void)ASN1_TIME_diff(&to->days, &seconds, NULL, X509_get0_notAfter(from));
    if (ASN1_TIME_to_tm(X509_get0_notAfter(from), &tm) == 1)
        (void)strftime(to->end, sizeof to->end, "%Y-%m-%d", &tm);
}

/* `host` NULL: the certificate may be for anybody. */
static bool tell(const struct examination *to, SSL *tls, const char *host, const char *whom)
{
    X509 *certificate = SSL_get1_peer_certificate(tls);
    long result = SSL_get_verify_result(tls);
    struct certificate seen = {.names = "nobody"};

    if (certificate && result == X509_V_OK && host && !peer_is_for(certificate, host))
        result = X509_V_ERR_HOSTNAME_MISMATCH;
    if (certificate)
        look_at_certificate(certificate, &seen);
    X509_free(certificate);
    if (result == X509_V_OK)
        examined(to, "TLS", whom, seen.days < SOON_DAYS ? ACTION_DOUBT : ACTION_GOOD,
                 "%s; certificate for %s, until %s (%d days%s), %s by %s; trusted by %s",
                 SSL_get_version(tls), seen.names, seen.end, seen.days,
                 seen.days < SOON_DAYS ? ": it must be renewed there" : "", seen.subject, seen.issuer,
                 to->trust);
    else
        examined(to, "TLS", whom, ACTION_BAD, "%s (certificate for %s, until %s, %s by %s; we trust %s)",
                 certificate_words((int)result), seen.names, seen.end, seen.subject, seen.issuer, to->trust);
    return result == X509_V_OK;
}

/* Nothing that TLS would say: a plain broker takes our first bytes for the size of a request, and hangs up.
 */
static bool is_no_tls(int reason, unsigned long code)
{
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        return false;
    switch (ERR_GET_REASON(code)) {
    case 0:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST: return true;
    default: return ERR_GET_LIB(code) != ERR_LIB_SSL;
    }
}

static bool tell_failure(const struct examination *to, const char *whom, int reason, bool *is_plain)
{
    unsigned long code = ERR_peek_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    *is_plain = is_no_tls(reason, code);
    if (*is_plain)
        return false; /* the caller asks what it is instead */
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        examined(to, "TLS", whom, ACTION_BAD,
                 "it takes the connection and does not answer in time; is it overloaded, is a proxy in "
                 "between?");
    else
        examined(to, "TLS", whom, ACTION_BAD, "no handshake: %s", text ? text : "no reason given");
    return false;
}

/* ---- the handshake ---- */

/* Returns 1, or what SSL_get_error says in `*reason`. */
static int shake_hands(SSL *tls, int socket, int64_t until_ms, int *reason)
{
    int done;

    ERR_clear_error();
    while ((done = SSL_connect(tls)) != 1) {
        *reason = SSL_get_error(tls, done);
        if (*reason != SSL_ERROR_WANT_READ && *reason != SSL_ERROR_WANT_WRITE)
            return done;
        if (!dial_wait(socket, *reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_ms))
            return done;
    }
    return done;
}

bool examine_tls(const struct examination *to, int socket, const char *host, const char *whom,
                 int64_t until_ms, bool *is_plain)
{
    const bool check_host = span_is(setting_text(to->settings, PROP_HOSTNAME), "https");
    SSL_CTX *context = context_of(to->material);
    SSL *tls = context ? SSL_new(context) : NULL;
    char name[256];
    int reason = SSL_ERROR_NONE;
    bool good = false;

    *is_plain = false;
    (void)snprintf(name, sizeof name, "%s", host); /* OpenSSL's macro wants it not const */
    if (!tls || SSL_set_fd(tls, socket) != 1 ||
        (!dial_is_address(host) && SSL_set_tlsext_host_name(tls, name) != 1))
        examined(to, "TLS", whom, ACTION_BAD, "OpenSSL gives no connection");
    else if (shake_hands(tls, socket, until_ms, &reason) == 1)
        good = tell(to, tls, check_host ? host : NULL, whom); /* the handshake goes on whatever is wrong */
    else
        good = tell_failure(to, whom, reason, is_plain);
    ERR_clear_error();
    SSL_free(tls);
    SSL_CTX_free(context);
    return good;
}

bool examine_speaks_tls(int socket, int64_t until_ms)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *tls = context ? SSL_new(context) : NULL;
    int reason = SSL_ERROR_NONE;
    bool speaks = false;

    if (tls && SSL_set_fd(tls, socket) == 1) {
        speaks = shake_hands(tls, socket, until_ms, &reason) == 1;
        if (!speaks && reason == SSL_ERROR_SSL)
            speaks = !is_no_tls(reason, ERR_peek_error()); /* it refuses us in TLS's own words */
    }
    ERR_clear_error();
    SSL_free(tls);
    SSL_CTX_free(context);
    return speaks;
}
