#include "examine.h"

#include "peer.h"
#include "words.h"

#include "base/auto.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
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

/* `host` NULL: the certificate may be for anybody. */
static void tell(const struct examination *to, SSL *tls, const char *host, const char *whom)
{
    X509 *certificate = SSL_get1_peer_certificate(tls);
    long result = SSL_get_verify_result(tls);
    char names[400] = "nobody", end[32] = "";
    struct tm tm;

    if (certificate && result == X509_V_OK && host && !peer_is_for(certificate, host))
        result = X509_V_ERR_HOSTNAME_MISMATCH;
    if (certificate) {
        peer_names(certificate, names, sizeof names);
        if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1)
            (void)strftime(end, sizeof end, "%Y-%m-%d", &tm);
    }
    if (result == X509_V_OK)
        examined(to, "TLS", whom, ACTION_GOOD, "%s; certificate for %s, until %s", SSL_get_version(tls),
                 names, end);
    else
        examined(to, "TLS", whom, ACTION_BAD, "%s (certificate for %s, until %s)",
                 certificate_words((int)result), names, end);
    X509_free(certificate);
}

void examine_tls(const struct examination *to, int socket, const char *host, const char *whom,
                 const struct material *material, bool check_host)
{
    SSL_CTX *context = context_of(material);
    SSL *tls = context ? SSL_new(context) : NULL;
    char reason[160], name[256];

    if (!tls || SSL_set_fd(tls, socket) != 1) {
        examined(to, "TLS", whom, ACTION_BAD, "OpenSSL gives no connection");
        goto out;
    }
    (void)snprintf(name, sizeof name, "%s", host); /* OpenSSL's macro wants it not const */
    (void)SSL_set_tlsext_host_name(tls, name);
    ERR_clear_error();
    if (SSL_connect(tls) == 1) {
        tell(to, tls, check_host ? host : NULL,
             whom); /* the check never breaks the handshake here: all of it is to be seen */
    } else {
        unsigned long code = ERR_peek_last_error();
        const char *text = code ? ERR_reason_error_string(code) : NULL;

        (void)snprintf(reason, sizeof reason, "%s",
                       text ? text : "the broker hangs up: does this listener speak TLS?");
        examined(to, "TLS", whom, ACTION_BAD, "no handshake: %s", reason);
    }
out:
    ERR_clear_error();
    SSL_free(tls);
    SSL_CTX_free(context);
}
