/* From a name to a connection, and why not. */
#include "base/clock.h"
#include "base/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A loopback socket that listens, or one that is bound and does not; its port as text. */
static int server(bool listens, char *port, size_t room)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    if (listens)
        assert_int_equal(listen(fd, 1), 0);
    (void)snprintf(port, room, "%d", ntohs(address.sin_port));
    return fd;
}

static int dial(const char *port, char *address, int *error)
{
    const int64_t until_ms = clock_mono_ms() + 30000;
    struct addrinfo *found = dial_look_up("127.0.0.1", port, AF_UNSPEC, until_ms, error);

    assert_non_null(found);
    int fd = dial_connect(found, until_ms, address, error);
    freeaddrinfo(found);
    return fd;
}

static void a_listener_is_reached(void **state)
{
    char port[8], address[DIAL_ADDRESS] = "";
    int listener = server(true, port, sizeof port), error, fd = dial(port, address, &error);

    (void)state;
    assert_true(fd >= 0);
    assert_string_equal(address, "127.0.0.1");
    assert_true(dial_wait(fd, POLLOUT, clock_mono_ms() + 30000));
    assert_false(dial_wait(fd, POLLIN, clock_mono_ms() + 1)); /* nobody says anything */
    (void)close(fd);
    (void)close(listener);
}

static void a_refusal_is_told(void **state)
{
    char port[8], address[DIAL_ADDRESS];
    int bound = server(false, port, sizeof port), error, fd = dial(port, address, &error);

    (void)state;
    assert_int_equal(fd, -1);
    assert_int_equal(error, ECONNREFUSED);
    assert_non_null(strstr(dial_advice(error), "nothing listens there"));
    (void)close(bound);
}

static void no_time_is_told(void **state)
{
    char port[8], address[DIAL_ADDRESS];
    int listener = server(true, port, sizeof port), error;
    struct addrinfo *found = dial_look_up("127.0.0.1", port, AF_UNSPEC, clock_mono_ms() + 30000, &error);

    (void)state;
    assert_non_null(found);
    int fd = dial_connect(found, clock_mono_ms() - 1, address, &error);
    assert_true(fd >= 0 || error == ETIMEDOUT); /* loopback may connect at once */
    if (fd >= 0)
        (void)close(fd);
    freeaddrinfo(found);
    (void)close(listener);
}

static void a_name_that_is_none_has_a_reason(void **state)
{
    int error = 0;

    (void)state;
    assert_null(dial_look_up("no such name", "1", AF_UNSPEC, clock_mono_ms() + 30000, &error));
    assert_int_not_equal(error, 0);
    assert_null(dial_look_up("::1", "1", AF_INET, clock_mono_ms() + 30000, &error));
    assert_int_not_equal(error, 0);
}

static void addresses_are_listed_and_cut(void **state)
{
    struct sockaddr_in one = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)},
                       two = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000002)};
    struct addrinfo second = {.ai_addr = (struct sockaddr *)&two, .ai_addrlen = sizeof two},
                    first = {
                        .ai_addr = (struct sockaddr *)&one, .ai_addrlen = sizeof one, .ai_next = &second};
    char text[200];

    (void)state;
    dial_addresses(&first, text, sizeof text);
    assert_string_equal(text, "10.0.0.1, 10.0.0.2");
    dial_addresses(&first, text, DIAL_ADDRESS + 3);
    assert_string_equal(text, "10.0.0.1");
    assert_true(dial_is_address("10.0.0.1") && dial_is_address("::1"));
    assert_false(dial_is_address("10.0.0") || dial_is_address("localhost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_is_reached),
        cmocka_unit_test(a_refusal_is_told),
        cmocka_unit_test(no_time_is_told),
        cmocka_unit_test(a_name_that_is_none_has_a_reason),
        cmocka_unit_test(addresses_are_listed_and_cut),
    };

    return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
