/* publish - readings as fast as a broker takes them: QoS 1, packets written in batches, a window of
 * unacknowledged ones.
 *
 *     publish PORT TOPIC COUNT PAYLOAD-SIZE WINDOW
 *
 * mosquitto_pub reaches a fifth of this. Prints the seconds it took. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char reading[] =
    "{\"deviceId\":\"sensor-0017\",\"ts\":1718000000123,\"temperature\":21.53,\"humidity\":47.1,"
    "\"pressure\":1013.2,\"status\":\"ok\",\"pad\":\"";

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void put(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);

        if (done <= 0)
            die("write");
        bytes += done;
        size -= (size_t)done;
    }
}

static int dial(int port)
{
    static const unsigned char hello[] = {0x10, 15, 0,  4, 'M', 'Q', 'T', 'T', 4,
                                          2,    0,  60, 0, 3,   'p', 'u', 'b'};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    unsigned char answer[4];
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)(void *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    put(fd, hello, sizeof hello);
    if (read(fd, answer, sizeof answer) != sizeof answer || answer[3] != 0)
        die("CONNACK");
    return fd;
}

/* One PUBLISH; the packet identifier is filled in later, at `*identifier`. Returns its size. */
static size_t packet(unsigned char *out, const char *topic, size_t name, size_t payload, size_t *identifier)
{
    size_t left = 2 + name + 2 + payload, at = 0;

    out[at++] = 0x32;
    do {
        out[at++] = (unsigned char)((left & 127) | (left > 127 ? 128 : 0));
        left >>= 7;
    } while (left > 0);
    out[at++] = (unsigned char)(name >> 8);
    out[at++] = (unsigned char)name;
    memcpy(out + at, topic, name);
    at += name;
    *identifier = at;
    at += 2;
    memset(out + at, 'x', payload);
    memcpy(out + at, reading, sizeof reading - 1);
    out[at + payload - 2] = '"';
    out[at + payload - 1] = '}';
    return at + payload;
}

/* Wait until at most `most` are unacknowledged; answers are PUBACKs of four bytes. */
static void settle(int fd, long sent, long *answer_bytes, long most)
{
    static unsigned char bytes[65536];

    while (sent - *answer_bytes / 4 > most) {
        ssize_t got = read(fd, bytes, sizeof bytes);

        if (got <= 0)
            die("PUBACK");
        *answer_bytes += got;
    }
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 6 || strlen(argv[2]) > 1000 || atol(argv[4]) < (long)sizeof reading + 2 ||
        atol(argv[4]) > 1000000) {
        (void)fprintf(stderr, "usage: publish PORT TOPIC COUNT PAYLOAD-SIZE WINDOW\n");
        return 2;
    }
    long count = atol(argv[3]), window = atol(argv[5]), answers = 0;
    size_t payload = (size_t)atol(argv[4]), identifier = 0;
    unsigned char *one = malloc(payload + 1100);
    if (!one)
        die("malloc");
    size_t size = packet(one, argv[2], strlen(argv[2]), payload, &identifier);
    long batch = window / 2 > 0 ? window / 2 : 1;
    if (batch > 500)
        batch = 500;
    unsigned char *many = malloc(size * (size_t)batch);
    if (!many)
        die("malloc");
    int fd = dial(atoi(argv[1]));
    double began = now();

    for (long sent = 0; sent < count;) {
        long some = count - sent < batch ? count - sent : batch;

        for (long i = 0; i < some; i++) {
            unsigned id = (unsigned)((sent + i) % 65535 + 1);

            memcpy(many + (size_t)i * size, one, size);
            many[(size_t)i * size + identifier] = (unsigned char)(id >> 8);
            many[(size_t)i * size + identifier + 1] = (unsigned char)id;
        }
        settle(fd, sent + some, &answers, window);
        put(fd, many, size * (size_t)some);
        sent += some;
    }
    settle(fd, count, &answers, 0);
    (void)printf("%.3f\n", now() - began);
    put(fd, (const unsigned char *)"\xe0\0", 2);
    (void)close(fd);
    free(many);
    free(one);
    return 0;
}
