/* Secrets in files: what is found, what is refused, and that no refusal shows a value. */
#include "base/wiped.h"
#include "secrets/secrets.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#define CANARY "hunter2canary"

static char folder[] = "/tmp/topicrule-secrets-XXXXXX"; /* the tests' root; the backend's is `store` in it */

/* openat2 as an old kernel knows it: not at all. Stands before the C library's for this program. */
static bool old_kernel;

long syscall(long sysno, ...)
{
    static long (*next)(long, long, long, long, long);
    va_list args;
    long a[4];

    if (!next) {
        void *found = dlsym(RTLD_NEXT, "syscall");
        memcpy(&next, &found, sizeof next);
    }
    if (old_kernel && sysno == SYS_openat2) {
        errno = ENOSYS;
        return -1;
    }
    va_start(args, sysno);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, long); /* NOLINT(clang-analyzer-valist.Uninitialized): va_start is above */
    va_end(args);
    return next(sysno, a[0], a[1], a[2], a[3]);
}

static void put_bytes(const char *name, const void *bytes, size_t size, mode_t mode)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/store/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void put(const char *name, const char *text, mode_t mode)
{
    put_bytes(name, text, strlen(text), mode);
}

static void link_to(const char *target, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/store/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static void make_folder(const char *name, mode_t mode)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/store/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static struct secrets *open_store(void)
{
    static const struct option_pair path = {"path", "store", {3, 5}};
    const struct option_group backend = {"files", "directory", &path, 1, {2, 1}};
    struct secrets_config config = {.file = "t.yaml",
                                    .base_directory = folder,
                                    .default_backend = "files",
                                    .backends = &backend,
                                    .backend_count = 1};
    struct err err = {0};
    struct secrets *secrets = secrets_new(&config, &err);

    if (!secrets)
        fail_msg("%s", err.text);
    return secrets;
}

static bool has_foreign; /* only root can give a file away */

static void make_odd_files(void)
{
    char path[PATH_MAX], other[PATH_MAX];

    put("sparse", "x", 0600);
    (void)snprintf(path, sizeof path, "%s/store/sparse", folder);
    assert_int_equal(truncate(path, (off_t)1 << 30), 0);
    (void)snprintf(path, sizeof path, "%s/outside", folder);
    (void)snprintf(other, sizeof other, "%s/store/hard", folder);
    assert_int_equal(link(path, other), 0);
    (void)snprintf(path, sizeof path, "%s/store/device", folder);
    if (mknod(path, S_IFCHR | 0600, makedev(1, 5)) != 0) /* /dev/zero; where that is not ours to make: */
        assert_int_equal(mkfifo(path, 0600), 0);
    put("foreign", CANARY, 0600);
    (void)snprintf(path, sizeof path, "%s/store/foreign", folder);
    has_foreign = chown(path, 12345, (gid_t)-1) == 0;
}

static int make_store(void **state)
{
    char path[PATH_MAX];
    static char big[(1 << 20) + 1];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/store", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    put("../outside", CANARY, 0600);
    put("plain", CANARY, 0600);
    put("line", CANARY "\n", 0400);
    put("crlf", CANARY "\r\n", 0600);
    put("two-lines", "a\nb\n\n", 0600);
    put("newline", "\n", 0600);
    put("login.json",
        "{\"username\":\"u\",\"password\":\"" CANARY "\",\"port\":9092,\"on\":true,\"big\":12345678901,"
        "\"none\":null,\"list\":[1,{\"a\":\"b\"}],\"a\\u0062\":\"ab\",\"\":\"empty key\"}",
        0600);
    put("broken", "{\"password\":\"" CANARY "\"", 0600);
    put("text", CANARY, 0600);
    put_bytes("bytes", "\x05\x02\0\xff", 4, 0600);
    put("empty", "", 0600);
    put("loose", CANARY, 0640);
    put("world", CANARY, 0604);
    put_bytes("largest", big, 1 << 20, 0600);
    put_bytes("too-large", big, (1 << 20) + 1, 0600);
    make_folder("kafka", 0750);
    put("kafka/keytab", CANARY, 0600);
    make_folder("open", 0777);
    put("open/one", CANARY, 0600);
    make_folder("folder", 0700);
    link_to("plain", "inside-link");
    link_to("../outside", "outside-link");
    link_to("..", "up");
    link_to("/etc/hostname", "absolute-link");
    link_to("loop", "loop");
    (void)snprintf(path, sizeof path, "%s/store/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    make_odd_files();
    return 0;
}

static int remove_store(void **state)
{
    char command[PATH_MAX + 32];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- asking ---- */

static const struct row {
    const char *name, *id, *key;
    enum secret_form form;
    const char *value, *wrong; /* the value, or a part of the error */
} rows[] = {
    {"a_file_is_a_secret", "plain", NULL, SECRET_STRING, CANARY, NULL},
    {"the_backend_may_be_named", "files:plain", NULL, SECRET_STRING, CANARY, NULL},
    {"the_line_break_at_the_end_is_no_part_of_a_text", "line", NULL, SECRET_STRING, CANARY, NULL},
    {"nor_is_that_of_windows", "crlf", NULL, SECRET_STRING, CANARY, NULL},
    {"only_one_line_break_goes", "two-lines", NULL, SECRET_STRING, "a\nb\n", NULL},
    {"bytes_keep_their_line_break", "line", NULL, SECRET_BINARY, CANARY "\n", NULL},
    {"a_line_break_alone_is_empty", "newline", NULL, SECRET_STRING, NULL, "is empty"},
    {"json_has_members", "login", "password", SECRET_STRING, CANARY, NULL},
    {"the_ending_may_be_written", "login.json", "username", SECRET_STRING, "u", NULL},
    {"a_number_is_its_text", "login", "port", SECRET_STRING, "9092", NULL},
    {"a_large_number_too", "login", "big", SECRET_STRING, "12345678901", NULL},
    {"true_is_its_text", "login", "on", SECRET_STRING, "true", NULL},
    {"a_list_is_its_json", "login", "list", SECRET_STRING, "[1,{\"a\":\"b\"}]", NULL},
    {"a_member_is_found_by_its_decoded_name", "login", "ab", SECRET_STRING, "ab", NULL},
    {"the_empty_key_is_a_key", "login", "", SECRET_STRING, "empty key", NULL},
    {"a_null_member_is_none", "login", "none", SECRET_STRING, NULL, "no member \"none\": it is null"},
    {"a_missing_member_is_named", "login", "pasword", SECRET_STRING, NULL, "no member \"pasword\""},
    {"broken_json_has_no_members", "broken", "password", SECRET_STRING, NULL, "no JSON object"},
    {"text_has_no_members", "text", "password", SECRET_STRING, NULL, "no JSON object"},
    {"bytes_take_no_key", "login", "password", SECRET_BINARY, NULL, "takes no key"},
    {"bytes_are_no_text", "bytes", NULL, SECRET_STRING, NULL, "ask for it as 'SecretBinary'"},
    {"an_id_may_have_folders", "kafka/keytab", NULL, SECRET_STRING, CANARY, NULL},
    {"a_link_inside_is_followed", "inside-link", NULL, SECRET_STRING, CANARY, NULL},
    {"the_largest_is_read", "largest", NULL, SECRET_BINARY, "", NULL},
    {"one_byte_more_is_not", "too-large", NULL, SECRET_BINARY, NULL, "larger than 1048576"},
    {"a_missing_file_is_named", "plian", NULL, SECRET_STRING, NULL, "neither a file"},
    {"an_empty_file_is_no_secret", "empty", NULL, SECRET_STRING, NULL, "is empty"},
    {"the_group_may_not_read", "loose", NULL, SECRET_STRING, NULL, "chmod 600 "},
    {"nobody_else_may_read", "world", NULL, SECRET_STRING, NULL, "mode 0604"},
    {"a_folder_that_others_may_change_is_refused", "open/one", NULL, SECRET_STRING, NULL, "chmod go-w "},
    {"a_folder_is_no_secret", "folder", NULL, SECRET_STRING, NULL, "neither a file"},
    {"a_fifo_is_no_secret", "pipe", NULL, SECRET_STRING, NULL, "no regular file"},
    {"a_device_is_no_secret", "device", NULL, SECRET_STRING, NULL, "no regular file"},
    {"a_hole_of_a_gigabyte_is_too_large", "sparse", NULL, SECRET_STRING, NULL, "larger than 1048576"},
    {"a_hard_link_is_the_file_itself", "hard", NULL, SECRET_STRING, CANARY, NULL},
    {"another_users_file_is_refused", "foreign", NULL, SECRET_STRING, NULL,
     "belongs to another user (uid 12345)"},
    {"a_link_may_not_leave", "outside-link", NULL, SECRET_STRING, NULL, "symbolic link"},
    {"nor_a_link_on_the_way", "up/outside", NULL, SECRET_STRING, NULL, "symbolic link"},
    {"nor_an_absolute_link", "absolute-link", NULL, SECRET_STRING, NULL, "symbolic link"},
    {"a_link_to_itself_ends", "loop", NULL, SECRET_STRING, NULL, "symbolic link"},
    {"dots_may_not_climb", "../outside", NULL, SECRET_STRING, NULL, "no path inside"},
    {"nor_in_the_middle", "kafka/../plain", NULL, SECRET_STRING, NULL, "no path inside"},
    {"nor_may_an_id_be_absolute", "/etc/hostname", NULL, SECRET_STRING, NULL, "no path inside"},
    {"nor_end_in_a_slash", "kafka/", NULL, SECRET_STRING, NULL, "no path inside"},
    {"an_empty_id_is_none", "", NULL, SECRET_STRING, NULL, "the id is empty"},
    {"control_characters_are_refused", "a\nb", NULL, SECRET_STRING, NULL, "control character"},
    {"an_unknown_backend_is_named", "filse:plain", NULL, SECRET_STRING, NULL, "did you mean \"files\""},
    {"an_arn_is_an_id_of_the_default", "arn:aws:secretsmanager:r:1:secret:x", NULL, SECRET_STRING, NULL,
     "neither a file"},
};

static void ask(void **state)
{
    const struct row *r = *state;

    if (strcmp(r->id, "foreign") == 0 && !has_foreign)
        skip();
    struct secrets *secrets = open_store();
    struct secret_query query = {.id = span_of(r->id), .form = r->form, .key = span_of(r->key)};
    struct err err = {0};
    struct wiped *value = secrets_get(secrets, &query, &err);

    if (r->value && !value)
        fail_msg("%s", err.text);
    if (r->value && r->value[0])
        assert_true(span_is(wiped_reveal(value), r->value));
    if (r->wrong) {
        assert_null(value);
        assert_int_equal(err.code, ERR_SECRET);
        if (!strstr(err.text, r->wrong))
            fail_msg("got: %s", err.text);
    }
    assert_null(strstr(err.text, CANARY));
    wiped_free(value);
    secrets_free(secrets);
}

static void ask_an_old_kernel(void **state)
{
    static const struct row inside = {
        "a_link_inside_is_followed", "inside-link", NULL, SECRET_STRING, NULL, "symbolic link"};
    const struct row *r = *state;
    void *row = (void *)(uintptr_t)(strcmp(r->name, inside.name) == 0 ? &inside : r); /* there no link is */

    old_kernel = true;
    ask(&row);
    old_kernel = false;
}

/* ---- opening ---- */

static void refuse(const struct option_group *backend, const char *standard, const char *want)
{
    struct secrets_config config = {.file = "t.yaml",
                                    .base_directory = folder,
                                    .default_backend = standard,
                                    .backends = backend,
                                    .backend_count = 1};
    struct err err = {0};

    assert_null(secrets_new(&config, &err));
    if (!strstr(err.text, want))
        fail_msg("got: %s", err.text);
    assert_string_equal(err.file, "t.yaml");
}

static void a_backend_is_checked_when_it_is_made(void **state)
{
    static const struct option_pair good = {"path", "store", {3, 5}}, away = {"path", "nowhere", {3, 5}},
                                    typo = {"paht", "store", {3, 5}}, loose = {"path", "store/open", {3, 5}},
                                    file = {"path", "outside", {3, 5}};

    (void)state;
    refuse(&(struct option_group){"f", "direktory", &good, 1, {2, 1}}, NULL, "did you mean \"directory\"");
    refuse(&(struct option_group){"f", "directory", &typo, 1, {2, 1}}, NULL, "did you mean \"path\"");
    refuse(&(struct option_group){"f", "directory", NULL, 0, {2, 1}}, NULL, "needs its path");
    refuse(&(struct option_group){"f", "directory", &away, 1, {2, 1}}, NULL, "there is no folder");
    refuse(&(struct option_group){"f", "directory", &file, 1, {2, 1}}, NULL, "cannot open the folder");
    refuse(&(struct option_group){"f", "directory", &loose, 1, {2, 1}}, NULL, "chmod go-w");
    refuse(&(struct option_group){"f", "directory", &good, 1, {2, 1}}, "files",
           "there is no backend \"files\"");
    refuse(&(struct option_group){"f", "credentials", &good, 1, {2, 1}}, NULL, "has no option \"path\"");
}

static void systemd_vouches_for_its_credentials(void **state)
{
    const struct option_group backend = {"unit", "credentials", NULL, 0, {2, 1}};
    struct secrets_config config = {.default_backend = "unit", .backends = &backend, .backend_count = 1};
    struct secret_query query = {.id = SPAN("loose"), .form = SECRET_STRING};
    struct err err = {0};
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_null(secrets_new(&config, &err));
    assert_non_null(strstr(err.text, "CREDENTIALS_DIRECTORY is not set"));
    (void)snprintf(path, sizeof path, "%s/store", folder);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", path, 1), 0);
    struct secrets *secrets = secrets_new(&config, &err);
    assert_non_null(secrets);
    struct wiped *value = secrets_get(secrets, &query, &err);
    assert_true(span_is(wiped_reveal(value), CANARY)); /* an access list shows as group bits */
    wiped_free(value);
    query.id = SPAN("outside-link");
    assert_null(secrets_get(secrets, &query, &err));
    secrets_free(secrets);
}

static void without_a_default_an_id_names_its_backend(void **state)
{
    const struct option_pair path = {"path", "store", {3, 5}};
    const struct option_group backend = {"files", "directory", &path, 1, {2, 1}};
    struct secrets_config config = {.base_directory = folder, .backends = &backend, .backend_count = 1};
    struct secret_query query = {.id = SPAN("plain"), .form = SECRET_STRING};
    struct err err = {0};
    struct secrets *secrets = secrets_new(&config, &err);

    (void)state;
    assert_non_null(secrets);
    assert_null(secrets_get(secrets, &query, &err));
    assert_non_null(strstr(err.text, "secrets.default"));
    query.id = SPAN("files:plain");
    struct wiped *value = secrets_get(secrets, &query, &err);
    assert_non_null(value);
    wiped_free(value);

    const char *name;
    struct span there;
    assert_int_equal(secrets_where(secrets, SPAN("plain"), &name, &there, &err), -1);
    assert_null(name);
    assert_int_equal(secrets_where(secrets, SPAN("other:plain"), &name, &there, &err), -1);
    assert_string_equal(err.text,
                        "secret \"other:plain\": there is no secrets backend \"other\"; configure it "
                        "under secrets.backends");
    assert_int_equal(secrets_where(NULL, SPAN("plain"), &name, &there, &err), -1);
    assert_string_equal(err.text,
                        "secret \"plain\": there is no backend; configure one under secrets.backends");
    assert_int_equal(secrets_where(secrets, SPAN("files:a/b"), &name, &there, &err), 0);
    assert_string_equal(name, "files");
    assert_true(span_is(there, "a/b"));
    secrets_free(secrets);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[2 * ROWS + 3];
    static char names[ROWS][96];

    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(names[i], sizeof names[i], "old_kernel_%s", rows[i].name);
        tests[ROWS + 3 + i] = (struct CMUnitTest){
            .name = names[i], .test_func = ask_an_old_kernel, .initial_state = (void *)(uintptr_t)&rows[i]};
    }
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = ask, .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(a_backend_is_checked_when_it_is_made);
    tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(systemd_vouches_for_its_credentials);
    tests[ROWS + 2] = (struct CMUnitTest)cmocka_unit_test(without_a_default_an_id_names_its_backend);
    return cmocka_run_group_tests_name("secrets in files", tests, make_store, remove_store);
}
