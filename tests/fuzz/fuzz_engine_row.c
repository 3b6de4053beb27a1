/* Any bytes as a row of the store: an error with words, or a record and a message that are written again as
 * the same. */
#include "fuzz.h"
#include "row.h"

static const struct action_field fields[] = {
    {.name = "topic", .kind = ACTION_TEMPLATE},
    {.name = "headers", .kind = ACTION_PAIRS},
    {.name = "key", .kind = ACTION_TEMPLATE},
    {0},
};
static const struct action_type type = {.name = "kafka", .fields = fields};

static void check_record(struct span bytes, struct arena *arena)
{
    struct action_record first, second;
    struct buf out = BUF_INIT, again = BUF_INIT;
    struct err err = {0};

    if (row_get_record(bytes, &type, arena, &first, &err) != 0) {
        CHECK(err.text[0]);
        return;
    }
    row_put_record(&out, &type, &first);
    CHECK(row_get_record(buf_view(&out), &type, arena, &second, &err) == 0);
    row_put_record(&again, &type, &second);
    CHECK(span_equal(buf_view(&out), buf_view(&again)));
    buf_done(&out);
    buf_done(&again);
}

static void check_message(struct span bytes, struct arena *arena)
{
    struct sql_message first, second;
    struct buf out = BUF_INIT, again = BUF_INIT;
    struct err err = {0};

    if (row_get_message(bytes, arena, &first, &err) != 0) {
        CHECK(err.text[0]);
        return;
    }
    row_put_message(&out, &first);
    CHECK(row_get_message(buf_view(&out), arena, &second, &err) == 0);
    row_put_message(&again, &second);
    CHECK(span_equal(buf_view(&out), buf_view(&again)));
    buf_done(&out);
    buf_done(&again);
}

static void check_print(struct span record, struct span origin)
{
    struct buf out = BUF_INIT;
    struct err err = {0};

    CHECK(row_print(record, origin, &out, &err) == 0 || err.text[0]);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span bytes = {(const char *)data, size};
    struct arena arena;

    arena_init(&arena, SIZE_MAX);
    check_record(bytes, &arena);
    check_message(bytes, &arena);
    check_print(bytes, (struct span){0});
    check_print((struct span){0}, bytes);
    arena_done(&arena);
    return 0;
}
