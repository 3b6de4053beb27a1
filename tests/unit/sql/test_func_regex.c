/* Regular expressions: what java.util.regex says, by PCRE2. */
#include "sql_rows.h"

#define V2 SQL_2016_03_23

#define MATCHES(name, pattern, text, want)                                                                   \
    {                                                                                                        \
        name, "regexp_matches(t, p)", "{\"t\":\"" text "\",\"p\":\"" pattern "\"}", want, V2                 \
    }
#define SUBSTR(name, pattern, text, want)                                                                    \
    {                                                                                                        \
        name, "regexp_substr(t, p)", "{\"t\":\"" text "\",\"p\":\"" pattern "\"}", want, V2                  \
    }
#define REPLACE(name, pattern, by, text, want)                                                               \
    {                                                                                                        \
        name, "regexp_replace(t, p, r)", "{\"t\":\"" text "\",\"p\":\"" pattern "\",\"r\":\"" by "\"}",      \
            want, V2                                                                                         \
    }
#define INVALID(name, pattern) MATCHES(name, pattern, "a", "")

static const struct sql_row rows[] = {
    SUBSTR("first_match", "(hi)*", "hihihello", "\"hihi\""),
    SUBSTR("no_match_is_undefined", "x", "abc", ""),
    MATCHES("no_match_is_false", "x", "abc", "false"),
    REPLACE("groups", "(\\\\d+)-(\\\\d+)", "$2/$1", "31-01 1-2", "\"01/31 2/1\""),
    REPLACE("group_zero", "b", "[$0]", "abc", "\"a[b]c\""),
    REPLACE("as_many_digits_as_groups", "(a)", "$11", "a", "\"a1\""),
    REPLACE("named_groups", "(?<year>\\\\d{4})", "<${year}>", "in 2024", "\"in <2024>\""),
    REPLACE("escaped_dollar", "b", "\\\\$1\\\\\\\\", "abc", "\"a$1\\\\c\""),
    REPLACE("a_group_that_took_no_part", "(x)?b", "[$1]", "abc", "\"a[]c\""),
    REPLACE("no_such_group", "b", "$1", "abc", ""),
    REPLACE("no_such_name", "b", "${n}", "abc", ""),
    REPLACE("a_dollar_alone", "b", "$", "abc", ""),
    REPLACE("a_backslash_alone", "b", "\\\\", "abc", ""),
    REPLACE("empty_matches_stand_between", "x*", "-", "a\u00e9", "\"-a-\u00e9-\""),
    REPLACE("an_empty_match_may_follow_a_match", "a*", "-", "aab", "\"--b-\""),
    /* classes */
    MATCHES("a_class_in_a_class", "^[a-c[x-z]]+$", "abxz", "true"),
    MATCHES("an_intersection", "^[a-z&&[^aeiou]]+$", "rhythm", "true"),
    MATCHES("an_intersection_excludes", "[a-z&&[^aeiou]]", "aei", "false"),
    MATCHES("a_bracket_first_is_itself", "^[]a]+$", "]a", "true"),
    MATCHES("a_range_into_a_bracket_is_a_dash", "^[a-[b]]+$", "a-b", "true"),
    MATCHES("quoted_in_a_class", "^[\\\\Q^]-\\\\E]+$", "]-^", "true"),
    MATCHES("posix_is_ascii", "\\\\p{Alpha}", "\u00e9", "false"),
    MATCHES("a_property_by_letter", "^\\\\pL\\\\PN$", "\u00e9x", "true"),
    MATCHES("a_script", "^\\\\p{IsCyrillic}+$", "\u043a\u043b\u044e\u0447", "true"),
    MATCHES("a_block", "\\\\p{InGreek}", "\u03b1", "true"),
    MATCHES("a_java_method", "^\\\\p{javaLowerCase}$", "\u00df", "true"),
    MATCHES("w_is_ascii", "^\\\\w$", "\u00e9", "false"),
    MATCHES("w_with_U", "(?U)^\\\\w$", "\u00e9", "true"),
    MATCHES("h_is_a_blank", "^\\\\h$", "\u00a0", "true"),
    /* case, lines, words */
    MATCHES("i_is_ascii", "(?i)\u00c9", "\u00e9", "false"),
    MATCHES("i_knows_no_kelvin", "(?i)k", "\u212a", "false"),
    MATCHES("iu_is_unicode", "(?iu)\u00c9", "\u00e9", "true"),
    MATCHES("i_for_a_group", "a(?i:b)c", "aBC", "false"),
    REPLACE("dot_spares_line_ends", ".", "x", "a\\u0085b\\rc\\u2028d\\n", "\"x\xc2\x85x\\rx\u2028x\\n\""),
    REPLACE("dot_takes_them_with_s", "(?s).", "x", "a\\nb", "\"xxx\""),
    REPLACE("dot_takes_a_form_feed", ".", "x", "\\f\\u000b", "\"xx\""),
    MATCHES("dollar_before_the_last_line_end", "a$", "a\\r\\n", "true"),
    MATCHES("dollar_not_before_two", "a$", "a\\n\\n", "false"),
    REPLACE("caret_at_every_line", "(?m)^", ">", "a\\nb\\rc\\r\\nd\\n", "\">a\\n>b\\r>c\\r\\n>d\\n\""),
    REPLACE("dollar_at_every_line", "(?m)$", "<", "a\\r\\nb", "\"a<\\r\\nb<\""),
    REPLACE("boundaries_know_letters", "\\\\b", "|", "\u00e9t\u00e9 x", "\"|\u00e9t\u00e9| |x|\""),
    REPLACE("a_line_end_of_two", "\\\\R", "_", "a\\r\\nb\\u2028", "\"a_b_\""),
    /* groups and looking around */
    MATCHES("a_possessive_gives_nothing_back", "a++a", "aaa", "false"),
    MATCHES("an_atomic_group", "(?>a*)a", "aaa", "false"),
    SUBSTR("look_ahead", "foo(?=bar)", "foobar", "\"foo\""),
    SUBSTR("look_behind", "(?<=a|bc)d", "bcd", "\"d\""),
    SUBSTR("a_reference", "(\\\\w)\\\\1", "hello", "\"ll\""),
    SUBSTR("a_reference_by_name", "(?<c>l)\\\\k<c>", "hello", "\"ll\""),
    MATCHES("a_reference_to_no_group", "(a)\\\\2", "aa", "false"),
    SUBSTR("a_reference_and_a_digit", "(a)\\\\11", "aa1", "\"aa1\""),
    SUBSTR("comments", "(?x) a b # c\\n d", "xabd", "\"abd\""),
    SUBSTR("quoted", "\\\\Qa.b\\\\E+", "a.bbb", "\"a.bbb\""),
    SUBSTR("escapes", "\\\\x41\\\\u0042\\\\x{1F600}\\\\0103\\\\t", "AB\U0001F600C\\t",
           "\"AB\U0001F600C\\t\""),
    SUBSTR("a_surrogate_pair", "\\\\uD83D\\\\uDE00", "x\U0001F600", "\"\U0001F600\""),
    SUBSTR("closing_brackets_are_themselves", "a]}", "a]}", "\"a]}\""),
    SUBSTR("an_assertion_may_be_repeated", "^*a", "ba", "\"a\""),
    /* what is no pattern; the versions of PCRE2 would differ on the first four */
    INVALID("no_least_count", "a{,3}"),
    INVALID("blanks_in_a_count", "a{ 1, 2 }"),
    INVALID("a_look_behind_of_any_length", "(?<=a+)b"),
    INVALID("a_look_behind_of_two_lengths", "(?<=a{1,3})b"),
    INVALID("an_open_group", "("),
    INVALID("an_open_class", "[a"),
    INVALID("nothing_to_repeat", "*a"),
    INVALID("repeated_twice", "a**"),
    INVALID("a_brace_alone", "{"),
    INVALID("a_perl_verb", "(*ACCEPT)"),
    INVALID("a_perl_recursion", "(?R)"),
    INVALID("a_perl_comment", "(?#x)"),
    INVALID("a_python_name", "(?P<x>a)"),
    INVALID("an_unknown_escape", "\\\\y"),
    INVALID("reset_of_the_match", "a\\\\Kb"),
    INVALID("an_unknown_property", "\\\\p{Foo}"),
    INVALID("a_range_backwards", "[z-a]"),
    INVALID("the_same_name_twice", "(?<a>x)(?<a>y)"),
    INVALID("too_many_repetitions", "a{70000}"),
    INVALID("a_pattern_that_grows_too_large", "(?:(?:(?:a{1,1000}){1,1000}){1,1000}){1,1000}"),
    /* values */
    {"other_types_become_text", "[regexp_replace(12321, 2, 'x'), regexp_matches(true, '^t')]", "{}",
     "[\"1x3x1\",true]", V2},
    {"nothing_matches_nothing", "regexp_matches(t, 'a')", "{}", "", V2},
    {"nothing_replaces_nothing", "regexp_replace('a', 'b', t)", "{}", "", V2},
};

/* ---- work ---- */

static enum sql_outcome run_over(const char *expression, char unit, size_t size, const char *tail,
                                 struct span *head)
{
    static const struct sql_host host;
    static char kept[16];
    struct buf payload = BUF_INIT, text = BUF_INIT;
    struct err err = {0};
    struct span out = {NULL, 0};

    buf_text(&payload, "{\"t\":\"");
    for (size_t i = 0; i < size; i++)
        buf_char(&payload, unit);
    buf_format(&payload, "%s\"}", tail);
    buf_format(&text, "SELECT VALUE %s FROM 't'", expression);
    struct sql_program *program = sql_compile(buf_view(&text), SQL_2016_03_23, NULL, &err);
    struct sql_limits limits = SQL_LIMITS_DEFAULT;
    struct sql_scope *scope = sql_scope_new(&host, limits, &err);
    struct sql_message message = {.topic = SPAN("t"), .payload = buf_view(&payload), .payload_format = -1};

    assert_true(program && scope);
    sql_scope_begin(scope, &message);
    enum sql_outcome outcome = sql_run(program, scope, &out, &err);

    if (outcome == SQL_FAILED) {
        assert_int_equal(err.code, ERR_LIMIT);
        assert_non_null(strstr(err.text, "too many steps"));
    }
    head->size = out.size < sizeof kept ? out.size : sizeof kept;
    head->data = memcpy(kept, out.data ? out.data : "", head->size);
    sql_scope_free(scope);
    sql_program_free(program);
    buf_done(&payload);
    buf_done(&text);
    return outcome;
}

enum { MEGABYTE = 1 << 20 };

/* What takes the square of the text's length, or worse, is an error, and soon: every one of these would take
 * hours. */
static void hostile_text_ends_in_an_error(void **state)
{
    struct span head;

    (void)state;
    assert_int_equal(run_over("regexp_matches(t, '^(a+)+$')", 'a', MEGABYTE, "b", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, '^(a+)+$')", 'a', 60, "b", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, '\\s+$')", ' ', MEGABYTE, "x", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, 'a*[bc]')", 'a', MEGABYTE, "", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, '(a|a)*[bc]')", 'a', 64, "", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, '(a*)\\1[bc]')", 'a', MEGABYTE, "", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, '(?:a?){40}a{40}')", 'a', 39, "", &head), SQL_MATCHED);
    assert_int_equal(run_over("regexp_replace(t, 'a*b|a', 'x')", 'a', MEGABYTE, "", &head), SQL_FAILED);
    assert_int_equal(run_over("regexp_matches(t, '(?:(?:a|a)(?:a|a)){30}[bc]')", 'a', MEGABYTE, "", &head),
                     SQL_FAILED);
}

static void long_text_is_no_hindrance(void **state)
{
    struct span head;

    (void)state;
    assert_int_equal(run_over("regexp_matches(t, '.*ab.*')", 'a', MEGABYTE, "b", &head), SQL_MATCHED);
    assert_true(span_is(head, "true"));
    assert_int_equal(run_over("length(regexp_replace(t, 'a', 'bc'))", 'a', MEGABYTE, "", &head), SQL_MATCHED);
    assert_true(span_is(head, "2097152"));
    assert_int_equal(run_over("length(regexp_substr(t, '[a-z]+'))", 'a', MEGABYTE, "", &head), SQL_MATCHED);
    assert_true(span_is(head, "1048576"));
    assert_int_equal(run_over("length(replace(t, 'a', 'bc'))", 'a', MEGABYTE, "", &head), SQL_MATCHED);
    assert_true(span_is(head, "2097152"));
}

/* More patterns than are kept, over and over, each still right; and one pattern often enough to be worth
 * machine code. */
static void patterns_come_and_go(void **state)
{
    static const struct sql_host host;
    struct sql_limits limits = SQL_LIMITS_DEFAULT;
    struct err err = {0};
    struct span out;
    struct sql_program *program =
        sql_compile(SPAN("SELECT VALUE regexp_replace(t, p, '<$0>') + regexp_substr(t, '\\d+') FROM 't'"),
                    SQL_2016_03_23, NULL, &err);
    struct sql_scope *scope = sql_scope_new(&host, limits, &err);

    (void)state;
    assert_true(program && scope);
    for (int i = 0; i < 1000; i++) {
        char payload[64], want[64];
        struct sql_message message = {.topic = SPAN("t"), .payload_format = -1};

        (void)snprintf(payload, sizeof payload, "{\"t\":\"x%dy\",\"p\":\"%dy\"}", i % 100, i % 100);
        (void)snprintf(want, sizeof want, "\"x<%dy>%d\"", i % 100, i % 100);
        message.payload = span_of(payload);
        sql_scope_begin(scope, &message);
        assert_int_equal(sql_run(program, scope, &out, &err), SQL_MATCHED);
        if (!span_is(out, want))
            fail_msg("want %s, got " SPAN_FMT, want, SPAN_ARG(out));
    }
    sql_scope_free(scope);
    sql_program_free(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_ends_in_an_error),
        cmocka_unit_test(long_text_is_no_hindrance),
        cmocka_unit_test(patterns_come_and_go),
    };
    int failed = RUN_SQL_ROWS("regular expressions", rows);

    return failed + cmocka_run_group_tests_name("work of regular expressions", tests, NULL, NULL);
}
