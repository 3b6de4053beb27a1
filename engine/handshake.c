/* handshake.c - TLS, with a certificate that is looked at even where it is refused. */
#include "handshake.h"

#include "tls.h"

#include "base/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { SOON_DAYS = 14 }; /* short-lived certificates are renewed a third of their life before the end */

/* Refusals are remembered and passed over, so that the certificate is there to be shown. */
static int go_on(int fine, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    int *first = ssl ? SSL_get_app_data(ssl) : NULL;

    if (!fine && first && *first == X509_V_OK)
        *first = X509_STORE_CTX_get_error(store);
    return 1;
}

static bool expect_host(SSL *ssl, const struct reach_server *server)
{
    unsigned char address[sizeof(struct in6_addr)];
    char name[256];
    bool numeric =
        inet_pton(AF_INET, server->host, address) == 1 || inet_pton(AF_INET6, server->host, address) == 1;

    (void)snprintf(name, sizeof name, "%s", server->host); /* OpenSSL's macro wants it not const */
    if (!numeric && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    return server->any_name || tls_expect_host(SSL_get0_param(ssl), server->host);
}

/* ---- what is in a certificate ---- */

static void name_text(const X509_NAME *name, char *out, size_t room)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int size = -1;

    /* Control characters and what is no ASCII come out escaped. */
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        size = BIO_read(bio, out, (int)room - 1);
    out[size > 0 ? size : 0] = '\0';
    BIO_free(bio);
}

static void add_name(char *out, size_t room, const char *text, size_t size)
{
    size_t used = strlen(out);

    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return; /* no name of a host */
    if (size > 0 && size < 256 && used + size + 3 < room)
        (void)snprintf(out + used, room - used, "%s%.*s", used ? ", " : "", (int)size, text);
}

static void names_of(const X509 *certificate, char *out, size_t room)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char address[INET6_ADDRSTRLEN];

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS) {
            add_name(out, room, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                     (size_t)ASN1_STRING_length(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            int size = ASN1_STRING_length(name->d.iPAddress);

            if ((size == 4 || size == 16) &&
                inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), address,
                          sizeof address))
                add_name(out, room, address, strlen(address));
        }
    }
    GENERAL_NAMES_free(names);
    if (!out[0])
        name_text(X509_get_subject_name(certificate), out, room);
}

/* ---- verdicts ---- */

static bool tell_certificate(const struct reach_server *server, SSL *ssl, int error,
                             const struct health_report *report)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    char names[240] = "?", issuer[120] = "?";
    int days = 0, seconds = 0;

    if (certificate) {
        names_of(certificate, names, sizeof names);
        name_text(X509_get_issuer_name(certificate), issuer, sizeof issuer);
        (void)ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate));
        X509_free(certificate);
    }
    switch (error) {
    case X509_V_OK:
        health_tell(report, days < SOON_DAYS ? HEALTH_DOUBT : HEALTH_FINE, "TLS",
                    "%s, certificate for %s by %s, ends in %d days%s, trusted by %s", SSL_get_version(ssl),
                    names, issuer, days, days < SOON_DAYS ? " (renew it)" : "", server->trust);
        return true;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        health_tell(report, HEALTH_BROKEN, "TLS",
                    "the certificate is for %s, not for %s; connect by a name that is in it", names,
                    server->host);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        health_tell(report, HEALTH_BROKEN, "TLS",
                    "the certificate for %s has ended %d days ago; it must be renewed there", names, -days);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        health_tell(report, HEALTH_BROKEN, "TLS",
                    "the certificate for %s is by %s, who is not in %s; add that authority there", names,
                    issuer, server->trust);
        break;
    default:
        health_tell(report, HEALTH_BROKEN, "TLS", "the certificate for %s by %s is refused: %s", names,
                    issuer, X509_verify_cert_error_string(error));
    }
    return false;
}

static bool tell_failure(int reason, const struct health_report *report)
{
    unsigned long code = ERR_peek_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        health_tell(report, HEALTH_BROKEN, "TLS",
                    "the server does not answer in time; does that port speak TLS?");
    else if (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
        health_tell(report, HEALTH_BROKEN, "TLS",
                    "that port speaks no TLS; take another, or connect without TLS");
    else if (!text || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        health_tell(report, HEALTH_BROKEN, "TLS", "the server hangs up; does that port speak TLS?");
    else
        health_tell(report, HEALTH_BROKEN, "TLS", "the handshake fails: %s", text);
    ERR_clear_error();
    return false;
}

bool handshake(const struct reach_server *server, int fd, const struct health_report *report)
{
    SSL *ssl = SSL_new(server->tls);
    int error = X509_V_OK, done = 0, reason = SSL_ERROR_SSL;
    bool fine;

    ERR_clear_error();
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_app_data(ssl, &error) != 1 || !expect_host(ssl, server)) {
        SSL_free(ssl);
        health_tell(report, HEALTH_BROKEN, "TLS", "OpenSSL cannot begin a handshake with %s", server->host);
        return false;
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER, go_on);
    while ((done = SSL_connect(ssl)) != 1) {
        reason = SSL_get_error(ssl, done);
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
            break;
        if (!dial_wait(fd, reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, server->until_ms))
            break;
    }
    fine = done == 1 ? tell_certificate(server, ssl, error, report) : tell_failure(reason, report);
    SSL_free(ssl);
    return fine;
}
