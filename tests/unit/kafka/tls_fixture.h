/* tls_fixture.h - certificates made on the spot, and a TLS server in a thread that shows one. */
#ifndef TLS_FIXTURE_H
#define TLS_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

/* A certificate that is its own authority, for `names` ("DNS:a,IP:127.0.0.1"), from `begin_s` to `end_s` from
 * now. */
static inline struct identity identity_new(const char *names, long begin_s, long end_s)
{
    struct identity made = {EVP_EC_gen("P-256"), X509_new()};
    X509_NAME *name = X509_get_subject_name(made.certificate);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

    (void)X509_set_version(made.certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), 7);
    (void)X509_gmtime_adj(X509_getm_notBefore(made.certificate), begin_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(made.certificate), end_s);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"unit test", -1, -1, 0);
    (void)X509_set_issuer_name(made.certificate, name);
    (void)X509_set_pubkey(made.certificate, made.key);
    (void)X509_add_ext(made.certificate, extension, -1);
    X509_EXTENSION_free(extension);
    (void)X509_sign(made.certificate, made.key, EVP_sha256());
    return made;
}

static inline void identity_done(struct identity *made)
{
    EVP_PKEY_free(made->key);
    X509_free(made->certificate);
}

struct tls_server {
    const struct identity *identity;
    int theirs, ours; /* `ours` is a client's end of a connection */
    pthread_t thread;
};

static inline void *tls_server_run(void *argument)
{
    const struct tls_server *server = argument;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *tls;

    (void)SSL_CTX_use_certificate(context, server->identity->certificate);
    (void)SSL_CTX_use_PrivateKey(context, server->identity->key);
    tls = SSL_new(context);
    (void)SSL_set_fd(tls, server->theirs);
    if (SSL_accept(tls) == 1) {
        char byte;
        (void)SSL_read(tls, &byte, 1); /* until the client goes */
    }
    SSL_free(tls);
    SSL_CTX_free(context);
    (void)close(server->theirs);
    return NULL;
}

static inline void tls_server_start(struct tls_server *server, const struct identity *identity)
{
    int ends[2] = {-1, -1};

    (void)socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    *server = (struct tls_server){.identity = identity, .theirs = ends[0], .ours = ends[1]};
    (void)pthread_create(&server->thread, NULL, tls_server_run, server);
}

static inline void tls_server_end(struct tls_server *server)
{
    (void)close(server->ours);
    (void)pthread_join(server->thread, NULL);
}

#endif
