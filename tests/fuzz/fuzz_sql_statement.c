/* Any text as a statement: it is refused with a place, or runs over a message within its limits. The first
 * byte chooses the version. */
#include "fuzz.h"

#include "sql/sql.h"

static const char payload[] = "{\"a\":1,\"b\":[1,2.5,\"x\",null,{\"a\":3,\"v\":[true]}],\"o\":{\"a\":{\"b\":"
                              "\"c\"},\"k-1\":\"\\u00e9\"},"
                              "\"s\":\"7.50\",\"t\":true,\"n\":null,\"e\":[{\"n\":\"p\",\"v\":1},{\"n\":"
                              "\"q\",\"v\":-2E3}],\"value\":\"2024-01-31\"}";

static int64_t now_ms(void *context)
{
    (void)context;
    return INT64_C(1700000000123);
}

static void random_bytes(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 0x5a, size);
}

static int secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    (void)context;
    if (query->id.size > 3)
        return err_set(err, ERR_SECRET, "no such secret");
    *out = SPAN("hush");
    return 0;
}

static void run(const struct sql_program *program)
{
    static const struct sql_host host = {.now_ms = now_ms, .random = random_bytes, .secret = secret};
    static const char *const payloads[] = {payload, "[{\"a\":1},2]", "\xff\x00", ""};
    struct sql_limits limits = {.memory = 4 << 20, .output = 1 << 20, .steps = 100000};
    struct err err;
    struct sql_scope *scope = sql_scope_new(&host, limits, &err);

    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        struct sql_message message = {
            .topic = SPAN("a/b/c"), .payload = span_of(payloads[i]), .payload_format = -1};
        struct span out;

        sql_scope_begin(scope, &message);
        switch (sql_run(program, scope, &out, &err)) {
        case SQL_MATCHED: CHECK(out.size <= limits.output); break;
        case SQL_FILTERED: break;
        case SQL_FAILED: CHECK(err.text[0] != '\0' && err.pos.line > 0); break;
        }
    }
    sql_scope_free(scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report report = REPORT_INIT;
    struct err err = {0};
    struct sql_program *program;
    struct buf text = BUF_INIT;

    if (size == 0)
        return 0;
    program = sql_compile((struct span){(const char *)data + 1, size - 1},
                          data[0] & 1 ? SQL_2015_10_08 : SQL_2016_03_23, &report, &err);
    if (program) {
        sql_program_explain(program, &text);
        run(program);
    } else {
        CHECK(err.text[0] != '\0' && err.pos.line > 0 && err.pos.column > 0);
    }
    buf_done(&text);
    report_done(&report);
    sql_program_free(program);
    return 0;
}
