#include "words.h"

#include "base/span.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>

/* "[thrd:NAME]: ssl://localhost:9093/bootstrap: reason (after 3ms in state CONNECT, 2 identical error(s)
 * suppressed)": the host and the reason; either may be missing. */
static void split(const char *text, struct span *host, struct span *reason)
{
    const char *end, *slash, *colon;

    if (strncmp(text, "[thrd:", 6) == 0 && (end = strstr(text, "]: ")))
        text = end + 3;
    colon = strstr(text, ": ");
    end = strstr(text, "://");
    const char *name = end && colon && end < colon ? end + 3 : text;

    slash = colon ? memchr(name, '/', (size_t)(colon - name)) : NULL;
    *host = slash ? (struct span){name, (size_t)(slash - name)} : (struct span){NULL, 0};
    if (slash)
        text = colon + 2;
    end = strstr(text, " (after ");
    *reason = (struct span){text, end ? (size_t)(end - text) : strlen(text)};
}

enum when {
    ALWAYS,
    AT_FIRST,
    AT_FIRST_IN_HANDSHAKE,
    WITHOUT_CERTIFICATE,
    WITH_CERTIFICATE,
    WITH_CERTIFICATE_WITHHELD,
    WITH_ENDED_CERTIFICATE
};

static const struct row {
    const char *part; /* of librdkafka's text */
    enum when when;
    const char *words;
} rows[] = {
    {"Invalid username or password", ALWAYS,
     "the broker refuses the user name or the password; correct sasl.plain.username and sasl.plain.password"},
    {"due to invalid credentials with SASL mechanism SCRAM", ALWAYS,
     "the broker refuses the user name or the password; correct sasl.scram.username and sasl.scram.password, "
     "and "
     "mind that a user is made for each SCRAM mechanism apart"},
    {"due to invalid credentials with SASL mechanism GSSAPI", ALWAYS,
     "the broker refuses our Kerberos ticket: clocks more than 5 minutes apart, a key of the broker that was "
     "changed, "
     "or a realm that it has no sasl.kerberos.principal.to.local.rules for"},
    {"Unsupported SASL mechanism", ALWAYS, "the broker does not offer this sasl.mechanism on this listener"},
    {"Request not valid in current SASL state", ALWAYS,
     "the broker's listener takes no login: security.protocol is to be SSL or PLAINTEXT"},
    {"connecting to a PLAINTEXT broker listener", ALWAYS,
     "the broker's listener speaks no TLS: security.protocol is to be PLAINTEXT or SASL_PLAINTEXT, or the "
     "port "
     "another"},
    /* The same, once the socket hangs up before librdkafka thinks of that: no login was asked for yet. */
    {"closed by peer (after", AT_FIRST_IN_HANDSHAKE,
     "the broker's listener speaks no TLS: security.protocol is to be PLAINTEXT or SASL_PLAINTEXT, or the "
     "port "
     "another"},
    {"receive 0 after POLLIN (after", AT_FIRST,
     "the broker hangs up before a word is said: its listener speaks TLS, so security.protocol is to be SSL "
     "or "
     "SASL_SSL"},
    {"closed by peer (after", AT_FIRST,
     "the broker hangs up on our first request: its listener wants a login, so security.protocol is to be "
     "SASL_SSL or "
     "SASL_PLAINTEXT"},
    {"closed by peer", ALWAYS, "the broker closed the connection"},
    {"SSL alert number", WITH_CERTIFICATE_WITHHELD,
     "the broker names authorities for client certificates, and ours is from none of them or lacks its "
     "intermediate certificates; give ssl.keystore the full chain"},
    {"SSL alert number 4", WITHOUT_CERTIFICATE,
     "the broker demands a client certificate; give ssl.keystore with ssl.keystore.password"},
    {"SSL alert number 116", WITHOUT_CERTIFICATE,
     "the broker demands a client certificate; give ssl.keystore with ssl.keystore.password"},
    {"SSL alert number 116", WITH_CERTIFICATE,
     "the broker names authorities for client certificates, and ours is from none of them or lacks its "
     "intermediate certificates; give ssl.keystore the full chain"},
    {"SSL alert number 4", WITH_ENDED_CERTIFICATE,
     "the broker refuses our certificate, which has ended; renew ssl.keystore"},
    {"SSL alert number 4", WITH_CERTIFICATE,
     "the broker refuses our certificate: it does not trust its authority, or has it revoked"},
    {"alert handshake failure", ALWAYS,
     "no common ground in TLS: look at ssl.cipher.suites, or the broker demands a client certificate"},
    {"Connection refused", ALWAYS,
     "nothing listens there (connection refused); is the broker up, is the port right?"},
    {"Connection setup timed out", ALWAYS,
     "it takes the connection and does not answer in time; is it overloaded, or is a firewall in between?"},
    {"No Kerberos credentials available", ALWAYS, "there is no Kerberos ticket"},
    {"not found in Kerberos database", ALWAYS,
     "the KDC does not know the broker's service principal: sasl.kerberos.service.name and the host name "
     "that the "
     "broker advertises make it"},
    {"Clock skew too great", ALWAYS, "clocks differ by more than Kerberos allows (5 minutes): set the time"},
    {"No worthy mechs", ALWAYS,
     "the SASL library has no module for GSSAPI: install the package libsasl2-modules-gssapi-mit"},
    {"Host resolution failure", ALWAYS, "the name does not resolve; is it right, does DNS answer?"},
    {"Failed to resolve", ALWAYS, "the name does not resolve; is it right, does DNS answer?"},
    {"Name or service not known", ALWAYS, "the name does not resolve; is it right, does DNS answer?"},
    {"timed out", ALWAYS, "it does not answer in time (socket.timeout.ms)"},
};
enum { ROWS = sizeof rows / sizeof *rows, KIND_X509 = 1000, KIND_OTHER = 3000 };

static bool applies(enum when when, const struct trouble *trouble)
{
    switch (when) {
    case ALWAYS: return true;
    case AT_FIRST: return trouble->at_first;
    case AT_FIRST_IN_HANDSHAKE: return trouble->at_first && strstr(trouble->text, "in state SSL_HANDSHAKE");
    case WITHOUT_CERTIFICATE: return !trouble->own_certificate;
    case WITH_CERTIFICATE: return trouble->own_certificate;
    case WITH_CERTIFICATE_WITHHELD: return trouble->own_certificate && trouble->withheld;
    case WITH_ENDED_CERTIFICATE: return trouble->own_certificate_ended;
    }
    return false;
}

/* Rows with the same words are of one kind: nobody wants to read them twice. */
static int kind_of_row(size_t row)
{
    size_t first = 0;

    while (strcmp(rows[first].words, rows[row].words) != 0)
        first++;
    return (int)first + 1;
}

const char *certificate_words(int x509_error)
{
    switch (x509_error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the broker's certificate is for another host name; bootstrap.servers and what the broker "
               "advertises "
               "must be names in its certificate";
    case X509_V_ERR_CERT_HAS_EXPIRED: return "the broker's certificate has ended; it must be renewed there";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the broker's certificate is not valid yet; is our clock right?";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "the broker's certificate is from an authority that we do not trust; give that authority as "
               "ssl.truststore";
    case X509_V_ERR_CERT_REVOKED: return "the broker's certificate is revoked";
    default: return X509_verify_cert_error_string(x509_error);
    }
}

int trouble_words(const struct trouble *trouble, char *out, size_t room)
{
    struct span host, reason;
    const char *words = NULL;
    int kind = KIND_OTHER + (int)trouble->error;
    char head[300] = "";

    split(trouble->text, &host, &reason);
    if (host.size)
        (void)snprintf(head, sizeof head, SPAN_FMT ": ", (int)(host.size < 280 ? host.size : 280), host.data);
    /* By text: librdkafka calls the same refusal _SSL, _TRANSPORT, or nothing at all. */
    if (trouble->x509_error && strstr(trouble->text, "certificate verify failed")) {
        words = certificate_words(trouble->x509_error);
        (void)snprintf(out, room, "%s%s (%s)", head, words, trouble->x509_subject);
        return KIND_X509 + trouble->x509_error;
    }
    for (size_t i = 0; i < ROWS && !words; i++) {
        if (strstr(trouble->text, rows[i].part) && applies(rows[i].when, trouble)) {
            words = rows[i].words;
            kind = kind_of_row(i);
        }
    }
    if (words)
        (void)snprintf(out, room, "%s%s", head, words);
    else
        (void)snprintf(out, room, "%s" SPAN_FMT, head, SPAN_ARG(reason));
    return kind;
}
