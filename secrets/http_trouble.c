#include "http_trouble.h"

#include <openssl/x509_vfy.h>
#include <string.h>

/* libcurl compares names itself, before it asks what OpenSSL has found: then there is no number, but its
 * words. */
static const char *certificate_words(const struct http_trouble *trouble)
{
    if (strstr(trouble->why, "subject name") || strstr(trouble->why, "common name"))
        return "its certificate is for another host name; the address must be a name or an IP address that "
               "stands in the certificate";
    switch (trouble->x509_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "its certificate has ended; it must be renewed there";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "its certificate is not valid yet; is our clock right?";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return trouble->has_authority
                   ? "its certificate is not from the authority in ca_file; give the one that issued it"
                   : "its certificate is from an authority that this system does not trust; give that "
                     "authority "
                     "as ca_file";
    default: return NULL;
    }
}

/* OpenSSL's reasons for what is no TLS: an HTTP answer read as a record. */
static bool is_no_tls(const char *why)
{
    return strstr(why, "wrong version number") || strstr(why, "packet length too long") ||
           strstr(why, "http request") || strstr(why, "record layer failure");
}

const char *http_trouble_words(const struct http_trouble *trouble)
{
    switch (trouble->code) {
    case CURLE_PEER_FAILED_VERIFICATION: return certificate_words(trouble);
    case CURLE_SSL_CONNECT_ERROR:
        return is_no_tls(trouble->why)
                   ? "it speaks no TLS on that port: is the port right, or is the address "
                     "to begin with http://?"
                   : NULL;
    case CURLE_UNSUPPORTED_PROTOCOL: /* an alert of TLS, taken for HTTP/0.9 */
    case CURLE_WEIRD_SERVER_REPLY:
        return trouble->over_tls
                   ? NULL
                   : "it does not answer in HTTP; it may speak TLS on that port: then the address is to "
                     "begin with https://";
    case CURLE_SSL_CACERT_BADFILE: return "ca_file cannot be read as PEM certificates";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        if (!trouble->has_certificate && strstr(trouble->why, "certificate required"))
            return "it demands a client certificate; give cert_file and key_file";
        return "the server ended the connection"; /* as one does that wants a certificate */
    case CURLE_COULDNT_RESOLVE_HOST: return "the name does not resolve; is it right, does DNS answer?";
    default: return NULL;
    }
}

bool http_wants_tls(long status, struct span body)
{
    static const char *const said[] = {
        "Client sent an HTTP request to an HTTPS server", /* Go: Vault, OpenBao */
        "plain HTTP request was sent to HTTPS port",      /* nginx */
    };

    for (size_t i = 0; status == 400 && i < sizeof said / sizeof *said; i++)
        if (memmem(body.data, body.size, said[i], strlen(said[i])))
            return true;
    return false;
}
