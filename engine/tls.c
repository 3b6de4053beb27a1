#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static int key_password(char *out, int room, int writing, void *context)
{
    struct span password = context ? wiped_reveal(context) : (struct span){0};

    (void)writing;
    if (password.size == 0 || password.size > (size_t)room)
        return 0; /* OpenSSL would ask the terminal if we gave no callback */
    memcpy(out, password.data, password.size);
    return (int)password.size;
}

static int look_at_certificate(int fine, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_verdict *verdict = ssl ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) : NULL;

    if (!fine && verdict) {
        int error = X509_STORE_CTX_get_error(store);

        (void)snprintf(verdict->text, sizeof verdict->text, "the broker's certificate is refused: %s",
                       X509_verify_cert_error_string(error));
    }
    return fine;
}

bool tls_expect_host(X509_VERIFY_PARAM *param, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static SSL_CTX *refuse(SSL_CTX *context, struct err *err, const char *key, const char *file)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    (void)err_set(err, ERR_IO, "mqtt.tls.%s: '%s' cannot be used: %s", key, file ? file : "",
                  reason ? reason : "unknown reason");
    ERR_clear_error();
    SSL_CTX_free(context);
    return NULL;
}

SSL_CTX *tls_context(const struct tls_files *files, const char *host, struct tls_verdict *verdict,
                     struct err *err)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) {
        err_memory(err);
        return NULL;
    }
    verdict->text[0] = '\0';
    SSL_CTX_set_app_data(context, verdict);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, look_at_certificate);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* libmosquitto writes on after a part was taken, and our PINGREQ comes from another address. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(context, key_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, (void *)(uintptr_t)files->key_password);

    if (!tls_expect_host(SSL_CTX_get0_param(context), host)) {
        SSL_CTX_free(context);
        err_memory(err);
        return NULL;
    }
    if (files->ca ? SSL_CTX_load_verify_file(context, files->ca) != 1
                  : SSL_CTX_set_default_verify_paths(context) != 1)
        return refuse(context, err, "ca_file", files->ca);
    if (files->cert && SSL_CTX_use_certificate_chain_file(context, files->cert) != 1)
        return refuse(context, err, "cert_file", files->cert);
    if (files->key && SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1)
        return refuse(context, err, "key_file", files->key);
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL); /* the context may outlive it */
    return context;
}
