/* What waits on the disk is told when it begins, while it becomes less, and when it is gone. */
#include "backlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char said[1000];

static void say(const char *line)
{
    size_t size = strlen(said);

    (void)snprintf(said + size, sizeof said - size, "%s\n", line);
}

/* At `now_s`: so many rows for stream "one" of rule "heat", and "two". What was said is in `said`. */
static void look(struct backlog *backlog, int64_t now_s, uint64_t one, uint64_t two)
{
    const uint64_t rows[] = {one, two};

    said[0] = '\0';
    for (size_t i = 0; i < backlog->count; i++)
        backlog->rules[i].rows = backlog->rules[i].queues = backlog->rules[i].fullest = 0;
    for (size_t i = 0; i < 2; i++)
        if (rows[i] > 0)
            backlog_see(backlog, &(struct store_queue){
                                     .name = {.rule = SPAN("heat"), .stream = i ? SPAN("two") : SPAN("one")},
                                     .rows = rows[i]});
    backlog_tell(backlog, now_s * 1000, say);
}

static void a_backlog_is_told_from_its_beginning_to_its_end(void **state)
{
    static struct backlog backlog;

    (void)state;
    look(&backlog, 100, 5, 0);
    assert_string_equal(said, ""); /* it may be a hiccup */
    look(&backlog, 102, 10, 50);
    assert_string_equal(said,
                        "rule heat: 60 records for 'two' and 1 more on the disk, to be delivered first and "
                        "in order; `topicrule doctor` finds out why they wait\n");
    look(&backlog, 140, 900, 100);
    assert_string_equal(said, ""); /* it grows: nothing to tell */
    look(&backlog, 160, 500, 0);
    assert_string_equal(said, ""); /* not twice in 30 s */
    look(&backlog, 171, 400, 0);
    assert_string_equal(said, "rule heat: 400 records still on the disk, 600 fewer than 31 s ago\n");
    look(&backlog, 225, 0, 0);
    assert_string_equal(said,
                        "rule heat: nothing waits on the disk any more; up to 1000 records did, for 2m 5s\n");
    assert_int_equal(backlog.count, 0);
    look(&backlog, 226, 0, 0);
    assert_string_equal(said, "");
}

static void a_hiccup_is_not_told(void **state)
{
    static struct backlog backlog;

    (void)state;
    look(&backlog, 1, 5, 5);
    look(&backlog, 2, 0, 0);
    assert_string_equal(said, "");
    assert_int_equal(backlog.count, 0);
    look(&backlog, 3, 5, 0); /* another one */
    assert_string_equal(said, "");
}

static void more_rules_than_there_is_room_for_wait_for_a_place(void **state)
{
    static struct backlog backlog;

    (void)state;
    for (int i = 0; i < BACKLOG_RULES + 5; i++) {
        char name[16];
        int size = snprintf(name, sizeof name, "r%d", i);

        backlog_see(&backlog, &(struct store_queue){.name = {.rule = {name, (size_t)size}}, .rows = 1});
    }
    assert_int_equal(backlog.count, BACKLOG_RULES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_is_told_from_its_beginning_to_its_end),
        cmocka_unit_test(a_hiccup_is_not_told),
        cmocka_unit_test(more_rules_than_there_is_room_for_wait_for_a_place),
    };

    return cmocka_run_group_tests_name("backlog", tests, NULL, NULL);
}
