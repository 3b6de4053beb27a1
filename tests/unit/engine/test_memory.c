/* Constructors when the Nth allocation fails: an error, and nothing left behind. A message: the process ends,
 * unacknowledged. */
#include "failing_malloc.h"

#include "admin.h"
#include "small_lane.h"
#include "small_store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const texts[] = {
    "{\"sql\": \"SELECT n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "
    "{\"topic\": "
    "\"t\", \"clientProperties\": {\"a\": \"b\"}}}], \"errorAction\": {\"kafka\": {\"topic\": \"e\", "
    "\"clientProperties\": {}}}}",
    "{\"sql\": \"SELECT n FROM 'a/+'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "
    "{\"topic\": "
    "\"t\", \"clientProperties\": {}}}]}"};

enum { MOST = 2000 };

static void route_gives_up_cleanly(void **state)
{
    struct small_lane *small = small_lane_new(texts, 2, NULL);
    size_t failures = 0;

    (void)state;
    for (uint64_t after = 0; after < MOST; after++) {
        struct err err = {0};

        failing_begin(after, false);
        struct route *route = route_new(&small->set, true, &err);
        bool met = failing_end();
        assert_true(met || route);
        if (!route) {
            failures++;
            assert_int_equal(err.code, ERR_MEMORY);
        }
        route_free(route);
        if (!met)
            break;
    }
    assert_in_range(failures, 5, MOST - 1);
    small_lane_free(small);
}

static void plan_and_lane_give_up_cleanly(void **state)
{
    struct small_lane *small = small_lane_new(texts, 2, NULL);
    size_t failures = 0;

    (void)state;
    for (uint64_t after = 0; after < MOST; after++) {
        struct plan plan;
        struct lane *lane = NULL;
        struct err err = {0};

        failing_begin(after, false);
        int made = plan_make(&plan, small->config, &small->set, NULL, &err);
        if (made == 0) {
            const struct lane_options options = {
                .config = small->config,
                .rules = &small->set,
                .route = plan.route,
                .login = plan.login,
                .targets = plan.targets,
                .target_count = plan.target_count,
                .target_of = (const size_t *const *)plan.target_of,
            };

            lane = lane_new(&options, &err);
        }
        bool met = failing_end();
        if (!lane) {
            failures++;
            assert_string_not_equal(err.text, "");
        }
        lane_free(lane);
        plan_done(&plan);
        if (!met)
            break;
    }
    assert_in_range(failures, 20, MOST - 1);
    small_lane_free(small);
}

static void message_without_memory_is_not_acknowledged(void **state)
{
    struct small_lane *small = small_lane_new(texts, 2, NULL);
    int status = 0;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        failing_begin(0, true);
        small_publish(small, "a/x", SPAN("{\"n\":1}"), 1);
        _exit(0); /* nothing is held: the PUBACK could leave */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    small_lane_free(small);
}

static struct subject subject_of(struct small_lane *small, const struct small_store *stored)
{
    static atomic_bool stopping;

    return (struct subject){.config = small->config,
                            .rules = &small->set,
                            .lane = small->lane,
                            .store = stored ? stored->store : NULL,
                            .stopping = &stopping};
}

/* A page is made whole or not at all. */
static void pages_give_up_cleanly(void **state)
{
    static void (*const tells[])(const struct view *, struct buf *) = {metrics_text, status_json, rules_json,
                                                                       secrets_json};
    struct small_lane *small = small_lane_new(texts, 2, NULL);
    struct small_store *stored = small_new();
    const struct subject subject = subject_of(small, stored);
    size_t failures = 0;

    (void)state;
    assert_int_equal(small_put(stored, stored->queue, store_numbers(stored->store, 1), "a"), STORE_DONE);
    for (size_t page = 0; page < sizeof tells / sizeof *tells; page++)
        for (uint64_t after = 0; after < MOST; after++) {
            struct buf out = BUF_INIT;
            struct view view;

            failing_begin(after, false);
            bool made = view_take(&view, &subject) == 0;
            if (made)
                tells[page](&view, &out);
            bool met = failing_end();
            view_done(&view);
            failures += !made || out.failed;
            assert_true(out.failed || !made || out.data[out.size - 1] == '\n');
            buf_done(&out);
            if (!met)
                break;
        }
    assert_in_range(failures, 5, MOST - 1);
    small_free(stored);
    small_lane_free(small);
}

static void the_admin_gives_up_cleanly(void **state)
{
    char folder[] = "/tmp/topicrule-memory-XXXXXX";
    struct small_lane *small = small_lane_new(texts, 2, NULL);
    const struct subject subject = subject_of(small, NULL);
    struct listen listen = {.how = LISTEN_UNIX};
    size_t failures = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(listen.path, sizeof listen.path, "%s/a.sock", folder);
    for (uint64_t after = 0; after < MOST; after++) {
        struct err err = {0};

        failing_begin(after, false);
        struct admin *admin = admin_new(&listen, &subject, &err);
        bool met = failing_end();
        assert_true(admin || err.text[0] != '\0');
        failures += !admin;
        admin_free(admin);
        assert_int_not_equal(access(listen.path, F_OK), 0);
        if (!met)
            break;
    }
    assert_in_range(failures, 1, MOST - 1);
    assert_int_equal(rmdir(folder), 0);
    small_lane_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_gives_up_cleanly),
        cmocka_unit_test(plan_and_lane_give_up_cleanly),
        cmocka_unit_test(pages_give_up_cleanly),
        cmocka_unit_test(the_admin_gives_up_cleanly),
        cmocka_unit_test(message_without_memory_is_not_acknowledged),
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
