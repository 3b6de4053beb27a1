#include "peer.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

bool peer_is_for(X509 *certificate, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_check_ip_asc(certificate, host, 0) == 1;
    return X509_check_host(certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

void peer_name_text(const X509_NAME *name, char *out, size_t room)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int size = -1;

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

void peer_names(const X509 *certificate, char *out, size_t room)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char address[INET6_ADDRSTRLEN];

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *text = name->type == GEN_DNS     ? name->d.dNSName
                                  : name->type == GEN_IPADD ? name->d.iPAddress
                                                            : NULL;
        int size = text ? ASN1_STRING_length(text) : 0;

        if (name->type == GEN_DNS)
            add_name(out, room, (const char *)ASN1_STRING_get0_data(text), (size_t)size);
        else if (text && (size == 4 || size == 16) &&
                 inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(text), address,
                           sizeof address))
            add_name(out, room, address, strlen(address));
    }
    GENERAL_NAMES_free(names);
    if (!out[0])
        peer_name_text(X509_get_subject_name(certificate), out, room);
}
