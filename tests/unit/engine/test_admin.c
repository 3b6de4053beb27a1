/* Where the admin listens, and whom it answers. */
#include "admin.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/topicrule-admin-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct listen at(const char *name)
{
    struct listen listen = {.how = LISTEN_UNIX};

    (void)snprintf(listen.path, sizeof listen.path, "%s/%s", folder, name);
    return listen;
}

static int listen_to(const struct listen *listen)
{
    struct err err = {0};
    int fd = admin_listen(listen, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

static void a_socket_is_for_owner_and_group(void **state)
{
    const struct listen listen = at("mode");
    struct stat found;
    mode_t before = umask(0);
    int fd = listen_to(&listen);

    (void)state;
    (void)umask(before);
    assert_int_equal(stat(listen.path, &found), 0);
    assert_true(S_ISSOCK(found.st_mode));
    assert_int_equal(found.st_mode & 07777, 0660);
    (void)close(fd);
    (void)unlink(listen.path);
}

static void a_stale_socket_is_replaced_a_used_one_is_not(void **state)
{
    const struct listen listen = at("stale");
    struct err err = {0};
    int fd = listen_to(&listen);

    (void)state;
    assert_int_equal(admin_listen(&listen, &err), -1);
    assert_non_null(strstr(err.text, "another process listens"));
    (void)close(fd); /* as kill -9 leaves it */
    assert_int_equal(access(listen.path, F_OK), 0);
    fd = listen_to(&listen);
    (void)close(fd);
    (void)unlink(listen.path);
}

static void what_is_no_socket_stays(void **state)
{
    const struct listen listen = at("file");
    struct err err = {0};
    int fd = open(listen.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(admin_listen(&listen, &err), -1);
    assert_non_null(strstr(err.text, "is no socket"));
    assert_int_equal(unlink(listen.path), 0);
}

static void a_folder_that_is_missing_is_named(void **state)
{
    const struct listen listen = at("none/a.sock");
    struct err err = {0};

    (void)state;
    assert_int_equal(admin_listen(&listen, &err), -1);
    assert_non_null(strstr(err.text, listen.path));
}

static void a_page_of_somebody_else_cannot_ask(void **state)
{
    static const struct {
        const char *host;
        bool ours;
    } rows[] = {
        {"localhost", true},
        {"localhost:9188", true},
        {"127.0.0.1", true},
        {"127.0.0.1:80", true},
        {"[::1]", true},
        {"[::1]:9188", true},
        {"evil.example", false},
        {"evil.example:9188", false},
        {"127.0.0.1.evil.example", false},
        {"10.0.0.1:9188", false},
        {"", false},
        {"unix:/x", false},
        {"off", false},
        {"localhost:x", false},
        {"[::1", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (admin_host_is_ours(rows[i].host) != rows[i].ours)
            fail_msg("%s", rows[i].host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_is_for_owner_and_group),
        cmocka_unit_test(a_stale_socket_is_replaced_a_used_one_is_not),
        cmocka_unit_test(what_is_no_socket_stays),
        cmocka_unit_test(a_folder_that_is_missing_is_named),
        cmocka_unit_test(a_page_of_somebody_else_cannot_ask),
    };

    return cmocka_run_group_tests_name("admin", tests, make_folder, remove_folder);
}
