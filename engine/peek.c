#include "peek.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

enum {
    ENOUGH = 512, /* bytes up to the identifier: most topics are shorter */
    CONNACK = 2,
    PUBLISH = 3,
    QOS_1 = 1,
    UNACCEPTABLE_VERSION = 1,
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

bool peek_is_old_refusal(const unsigned char *bytes, size_t size)
{
    /* CONNACK, two bytes long, of which the second is the return code (MQTT 3.1.1, 3.2) */
    return size == 4 && bytes[0] == CONNACK << 4 && bytes[1] == 2 && bytes[3] == UNACCEPTABLE_VERSION;
}

static size_t look(int fd, struct ssl_st *ssl, unsigned char *bytes, size_t room)
{
    ssize_t size;

    if (ssl) {
        ERR_clear_error();
        size = SSL_peek(ssl, bytes, (int)room);
    } else {
        size = recv(fd, bytes, room, MSG_PEEK | MSG_DONTWAIT);
    }
    return size > 0 ? (size_t)size : 0;
}

uint16_t peek_socket(int fd, struct ssl_st *ssl)
{
    unsigned char bytes[ENOUGH];

    if (ssl && SSL_pending(ssl) == 0)
        return 0;
    return peek_identifier(bytes, look(fd, ssl, bytes, sizeof bytes));
}

bool peek_socket_old_refusal(int fd, struct ssl_st *ssl)
{
    unsigned char bytes[4];

    return peek_is_old_refusal(bytes, look(fd, ssl, bytes, sizeof bytes));
}
