/* Rows: what is written is read again; what is damaged is refused; people see what it holds. */
#include "row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct action_field fields[] = {
    {.name = "destinationArn", .kind = ACTION_TEXT},
    {.name = "topic", .kind = ACTION_TEMPLATE},
    {.name = "key", .kind = ACTION_TEMPLATE},
    {.name = "headers", .kind = ACTION_PAIRS},
    {.name = "clientProperties", .kind = ACTION_SETTINGS},
    {.name = "partition", .kind = ACTION_TEMPLATE},
    {0},
};
static const struct action_type type = {.name = "kafka", .fields = fields};

static const struct action_value values[] = {{{"arn", 3}, false}, {{"t", 1}, false}, {{"", 0}, false},
                                             {.absent = true},    {.absent = true},  {.absent = true}};
static const struct action_pair pairs[] = {{{"h", 1}, {"1", 1}}, {{"h", 1}, {"\xff", 1}}};
static const struct action_record record = {{"{\"a\":1}", 7}, values, pairs, 2};

static const struct sql_user_property properties[] = {{{"k", 1}, {"v", 1}}, {{"k", 1}, {"", 0}}};
static const struct sql_message message = {
    .topic = {"plant/7", 7},
    .payload = {NULL, 0},
    .client_id = {"", 0},
    .trace_id = {"trace", 5},
    .payload_format = 1,
    .user_properties = properties,
    .user_property_count = 2,
};

static void a_record_comes_back(void **state)
{
    struct buf out = BUF_INIT;
    struct action_record got;
    struct arena arena;
    struct err err = {0};

    (void)state;
    arena_init(&arena, SIZE_MAX);
    row_put_record(&out, &type, &record);
    assert_false(out.failed);
    assert_int_equal(row_get_record(buf_view(&out), &type, &arena, &got, &err), 0);
    assert_true(span_equal(got.payload, record.payload));
    assert_true(got.fields[0].absent); /* kept by nobody */
    assert_true(span_is(got.fields[1].text, "t") && !got.fields[1].absent);
    assert_true(span_is(got.fields[2].text, "") && !got.fields[2].absent);
    assert_true(got.fields[5].absent);
    assert_int_equal(got.pair_count, 2);
    assert_true(span_equal(got.pairs[1].value, pairs[1].value));
    arena_done(&arena);
    buf_done(&out);
}

/* A later program may know fields that this row lacks, and lack fields that it has. */
static void fields_go_by_their_names(void **state)
{
    static const struct action_field other[] = {
        {.name = "new", .kind = ACTION_TEMPLATE}, {.name = "topic", .kind = ACTION_TEMPLATE}, {0}};
    static const struct action_type later = {.name = "kafka", .fields = other};
    struct buf out = BUF_INIT;
    struct action_record got;
    struct arena arena;
    struct err err = {0};

    (void)state;
    arena_init(&arena, SIZE_MAX);
    row_put_record(&out, &type, &record);
    assert_int_equal(row_get_record(buf_view(&out), &later, &arena, &got, &err), 0);
    assert_true(got.fields[0].absent);
    assert_true(span_is(got.fields[1].text, "t"));
    arena_done(&arena);
    buf_done(&out);
}

static void a_message_comes_back(void **state)
{
    struct sql_message sent = message, got;
    struct buf out = BUF_INIT;
    struct arena arena;
    struct err err = {0};

    (void)state;
    arena_init(&arena, SIZE_MAX);
    row_put_message(&out, &sent);
    assert_int_equal(row_get_message(buf_view(&out), &arena, &got, &err), 0);
    assert_true(span_is(got.topic, "plant/7"));
    assert_true(got.payload.data && got.payload.size == 0);
    assert_true(got.client_id.data && got.client_id.size == 0);
    assert_true(span_is(got.trace_id, "trace"));
    assert_null(got.principal.data);
    assert_int_equal(got.payload_format, 1);
    assert_int_equal(got.user_property_count, 2);
    assert_true(span_is(got.user_properties[0].value, "v"));
    sent.payload_format = -1;
    out.size = 0;
    row_put_message(&out, &sent);
    assert_int_equal(row_get_message(buf_view(&out), &arena, &got, &err), 0);
    assert_int_equal(got.payload_format, -1);
    arena_done(&arena);
    buf_done(&out);
}

/* Cut anywhere, it is refused with a reason. */
static void a_torn_row_is_an_error(void **state)
{
    struct buf out[2] = {BUF_INIT, BUF_INIT};
    struct arena arena;

    (void)state;
    arena_init(&arena, SIZE_MAX);
    row_put_record(&out[0], &type, &record);
    row_put_message(&out[1], &message);
    for (size_t size = 0; size < out[0].size; size++) {
        struct action_record got;
        struct err err = {0};

        assert_int_equal(row_get_record((struct span){out[0].data, size}, &type, &arena, &got, &err), -1);
        assert_int_not_equal(err.text[0], '\0');
    }
    for (size_t size = 0; size < 11; size++) { /* the head and the topic */
        struct sql_message got;
        struct err err = {0};

        assert_int_equal(row_get_message((struct span){out[1].data, size}, &arena, &got, &err), -1);
        assert_int_not_equal(err.text[0], '\0');
    }
    arena_done(&arena);
    buf_done(&out[0]);
    buf_done(&out[1]);
}

static void a_later_version_is_named(void **state)
{
    struct action_record got;
    struct arena arena;
    struct err err = {0};

    (void)state;
    arena_init(&arena, SIZE_MAX);
    assert_int_equal(row_get_record(SPAN("R\x02..."), &type, &arena, &got, &err), -1);
    assert_string_equal(err.text, "a stored row has format 2, and this program reads 1");
    arena_done(&arena);
}

static void people_see_texts_and_base64(void **state)
{
    struct buf row = BUF_INIT, origin = BUF_INIT, out = BUF_INIT;
    struct err err = {0};

    (void)state;
    row_put_record(&row, &type, &record);
    row_put_message(&origin, &message);
    assert_int_equal(row_print(buf_view(&row), buf_view(&origin), &out, &err), 0);
    assert_string_equal(
        out.data,
        "{\"record\":{\"topic\":\"t\",\"key\":\"\",\"headers\":[[\"h\",\"1\"],[\"h\",{\"base64\":\"/w==\"}]],"
        "\"payload\":\"{\\\"a\\\":1}\"},\"message\":{\"topic\":\"plant/"
        "7\",\"payload\":\"\",\"clientId\":\"\","
        "\"traceId\":\"trace\",\"payloadFormat\":1,\"userProperties\":[[\"k\",\"v\"],[\"k\",\"\"]]}}");
    out.size = 0;
    assert_int_equal(row_print((struct span){0}, (struct span){0}, &out, &err), 0);
    assert_string_equal(out.data, "{}");
    buf_done(&row);
    buf_done(&origin);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),      cmocka_unit_test(fields_go_by_their_names),
        cmocka_unit_test(a_message_comes_back),     cmocka_unit_test(a_torn_row_is_an_error),
        cmocka_unit_test(a_later_version_is_named), cmocka_unit_test(people_see_texts_and_base64),
    };

    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
