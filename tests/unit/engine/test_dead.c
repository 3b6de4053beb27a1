/* `topicrule dead` on the database of a store that runs, and of one that does not. */
#include "engine/dead.h"
#include "row.h"
#include "small_store.h"

#include "base/clock.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static const struct action_field fields[] = {{.name = "topic", .kind = ACTION_TEMPLATE}, {0}};
static const struct action_type type = {.name = "kafka", .fields = fields};

/* Letters 1 to 4: two of rule "r" with a record, one of "s", one that is a message alone. */
static void post_letters(struct small_store *small)
{
    const struct action_value values[] = {{{"t", 1}, false}};
    const struct action_record record = {SPAN("payload"), values, NULL, 0};
    const struct sql_message message = {.topic = SPAN("a/b"), .payload = SPAN("{"), .payload_format = -1};
    struct buf record_bytes = BUF_INIT, origin = BUF_INIT;

    row_put_record(&record_bytes, &type, &record);
    row_put_message(&origin, &message);
    const struct store_letter letters[] = {
        {small_name("r", "t"), 1000, SPAN("CODE"), SPAN("a reason"), buf_view(&record_bytes), {0}},
        {small_name("r", "t"), 2000, SPAN("OTHER"), SPAN("a reason"), buf_view(&record_bytes),
         buf_view(&origin)},
        {small_name("s", "t"), 3000, SPAN("CODE"), SPAN("a reason"), buf_view(&record_bytes), {0}},
        {small_name("r", ""), 4000, SPAN("SQL"), SPAN("no number"), {0}, buf_view(&origin)},
    };
    struct waited miss = {.job = {.work = STORE_MISS, .count = 4, .letters = letters}};
    assert_int_equal(small_do(small, &miss), STORE_DONE);
    buf_done(&record_bytes);
    buf_done(&origin);
}

static int setup(void **state)
{
    struct small_store *small = small_new();

    post_letters(small);
    *state = small;
    return 0;
}

static int teardown(void **state)
{
    small_free(*state);
    return 0;
}

static struct dead *open_dead(const struct small_store *small)
{
    struct err err = {0};
    struct dead *dead = dead_open(small->path, &err);

    assert_string_equal(err.text, "");
    assert_non_null(dead);
    return dead;
}

static bool add_id(void *context, const struct dead_letter *letter)
{
    struct buf *out = context;

    buf_format(out, out->size ? " %d" : "%d", (int)letter->id);
    return true;
}

static void assert_ids(struct dead *dead, const struct dead_filter *filter, const char *want)
{
    struct buf out = BUF_INIT;
    struct err err = {0};

    buf_text(&out, "");
    assert_int_equal(dead_each(dead, filter, add_id, &out, &err), 0);
    assert_string_equal(out.data ? out.data : "", want);
    buf_done(&out);
}

static void a_filter_chooses(void **state)
{
    struct dead *dead = open_dead(*state);

    assert_ids(dead, &(struct dead_filter){0}, "1 2 3 4");
    assert_ids(dead, &(struct dead_filter){.rule = "r"}, "1 2 4");
    assert_ids(dead, &(struct dead_filter){.code = "CODE"}, "1 3");
    assert_ids(dead, &(struct dead_filter){.before_ms = 3000}, "1 2");
    assert_ids(dead, &(struct dead_filter){.id = 3}, "3");
    assert_ids(dead, &(struct dead_filter){.id = 3, .rule = "r"}, "");
    dead_close(dead);
}

static bool print_it(void *context, const struct dead_letter *letter)
{
    struct err err = {0};

    assert_int_equal(dead_print(letter, context, &err), 0);
    return false;
}

static void a_letter_is_printed_whole(void **state)
{
    struct dead *dead = open_dead(*state);
    struct buf out = BUF_INIT;
    struct err err = {0};

    assert_int_equal(dead_each(dead, &(struct dead_filter){.id = 2}, print_it, &out, &err), 0);
    assert_string_equal(
        out.data,
        "{\"id\":2,\"time\":\"1970-01-01T00:00:02.000Z\",\"rule\":\"r\",\"action\":0,\"type\":\"kafka\","
        "\"stream\":\"t\",\"code\":\"OTHER\",\"reason\":\"a reason\",\"record\":{\"topic\":\"t\",\"payload\":"
        "\"payload\"},\"message\":{\"topic\":\"a/b\",\"payload\":\"{\"}}");
    buf_done(&out);
    dead_close(dead);
}

static void sum(void *context, const struct store_queue *queue)
{
    *(uint64_t *)context += queue->rows;
}

static uint64_t waiting(const struct small_store *small)
{
    uint64_t rows = 0;

    store_each_queue(small->store, sum, &rows);
    return rows;
}

static void wait_for_rows(const struct small_store *small, uint64_t rows)
{
    const int64_t until = clock_mono_ms() + 60000;

    while (waiting(small) != rows && clock_mono_ms() < until)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(waiting(small), rows);
}

static void a_running_store_takes_what_is_sent_again(void **state)
{
    struct small_store *small = *state;
    struct dead *dead = open_dead(small);
    const uint64_t before = store_changes(small->store);
    const int64_t number = store_numbers(small->store, 1);
    struct store_figures figures;
    struct err err = {0};
    int64_t left;

    assert_int_equal(dead_retry(dead, &(struct dead_filter){.rule = "r"}, NULL, &left, &err), 2);
    assert_int_equal(left, 1);
    assert_ids(dead, &(struct dead_filter){0}, "3 4");
    wait_for_rows(small, 2);
    assert_true(store_changes(small->store) > before);
    store_figures(small->store, &figures);
    assert_int_equal(figures.letters, 2);

    struct waited got = {.job = {.work = STORE_READ,
                                 .count = 1,
                                 .queues = &small->queue,
                                 .after = number,
                                 .most_rows = 10,
                                 .most_bytes = 1 << 20}};
    assert_int_equal(small_do(small, &got), STORE_DONE);
    assert_int_equal(got.job.result.count, 2); /* with numbers that follow all others */
    assert_int_equal(got.job.result.rows[0].at_ms, 1000);
    assert_int_equal(got.job.result.rows[1].at_ms, 2000);
    assert_null(got.job.result.rows[0].origin.data);
    assert_non_null(got.job.result.rows[1].origin.data);
    free(got.job.result.rows);
    dead_close(dead);
}

static void the_next_start_takes_what_was_sent_again(void **state)
{
    struct small_store *small = *state;
    struct err err = {0};
    int64_t left;

    small_close(small);
    struct dead *dead = open_dead(small);
    assert_int_equal(dead_retry(dead, &(struct dead_filter){.id = 3}, "r", &left, &err), 1);
    assert_int_equal(dead_retry(dead, &(struct dead_filter){.id = 3}, "r", &left, &err), 0);
    assert_int_equal(left, 0);
    dead_close(dead);
    small_open(small);
    assert_int_equal(waiting(small), 1);
    assert_int_equal(small->queue, 1); /* rule "s" was, and "r" is: it is the only queue */
}

static void letters_are_purged(void **state)
{
    struct small_store *small = *state;
    struct dead *dead = open_dead(small);
    struct store_figures figures;
    struct err err = {0};

    assert_int_equal(dead_purge(dead, &(struct dead_filter){.code = "CODE"}, &err), 2);
    assert_ids(dead, &(struct dead_filter){0}, "2 4");
    assert_int_equal(dead_purge(dead, &(struct dead_filter){0}, &err), 2);
    assert_int_equal(dead_purge(dead, &(struct dead_filter){0}, &err), 0);
    dead_close(dead);
    small_close(small);
    small_open(small);
    store_figures(small->store, &figures);
    assert_int_equal(figures.letters, 0);
    assert_int_equal(figures.letter_bytes, 0);
}

/* ---- rows that wait for an action that is gone ---- */

static bool has_rule_r(void *context, struct span rule, int action)
{
    (void)context;
    return span_is(rule, "r") && action == 0;
}

enum { MANY = 450 }; /* more than are worked on at once */

static int64_t put_forgotten(struct small_store *small)
{
    const struct store_name name = small_name("gone", "t");
    const uint32_t queue = store_queue(small->store, &name);
    const int64_t first = store_numbers(small->store, MANY + 1);
    static struct store_row rows[MANY];
    struct waited put = {.job = {.work = STORE_PUT, .count = MANY, .rows = rows}};

    for (int i = 0; i < MANY; i++)
        rows[i] =
            (struct store_row){.number = first + i, .queue = queue, .at_ms = i, .record = SPAN("0123456789")};
    assert_int_equal(small_do(small, &put), STORE_DONE);
    assert_int_equal(small_put(small, small->queue, first + MANY, "r"), STORE_DONE);
    return first;
}

static bool count_them(void *context, const struct dead_letter *letter)
{
    assert_true(span_is(letter->rule, "gone"));
    assert_int_equal(letter->record.size, 10);
    ++*(int *)context;
    return true;
}

static void rows_of_a_rule_that_is_gone_are_seen_and_dropped(void **state)
{
    struct small_store *small = *state;
    const struct dead_filter filter = {.waiting = true, .exists = has_rule_r};
    struct err err = {0};
    int count = 0;

    (void)put_forgotten(small);
    struct dead *dead = open_dead(small);
    assert_int_equal(dead_each(dead, &filter, count_them, &count, &err), 0);
    assert_int_equal(count, MANY);
    assert_int_equal(
        dead_purge(dead, &(struct dead_filter){.waiting = true, .exists = has_rule_r, .before_ms = 400},
                   &err),
        400);
    wait_for_rows(small, 51);
    assert_int_equal(dead_purge(dead, &filter, &err), 50);
    wait_for_rows(small, 1);
    dead_close(dead);
}

static void rows_of_a_rule_that_is_gone_go_to_another(void **state)
{
    struct small_store *small = *state;
    const struct dead_filter filter = {.waiting = true, .rule = "gone"};
    struct waited got = {.job = {.work = STORE_READ,
                                 .count = 1,
                                 .queues = &small->queue,
                                 .most_rows = 1000,
                                 .most_bytes = 1 << 20}};
    struct store_figures figures;
    struct err err = {0};
    int64_t left = -1;

    got.job.after = put_forgotten(small);
    struct dead *dead = open_dead(small);
    assert_int_equal(dead_retry(dead, &filter, "r", &left, &err), MANY);
    assert_int_equal(left, 0);
    for (const int64_t until = clock_mono_ms() + 60000; clock_mono_ms() < until; free(got.job.result.rows)) {
        assert_int_equal(small_do(small, &got), STORE_DONE);
        if (got.job.result.count == MANY + 1)
            break;
    }
    assert_int_equal(got.job.result.count, MANY + 1);
    for (int i = 0; got.job.result.rows && i < MANY; i++)
        assert_int_equal(got.job.result.rows[i + 1].at_ms, i);
    free(got.job.result.rows);
    store_figures(small->store, &figures);
    assert_int_equal(figures.letters, 4);
    assert_int_equal(figures.bytes, MANY * 10 + 1);
    dead_close(dead);
}

/* ---- what cannot be opened ---- */

static void what_is_no_store_is_said(void **state)
{
    struct small_store *small = *state;
    struct err err = {0};
    sqlite3 *db = NULL;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/none.db", small->folder);
    assert_null(dead_open(path, &err));
    assert_non_null(strstr(err.text, "there is no store"));
    assert_int_not_equal(access(path, F_OK), 0); /* and none is made */

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE other(a)", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
    assert_null(dead_open(path, &err));
    assert_non_null(strstr(err.text, "no store of topicrule"));

    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        (void)fputs("some text, not a database\n", file);
    (void)fclose(file);
    assert_null(dead_open(path, &err));
    assert_non_null(strstr(err.text, "no store of topicrule"));
}

static void a_later_format_is_refused(void **state)
{
    struct small_store *small = *state;
    struct err err = {0};
    sqlite3 *db = NULL;

    small_close(small);
    assert_int_equal(sqlite3_open(small->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    assert_null(dead_open(small->path, &err));
    assert_non_null(strstr(err.text, "another version"));
    assert_null(store_open(&small->options, &err));
    assert_non_null(strstr(err.text, "later version"));
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 1; PRAGMA application_id = 7", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_null(store_open(&small->options, &err));
    assert_non_null(strstr(err.text, "another program"));
    (void)sqlite3_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_filter_chooses),
        TEST(a_letter_is_printed_whole),
        TEST(a_running_store_takes_what_is_sent_again),
        TEST(the_next_start_takes_what_was_sent_again),
        TEST(letters_are_purged),
        TEST(rows_of_a_rule_that_is_gone_are_seen_and_dropped),
        TEST(rows_of_a_rule_that_is_gone_go_to_another),
        TEST(what_is_no_store_is_said),
        TEST(a_later_format_is_refused),
    };

    return cmocka_run_group_tests_name("dead", tests, NULL, NULL);
}
