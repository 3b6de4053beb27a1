/* sql_rows.h - rows of expression, payload and result: each a test of its own. */
#ifndef SQL_ROWS_H
#define SQL_ROWS_H

#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* `want`: JSON text as printed; "" for Undefined; starting with '!': a part of the text of the SQL error. */
struct sql_row {
    const char *name, *expression, *payload, *want;
    enum sql_version version;
};

static int64_t rows_now(void *context)
{
    (void)context;
    return 1700000000123;
}

/* The same bytes every time: 0, 1, 2 ... */
static void rows_random(void *context, void *bytes, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)i;
}

static int rows_secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    (void)context;
    if (span_is(query->id, "kafka")) {
        *out = query->type == SQL_SECRET_BINARY ? SPAN("AAE=") : query->key.data ? query->key : SPAN("whole");
        return 0;
    }
    return err_set(err, ERR_SECRET, "there is no secret `" SPAN_FMT "`", SPAN_ARG(query->id));
}

static const struct sql_user_property rows_properties[] = {
    {{"site", 4}, {"north", 5}}, {{"unit", 4}, {"C", 1}}, {{"site", 4}, {"9", 1}}};

static void sql_row_test(void **state)
{
    const struct sql_row *row = *state;
    const struct sql_host host = {.now_ms = rows_now, .random = rows_random, .secret = rows_secret};
    const struct sql_message message = {.topic = SPAN("plant/7//temp"),
                                        .payload = span_of(row->payload),
                                        .client_id = SPAN("sensor-7"),
                                        .source_ip = SPAN("192.0.2.7"),
                                        .content_type = SPAN("text/plain"),
                                        .correlation_data = SPAN("\x01\xff"),
                                        .payload_format = 1,
                                        .user_properties = rows_properties,
                                        .user_property_count = 3};
    struct buf text = BUF_INIT;
    struct err err = {0};
    struct span out;

    buf_format(&text, "SELECT VALUE %s FROM '#'", row->expression);
    struct sql_program *program = sql_compile(buf_view(&text), row->version, NULL, &err);
    if (!program)
        fail_msg("%s\n%s", err.text, err.mark);
    struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, &err);

    assert_non_null(scope);
    sql_scope_begin(scope, &message);
    if (row->want[0] == '!') {
        assert_int_equal(sql_run(program, scope, &out, &err), SQL_FAILED);
        if (!strstr(err.text, row->want + 1))
            fail_msg("'%s' is not in '%s'", row->want + 1, err.text);
    } else {
        if (sql_run(program, scope, &out, &err) != SQL_MATCHED)
            fail_msg("%s", err.text);
        if (!span_is(out, row->want))
            fail_msg("want %s, got " SPAN_FMT, row->want, SPAN_ARG(out));
    }
    sql_scope_free(scope);
    sql_program_free(program);
    buf_done(&text);
}

/* All rows as tests of one group. */
#define RUN_SQL_ROWS(title, rows)                                                                            \
    __extension__({                                                                                          \
        struct CMUnitTest tests_[sizeof(rows) / sizeof *(rows)];                                             \
        for (size_t i_ = 0; i_ < sizeof tests_ / sizeof *tests_; i_++) {                                     \
            union {                                                                                          \
                const struct sql_row *row;                                                                   \
                void *state;                                                                                 \
            } u_ = {.row = &(rows)[i_]};                                                                     \
            tests_[i_] = (struct CMUnitTest){                                                                \
                .name = (rows)[i_].name, .test_func = sql_row_test, .initial_state = u_.state};              \
        }                                                                                                    \
        cmocka_run_group_tests_name(title, tests_, NULL, NULL);                                              \
    })

#endif
