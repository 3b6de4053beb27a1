/* Too little memory, too few steps, too little room for output, an allocation that fails: each gives its
 * error or the right result, never another result, and never a crash or a leak. */
#include "failing_malloc.h"

#include "sql/sql.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const statements[] = {
    "SELECT * FROM 't'",
    "SELECT *, upper(s) AS up, n * 1.5 AS m FROM 't' WHERE n > 1 AND s <> 'x'",
    "SELECT a.b.c AS x.y, a AS x.z, 'k' + n AS k FROM 't'",
    "SELECT VALUE o = p FROM 't'",
    "SELECT cast(o AS String) AS t, cast(l AS String) AS u FROM 't'",
    "SET @v = (SELECT x, y FROM l WHERE x > 0), @w = @v SELECT @w AS w, EXISTS (SELECT * FROM l WHERE y = 2) "
    "AS e FROM 't'",
    "SELECT {'a': [n, s, {'b': *}], 'c': o} AS r FROM 't'",
    "SELECT CASE s WHEN 'a\xc3\xa9' THEN get(o, 'k1') ELSE get(l, 0).x END AS r FROM 't'",
    "SELECT encode(*, 'base64') AS e, decode(encode(*, 'base64'), 'base64') AS d FROM 't'",
    "SELECT concat(s, n, l) AS c, concat(l, o) AS d, transform('enrichArray', o, l) AS t FROM 't'",
    "SELECT regexp_replace(s, 'a(.)', '<$1>') AS r, regexp_matches(s, 'a.') AS m FROM 't'",
    "SELECT parse_time('yyyy-MM-dd HH:mm', n) AS p, time_to_epoch('2024-01-02', 'yyyy-MM-dd') AS q FROM 't'",
    "SELECT sqrt(n) AS r, md5(s) AS h, sha256(s) AS i, substring(s, 1) AS j, replace(s, 'a', s) AS k, "
    "lpad(s, 50) AS l FROM 't'",
    "SELECT topic() AS t, newuuid() AS u, traceid() AS v, clientid() AS c FROM 't'",
};
static const char *const templates[] = {
    "x/${topic()}/${n + 1}/${o}",
    "${(SELECT x FROM l)}$<upper(s)>",
};
enum {
    STATEMENTS = sizeof statements / sizeof *statements,
    TEMPLATES = sizeof templates / sizeof *templates,
};

static const char payload[] =
    " {\"n\":12.50,\"s\":\"a\\u00e9\",\"a\":{\"b\":{\"c\":[1, "
    "2]}},\"l\":[{\"x\":1,\"y\":2},{\"x\":0},{\"x\":3}],"
    "\"o\":{\"k1\":1,\"k2\":\"\\n\",\"\\u006b3\":3},\"p\":{\"k3\":3,\"k2\":\"\\u000a\",\"k1\":1.0}} ";

static int64_t fixed_now(void *context)
{
    (void)context;
    return 1718000000123;
}

static void poor_random(void *context, void *bytes, size_t size)
{
    (void)context;
    memset(bytes, 0x5a, size);
}

static const struct sql_host host = {.now_ms = fixed_now, .random = poor_random};
static const struct sql_message message = {
    .topic = SPAN("t"), .payload = {payload, sizeof payload - 1}, .payload_format = -1};

static struct sql_program *compile(const char *sql)
{
    struct err err = {0};
    struct sql_program *program = sql_compile(span_of(sql), SQL_2016_03_23, NULL, &err);

    if (!program)
        fail_msg("%s: %s", sql, err.text);
    return program;
}

/* With these limits: 1 and the result in `out` (heap), 0 and the error. */
static int run(const struct sql_program *program, struct sql_limits limits, struct buf *out, struct err *err)
{
    struct sql_scope *scope = sql_scope_new(&host, limits, err);
    struct span text = {0};

    if (!scope)
        return 0;
    sql_scope_begin(scope, &message);
    enum sql_outcome outcome = sql_run(program, scope, &text, err);
    if (outcome == SQL_MATCHED)
        buf_span(out, text);
    sql_scope_free(scope);
    assert_int_not_equal(outcome, SQL_FILTERED);
    return outcome == SQL_MATCHED;
}

static void limits_row(void **state)
{
    const char *sql = *state;
    struct sql_program *program = compile(sql);
    struct buf want = BUF_INIT;
    struct err err = {0};
    int met = 0;

    if (!run(program, SQL_LIMITS_DEFAULT, &want, &err))
        fail_msg("%s: %s", sql, err.text);
    for (int kind = 0; kind < 3; kind++) {
        size_t most = kind == 0 ? 20000 : kind == 1 ? want.size + 10 : 20000;
        bool passed = false;

        for (size_t limit = 0; limit <= most && !(kind && passed);
             limit += kind == 0 ? 24 : 1 + limit / 100) {
            struct sql_limits limits = SQL_LIMITS_DEFAULT;
            struct buf got = BUF_INIT;

            if (kind == 0)
                limits.memory = limit;
            else if (kind == 1)
                limits.output = limit;
            else
                limits.steps = limit;
            memset(&err, 0, sizeof err);
            if (run(program, limits, &got, &err)) {
                assert_true(span_equal(buf_view(&got), buf_view(&want)));
                passed = true;
            } else {
                assert_int_equal(err.code, ERR_LIMIT);
                assert_true(err.text[0] != '\0');
                met |= 1 << kind;
            }
            buf_done(&got);
        }
        assert_true(passed || kind == 0);
    }
    assert_int_equal(met, 7);
    buf_done(&want);
    sql_program_free(program);
}

static void a_failing_allocation_changes_no_result(void **state)
{
    const char *sql = *state;
    struct sql_program *program = compile(sql);
    struct buf want = BUF_INIT;
    struct err err = {0};

    assert_true(run(program, SQL_LIMITS_DEFAULT, &want, &err));
    for (int from_then = 0; from_then < 2; from_then++) {
        bool met = true;

        for (uint64_t after = 0; met && after < 2000; after++) {
            struct buf got = BUF_INIT;

            buf_reserve(&got, 4096);
            memset(&err, 0, sizeof err);
            failing_begin(after, from_then);
            int done = run(program, SQL_LIMITS_DEFAULT, &got, &err);
            met = failing_end();
            if (done && !span_equal(buf_view(&got), buf_view(&want)))
                fail_msg("%s\nallocation %d fails: %.*s", sql, (int)after, SPAN_ARG(buf_view(&got)));
            if (!done)
                assert_true(err.code != ERR_NONE && err.text[0] != '\0');
            buf_done(&got);
        }
    }
    buf_done(&want);
    sql_program_free(program);
}

static void compiling_survives_failing_allocations(void **state)
{
    const char *sql = *state;
    bool met = true;

    for (uint64_t after = 0; met && after < 2000; after++) {
        struct err err = {0};

        failing_begin(after, false);
        struct sql_program *program = sql_compile(span_of(sql), SQL_2016_03_23, NULL, &err);
        met = failing_end();
        assert_true(program || (err.code != ERR_NONE && err.text[0] != '\0'));
        sql_program_free(program);
    }
}

static void templates_survive_too(void **state)
{
    const char *text = *state;
    bool met = true;

    for (uint64_t after = 0; met && after < 2000; after++) {
        struct err err = {0};
        struct sql_text out;

        failing_begin(after, false);
        struct sql_template *template = sql_template_compile(span_of(text), NULL, SQL_2016_03_23, &err);
        met = failing_end();
        assert_true(template || (err.code != ERR_NONE && err.text[0] != '\0'));
        if (!template)
            continue;
        struct sql_scope *scope = sql_scope_new(&host, SQL_LIMITS_DEFAULT, &err);
        assert_non_null(scope);
        sql_scope_begin(scope, &message);
        failing_begin(after, false);
        int done = sql_template_expand(template, scope, &out, &err);
        met |= failing_end();
        assert_true(done == 0 || err.code != ERR_NONE);
        sql_scope_free(scope);
        sql_template_free(template);
    }
    for (size_t memory = 0; memory < 20000; memory += 24) {
        struct sql_limits limits = SQL_LIMITS_DEFAULT;
        struct err err = {0};
        struct sql_text out;

        limits.memory = memory;
        struct sql_template *template = sql_template_compile(span_of(text), NULL, SQL_2016_03_23, &err);
        struct sql_scope *scope = sql_scope_new(&host, limits, &err);
        assert_true(template && scope);
        sql_scope_begin(scope, &message);
        assert_true(sql_template_expand(template, scope, &out, &err) == 0 || err.code == ERR_LIMIT);
        sql_scope_free(scope);
        sql_template_free(template);
    }
}

int main(void)
{
    struct CMUnitTest tests[3 * STATEMENTS + TEMPLATES];
    size_t n = 0;

    for (size_t i = 0; i < STATEMENTS; i++) {
        void *sql = (void *)(uintptr_t)statements[i];

        tests[n++] = (struct CMUnitTest){statements[i], limits_row, NULL, NULL, sql};
        tests[n++] =
            (struct CMUnitTest){statements[i], a_failing_allocation_changes_no_result, NULL, NULL, sql};
        tests[n++] =
            (struct CMUnitTest){statements[i], compiling_survives_failing_allocations, NULL, NULL, sql};
    }
    for (size_t i = 0; i < TEMPLATES; i++)
        tests[n++] = (struct CMUnitTest){templates[i], templates_survive_too, NULL, NULL,
                                         (void *)(uintptr_t)templates[i]};
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
