/* Templates: text around expressions, both spellings, and what they tell about themselves. */
#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char statement[] =
    "SET @v = a + 1, @s = get_secret('x', 'SecretString', '') SELECT b AS c FROM 't/#'";
static const char payload[] =
    "{\"a\":1,\"b\":\"x\",\"n\":null,\"o\":{\"k\":[1,\"y\"]},\"f\":10.0,\"ts\":1700000000451,\"t\":true}";

static int secret(void *context, const struct sql_secret_query *query, struct span *out, struct err *err)
{
    (void)context;
    if (span_is(query->id, "nope"))
        return err_set(err, ERR_SECRET, "secret nope: there is none");
    *out = SPAN("hush");
    return 0;
}

static const struct row {
    const char *name, *text, *want;
    bool absent, secret;
} rows[] = {
    {"no_expression", "plain $ text $", "plain $ text $", false, false},
    {"empty", "", "", false, false},
    {"text_around", "a/${b}/c", "a/x/c", false, false},
    {"side_by_side", "${a}${b}", "1x", false, false},
    {"the_other_spelling", "a/$<b>/c", "a/x/c", false, false},
    {"the_other_spelling_with_a_comparison", "$<(a > 0)>", "true", false, false},
    {"the_first_angle_ends_it", "$<a> 5>", "1 5>", false, false},
    {"both_spellings", "$<a>${b}", "1x", false, false},
    {"blanks_inside", "${ b }", "x", false, false},
    {"several_lines", "${CASE a\n WHEN 1 THEN \"one\"\n END }", "one", false, false},
    {"braces_of_an_object", "${get({'k': {'j': b}}, 'k').j}!", "x!", false, false},
    {"a_brace_in_a_string", "${'}' + b + \"}\"}", "}x}", false, false},
    {"an_angle_in_a_string", "$<'>' + b>", ">x", false, false},
    {"whole_decimals", "${f}", "10", false, false},
    {"digits_are_plain", "${(ts % 1E3) * 1E6}", "451000000", false, false},
    {"containers_are_json", "${o}", "{\"k\":[1,\"y\"]}", false, false},
    {"null_alone", "${n}", "", true, false},
    {"undefined_alone", "${nope}", "", true, false},
    {"empty_text_is_there", "${''}", "", false, false},
    {"null_with_text", "[${n}]", "[]", false, false},
    {"variables", "${@v}", "2", false, true}, /* a secret takes part in SET */
    {"aliases_are_invisible", "[${c}]", "[]", false, false},
    {"the_topic", "${topic(2)}", "dev", false, false},
    {"a_nested_query", "${get((SELECT VALUE x FROM o.k AS x WHERE x <> 1), 0)}", "y", false, false},
    {"secrets_are_marked", "user=${get_secret('id', 'SecretString', '')}", "user=hush", false, true},
    {"dollars_before_braces", "$${a}", "$1", false, false},
};

static const struct sql_host host = {.secret = secret};

static void template_row(void **state)
{
    const struct row *row = *state;
    struct sql_message message = {.topic = SPAN("t/dev"), .payload = SPAN(payload), .payload_format = -1};
    struct err err = {0};
    struct sql_program *program = sql_compile(SPAN(statement), SQL_2016_03_23, NULL, &err);
    struct sql_template *tmpl = sql_template_compile(span_of(row->text), program, SQL_2016_03_23, &err);
    struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, &err);
    struct sql_text text;

    if (!program || !tmpl || !scope)
        fail_msg("%s", err.text);
    sql_scope_begin(scope, &message);
    if (sql_template_expand(tmpl, scope, &text, &err) < 0)
        fail_msg("%s", err.text);
    if (!span_is(text.text, row->want))
        fail_msg("got " SPAN_FMT, SPAN_ARG(text.text));
    assert_non_null(text.text.data);
    assert_int_equal(text.absent, row->absent);
    assert_int_equal(text.secret, row->secret);
    sql_scope_free(scope);
    sql_template_free(tmpl);
    sql_program_free(program);
}

static struct sql_template *template_of(const char *text)
{
    struct err err;
    struct sql_template *tmpl = sql_template_compile(span_of(text), NULL, SQL_2016_03_23, &err);

    if (!tmpl)
        fail_msg("%s", err.text);
    return tmpl;
}

static void a_text_without_expressions_is_constant(void **state)
{
    struct sql_template *plain = template_of("a$b"), *empty = template_of(""), *other = template_of("${1}");

    (void)state;
    assert_true(span_is(sql_template_constant(plain), "a$b"));
    assert_non_null(sql_template_constant(empty).data);
    assert_null(sql_template_constant(other).data);
    sql_template_free(plain);
    sql_template_free(empty);
    sql_template_free(other);
}

static void settled(const char *text, bool want)
{
    struct sql_template *tmpl = template_of(text);

    assert_int_equal(sql_template_is_settled(tmpl), want);
    sql_template_free(tmpl);
}

static void settled_templates_need_no_message(void **state)
{
    (void)state;
    settled("plain", true);
    settled("${upper('a') + 1}", true);
    settled("${get_secret('a', 'SecretString', '')}/${concat('x', get_secret('b', 'SecretBinary', ''))}",
            true);
    settled("${get_or_default(get_secret('a', 'SecretString', ''), 'none')}", true);
    settled("x/${device}", false);
    settled("x/${topic()}", false);
    settled("x/${timestamp()}", false);
    settled("x/${encode(*, 'base64')}", false);
    settled("x/${get((SELECT VALUE 1 FROM *), 0)}", false);
    settled("${get_secret(device, 'SecretString', '')}", false);
}

static void flawed(const char *text, const char *want)
{
    struct sql_template *tmpl = template_of(text);
    const char *flaw = sql_template_flaw(tmpl);

    if (want) {
        assert_non_null(flaw);
        assert_non_null(strstr(flaw, want));
    } else {
        assert_null(flaw);
    }
    sql_template_free(tmpl);
}

static void what_no_secret_can_mend_is_a_flaw(void **state)
{
    (void)state;
    flawed("plain", NULL);
    flawed("", NULL);
    flawed("${get_secret('a', 'SecretString', '')}", NULL);
    flawed("${get_secret('a', 'SecretString', 'key', '')}/${get_secret('b', 'SecretBinary', '')}", NULL);
    flawed("${get_or_default(get_secret('a'), 'none')}", NULL);
    flawed("x${get_secret('a')}", "always Undefined");
    flawed("${get_secret('a', 'SecretString', 'k', '', '')}", "always Undefined");
    flawed("${upper(get_secret('a', 'SecretText', ''))}", "SecretString or SecretBinary");
    flawed("a${get_secret('a', 'SecretText', 'key', '')}", "SecretString or SecretBinary");
    flawed("${get_secret('a', 'SecretBinary', 'key', '')}", "no keys");
}

static void seen(void *context, const struct sql_secret_query *query)
{
    char *out = context;
    size_t size = strlen(out);

    (void)snprintf(out + size, 200 - size, "%.*s:%d:%.*s:%.*s;", SPAN_ARG(query->id), (int)query->type,
                   SPAN_ARG(query->key), SPAN_ARG(query->role_arn));
}

static void constant_secrets_are_known_before(void **state)
{
    struct sql_template *tmpl = template_of(
        "${get_secret('a', 'SecretString', 'key', 'arn')}${get_secret('b' + 1, 'SecretBinary', 'r')}"
        "${get_secret(device, 'SecretString', '')}"
        "${get_secret(CASE device WHEN 1 THEN 'c' ELSE 'd' END, 'SecretString', '')}");
    char text[200] = "";

    (void)state;
    sql_template_secrets(tmpl, seen, text);
    assert_string_equal(text, "a:0:key:arn;b1:1::r;");
    assert_true(sql_template_calls(tmpl, "get_secret"));
    assert_false(sql_template_calls(tmpl, "topic"));
    sql_template_free(tmpl);
}

static void a_failure_names_its_place(void **state)
{
    struct sql_template *tmpl = template_of("a/${upper(get_secret('nope', 'SecretString', ''))}");
    struct sql_message message = {.topic = SPAN("t"), .payload_format = -1};
    struct err err = {0};
    struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, &err);
    struct sql_text text;
    char said[1000];

    (void)state;
    sql_scope_begin(scope, &message);
    assert_int_equal(sql_template_expand(tmpl, scope, &text, &err), -1);
    (void)err_print(&err, said, sizeof said);
    assert_string_equal(said, "1:11: template: secret nope: there is none\n"
                              "  a/${upper(get_secret('nope', 'SecretString', ''))}\n"
                              "            ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~");
    assert_int_equal(err.code, ERR_SECRET);
    sql_scope_free(scope);
    sql_template_free(tmpl);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_text_without_expressions_is_constant),
        cmocka_unit_test(settled_templates_need_no_message),
        cmocka_unit_test(what_no_secret_can_mend_is_a_flaw),
        cmocka_unit_test(constant_secrets_are_known_before),
        cmocka_unit_test(a_failure_names_its_place),
    };
    struct CMUnitTest tests[ROWS];

    for (size_t i = 0; i < ROWS; i++) {
        union {
            const struct row *row;
            void *state;
        } row = {.row = &rows[i]};

        tests[i] =
            (struct CMUnitTest){.name = rows[i].name, .test_func = template_row, .initial_state = row.state};
    }
    int failed = cmocka_run_group_tests_name("template", tests, NULL, NULL);

    return failed + cmocka_run_group_tests_name("template, other", others, NULL, NULL);
}
