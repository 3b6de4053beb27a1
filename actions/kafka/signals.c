#include "signals.h"

#include "peer.h"

#include <gssapi/gssapi_krb5.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { API_METADATA = 3, API_INIT_PRODUCER_ID = 22 }; /* of the Kafka protocol */

void signals_init(struct signals *signals, int wake_fd)
{
    *signals = (struct signals){.wake_fd = wake_fd};
    atomic_init(&signals->broker, -1);
    atomic_init(&signals->withheld, false);
    (void)pthread_mutex_init(&signals->lock, NULL);
}

void signals_done(struct signals *signals)
{
    (void)pthread_mutex_destroy(&signals->lock);
}

static void wake(const struct signals *signals)
{
    ssize_t ignored = write(signals->wake_fd, &(uint64_t){1}, sizeof(uint64_t)); /* full: it is awake */

    (void)ignored;
}

/* On librdkafka's threads: note and leave. A connection that is "UP" for librdkafka may be hung up on at its
 * first request (no login where one is wanted), so an answer is what counts. */
static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int socket, const char *broker, int32_t id,
                                       int16_t key, int16_t version, int32_t correlation, size_t size,
                                       int64_t rtt, rd_kafka_resp_err_t error, void *context)
{
    struct signals *signals = context;

    (void)rk, (void)socket, (void)broker, (void)version, (void)correlation, (void)size, (void)rtt;
    if (id >= 0)
        atomic_store_explicit(&signals->broker, id, memory_order_relaxed);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR || (key != API_METADATA && key != API_INIT_PRODUCER_ID))
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    if (key == API_INIT_PRODUCER_ID)
        atomic_fetch_add(&signals->producer_ids, 1);
    atomic_fetch_add(&signals->answers, 1);
    wake(signals);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* GSSAPI takes the tickets of the calling thread's cache, and librdkafka logs in on its broker threads. */
static rd_kafka_resp_err_t on_thread_start(rd_kafka_t *rk, rd_kafka_thread_type_t type, const char *name,
                                           void *context)
{
    const struct signals *signals = context;
    OM_uint32 minor;

    (void)rk, (void)type, (void)name;
    return gss_krb5_ccache_name(&minor, signals->kerberos_cache, NULL) == GSS_S_COMPLETE
               ? RD_KAFKA_RESP_ERR_NO_ERROR
               : RD_KAFKA_RESP_ERR__FAIL;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *context, char *why,
                                  size_t room)
{
    const struct signals *signals = context;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

    (void)conf, (void)why, (void)room;
    if (signals->kerberos_cache)
        error = rd_kafka_interceptor_add_on_thread_start(rk, "topicrule", on_thread_start, context);
    return error ? error
                 : rd_kafka_interceptor_add_on_response_received(rk, "topicrule", on_response, context);
}

/* librdkafka's log would go to standard error, a line for every event. We keep the last reason for a failure,
 * which some events lack. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct signals *signals = rk ? rd_kafka_opaque(rk) : NULL;

    (void)level;
    if (!signals || (strcmp(facility, "FAIL") != 0 && strcmp(facility, "SSL") != 0))
        return;
    if (strstr(text,
               "No matching issuer found")) { /* what follows is the broker's refusal, which says less */
        atomic_store(&signals->withheld, true);
        return;
    }
    (void)pthread_mutex_lock(&signals->lock);
    (void)snprintf(signals->log_text, sizeof signals->log_text, "%s", text);
    (void)pthread_mutex_unlock(&signals->lock);
}

/* "kafka-1:9093", "[::1]:9093" -> the host. */
static void host_of(const char *broker, char *out, size_t room)
{
    const char *colon = strrchr(broker, ':');
    size_t size = colon ? (size_t)(colon - broker) : strlen(broker);

    if (size >= 2 && broker[0] == '[' && broker[size - 1] == ']') {
        broker++;
        size -= 2;
    }
    (void)snprintf(out, room, "%.*s", (int)(size < room ? size : room - 1), broker);
}

static void note_refusal(struct signals *signals, int x509_error, const X509 *certificate)
{
    (void)pthread_mutex_lock(&signals->lock);
    signals->x509_error = x509_error;
    if (certificate)
        peer_name_text(X509_get_subject_name(certificate), signals->x509_subject,
                       sizeof signals->x509_subject);
    else
        (void)snprintf(signals->x509_subject, sizeof signals->x509_subject, "certificate not readable");
    (void)pthread_mutex_unlock(&signals->lock);
}

/* Says no where OpenSSL does, and where our rule for names is stricter than the one librdkafka asks for. */
bool signals_trust(struct signals *signals, const char *broker, int *x509_error, int depth, struct span der,
                   char *why, size_t room)
{
    const unsigned char *at = (const unsigned char *)der.data;
    X509 *certificate = NULL;
    char host[256];

    if (*x509_error == X509_V_OK && (depth > 0 || !signals->check_host))
        return true;
    if (der.size < (1u << 20))
        certificate = d2i_X509(NULL, &at, (long)der.size);
    host_of(broker, host, sizeof host);
    if (*x509_error == X509_V_OK && (!certificate || !peer_is_for(certificate, host)))
        *x509_error = X509_V_ERR_HOSTNAME_MISMATCH;
    if (*x509_error != X509_V_OK) {
        (void)snprintf(why, room, "%s", X509_verify_cert_error_string(*x509_error));
        note_refusal(signals, *x509_error, certificate);
    }
    X509_free(certificate);
    return *x509_error == X509_V_OK;
}

static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *x509_error, int depth,
                          const char *der, size_t size, char *why, size_t room, void *context)
{
    (void)rk, (void)id;
    return signals_trust(context, broker, x509_error, depth, (struct span){der, size}, why, room);
}

int signals_attach(struct signals *signals, rd_kafka_conf_t *conf, bool tls, struct err *err)
{
    rd_kafka_conf_set_opaque(conf, signals);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (tls && rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate) != RD_KAFKA_CONF_OK)
        return err_set(err, ERR_UNSUPPORTED, "this librdkafka is built without TLS");
    if (rd_kafka_conf_interceptor_add_on_new(conf, "topicrule", on_new, signals) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_set(err, ERR_MEMORY, "librdkafka takes no interceptor");
    return 0;
}

void signals_take(struct signals *signals, int *x509_error, char *subject, size_t subject_room,
                  char *log_text, size_t log_room)
{
    (void)pthread_mutex_lock(&signals->lock);
    *x509_error = signals->x509_error;
    (void)snprintf(subject, subject_room, "%s", signals->x509_subject);
    (void)snprintf(log_text, log_room, "%s", signals->log_text);
    signals->log_text[0] = '\0';
    (void)pthread_mutex_unlock(&signals->lock);
}
