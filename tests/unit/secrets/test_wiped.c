/* A secret leaves nothing behind: our own memory is searched for it, and the pages that hold it are looked
 * at. */
#include "memory_scan.h"

#include "secrets/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { LENGTH = 24 };

/* Two secrets, every bit turned over: they stand nowhere as they are. */
static const unsigned char first[LENGTH] = {0x97, 0x8a, 0x91, 0x8b, 0x9a, 0x8d, 0xcd, 0xd2,
                                            0x9e, 0xce, 0xd2, 0x88, 0xcf, 0xcc, 0x8c, 0xc8,
                                            0xc9, 0x99, 0x98, 0xca, 0xc7, 0xc6, 0xcb, 0x87};
static const unsigned char second[LENGTH] = {0x96, 0x8b, 0x90, 0x8a, 0x9b, 0x8c, 0xcc, 0xd3,
                                             0x9f, 0xcf, 0xd3, 0x89, 0xce, 0xcd, 0x8d, 0xc9,
                                             0xc8, 0x98, 0x99, 0xcb, 0xc6, 0xc7, 0xca, 0x86};

static char folder[] = "/tmp/topicrule-wiped-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/s.json", folder);
    return unlink(path) | rmdir(folder);
}

/* {"password": "<secret>"} with one system call: stdio would keep a copy. */
static void store(const unsigned char *turned)
{
    static const char head[] = "{\"password\": \"", tail[] = "\"}\n";
    char path[64], text[64];
    size_t size = sizeof head - 1;

    (void)snprintf(path, sizeof path, "%s/s.json", folder);
    memcpy(text, head, size);
    for (size_t i = 0; i < LENGTH; i++)
        text[size++] = (char)~turned[i];
    memcpy(text + size, tail, sizeof tail - 1);
    size += sizeof tail - 1;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, size), (ssize_t)size);
    (void)close(fd);
    wipe(text, sizeof text);
}

static struct secrets *make(int64_t cache_ms)
{
    const struct option_pair path = {"path", folder, {3, 5}};
    const struct option_group backend = {"files", "directory", &path, 1, {2, 1}};
    const struct secrets_config config = {.default_backend = "files",
                                          .backends = &backend,
                                          .backend_count = 1,
                                          .cache_ms = cache_ms,
                                          .stale_limit_ms = cache_ms};
    struct err err = {0};
    struct secrets *secrets = secrets_new(&config, &err);

    assert_non_null(secrets);
    return secrets;
}

static struct wiped *get(struct secrets *secrets, const char *key)
{
    const struct secret_query query = {.id = SPAN("s"), .key = span_of(key)};
    struct err err = {0};
    struct wiped *value = secrets_get(secrets, &query, &err);

    assert_non_null(value);
    return value;
}

static void say_where(void *context, const char *mapping, const char *flags)
{
    (void)context;
    (void)fprintf(stderr, "still in %s%s", mapping, flags);
}

/* Locked, and left out of core files. */
static void is_guarded(void *context, const char *mapping, const char *flags)
{
    size_t *unlocked = context;

    if (!strstr(flags, " dd"))
        fail_msg("a secret could be dumped: %s%s", mapping, flags);
    *unlocked += strstr(flags, " lo") == NULL;
}

static void what_holds_it_is_locked_and_undumpable(void **state)
{
    struct secrets *secrets;
    size_t unlocked = 0;

    (void)state;
    store(first);
    secrets = make(60000);
    struct wiped *whole = get(secrets, NULL), *member = get(secrets, "password");
    assert_true(memory_scan(first, LENGTH, is_guarded, &unlocked) > 0);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__ /* which make mlock do nothing */
    assert_true(unlocked <= wiped_unlocked());
#endif
    wiped_free(member);
    wiped_free(whole);
    assert_true(memory_scan(first, LENGTH, is_guarded, &unlocked) > 0); /* the cache has it */
    secrets_free(secrets);
    assert_int_equal(memory_scan(first, LENGTH, say_where, NULL), 0);
}

static void after_a_change_the_old_one_is_nowhere(void **state)
{
    struct secrets *secrets;
    size_t unlocked = 0;

    (void)state;
    store(first);
    secrets = make(0);
    wiped_free(get(secrets, "password"));
    store(second);
    wiped_free(get(secrets, "password"));
    assert_int_equal(memory_scan(first, LENGTH, say_where, NULL), 0);
    assert_true(memory_scan(second, LENGTH, is_guarded, &unlocked) > 0);
    secrets_free(secrets);
    assert_int_equal(memory_scan(second, LENGTH, say_where, NULL), 0);
}

/* Else nothing above would prove anything. */
static void the_search_finds_what_is_there(void **state)
{
    char *copy = malloc(LENGTH);

    (void)state;
    assert_non_null(copy);
    for (size_t i = 0; i < LENGTH; i++)
        copy[i] = (char)~first[i];
    assert_int_equal(memory_scan(first, LENGTH, NULL, NULL), 1);
    wipe(copy, LENGTH);
    assert_int_equal(memory_scan(first, LENGTH, say_where, NULL), 0);
    free(copy);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(the_search_finds_what_is_there),
                                              cmocka_unit_test(what_holds_it_is_locked_and_undumpable),
                                              cmocka_unit_test(after_a_change_the_old_one_is_nowhere)};

    return cmocka_run_group_tests_name("secrets leave nothing behind", tests, make_folder, remove_folder);
}
