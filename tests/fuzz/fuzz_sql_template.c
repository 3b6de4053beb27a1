/* Any text as a template: it is refused with a place, or expands within its limits. */
#include "fuzz.h"

#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sql_message message = {
        .topic = SPAN("a/b/c"), .payload = SPAN("{\"a\":1,\"b\":[1,2],\"s\":\"x\"}"), .payload_format = -1};
    struct sql_limits limits = {.memory = 4 << 20, .output = 1 << 20, .steps = 100000};
    struct err err = {0};
    struct sql_program *program =
        sql_compile(SPAN("SET @v = a + 1, @w = b SELECT * FROM 't'"), SQL_2016_03_23, NULL, &err);
    struct sql_template *tmpl =
        sql_template_compile((struct span){(const char *)data, size}, program, SQL_2016_03_23, &err);
    struct sql_scope *scope = sql_scope_new(NULL, limits, &err);
    struct sql_text text;

    if (!tmpl) {
        CHECK(err.text[0] != '\0' && err.pos.line > 0 && err.pos.column > 0);
    } else {
        sql_scope_begin(scope, &message);
        if (sql_template_expand(tmpl, scope, &text, &err) == 0) {
            CHECK(text.text.data && (!text.absent || text.text.size == 0));
            CHECK(!sql_template_constant(tmpl).data || span_equal(sql_template_constant(tmpl), text.text));
        } else {
            CHECK(err.text[0] != '\0' && err.pos.line > 0);
        }
    }
    sql_scope_free(scope);
    sql_template_free(tmpl);
    sql_program_free(program);
    return 0;
}
