#include "peek.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

enum {
    ENOUGH = 512, /* bytes up to the identifier: most topics are shorter */
    PUBLISH = 3,
    QOS_1 = 1,
    LENGTH_MOST = 4, /* bytes of a length (MQTT 5.0, 1.5.5) */
};

uint16_t peek_identifier(const unsigned char *bytes, size_t size)
{
    size_t at = 1;

    if (size == 0 || bytes[0] >> 4 != PUBLISH || (bytes[0] >> 1 & 3) != QOS_1)
        return 0;
    while (at < size && at < LENGTH_MOST && bytes[at] & 0x80)
        at++;
    at++;
    if (size < at + 2)
        return 0;
    at += 2 + ((size_t)bytes[at] << 8 | bytes[at + 1]); /* the topic */
    return size < at + 2 ? 0 : (uint16_t)((unsigned)bytes[at] << 8 | bytes[at + 1]);
}

uint16_t peek_socket(int fd, struct ssl_st *ssl)
{
    unsigned char bytes[ENOUGH];
    ssize_t size;

    if (ssl) {
        ERR_clear_error();
        size = SSL_pending(ssl) > 0 ? SSL_peek(ssl, bytes, sizeof bytes) : 0;
    } else {
        size = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    }
    return size > 0 ? peek_identifier(bytes, (size_t)size) : 0;
}
