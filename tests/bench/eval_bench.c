/* eval_bench.c - what a rule costs: evaluate and print, beside jansson's parse and dump of the same payload.
 *
 *     bench_eval            rules, in one run and interleaved, so that the ratios hold on a noisy machine
 *     bench_eval --worst    the payloads of 128 KiB that take longest, found by trying shapes
 *
 * Build it in the preset `release`. Counts what is taken from the heap per message: nothing may be. */
#include "base/clock.h"
#include "sql/sql.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the heap, counted ---- */

static size_t allocations;

void *__libc_malloc(size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_calloc(size_t count, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

/* ---- the world ---- */

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

static _Noreturn void die(const struct err *err)
{
    char text[1500];

    (void)err_print(err, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static struct sql_program *compile(const char *sql)
{
    struct err err = {0};
    struct sql_program *program = sql_compile(span_of(sql), SQL_2016_03_23, NULL, &err);

    if (!program)
        die(&err);
    return program;
}

static struct sql_scope *scope(void)
{
    struct err err = {0};
    struct sql_scope *made = sql_scope_new(&host, SQL_LIMITS_DEFAULT, &err);

    if (!made)
        die(&err);
    return made;
}

static enum sql_outcome run(const struct sql_program *program, struct sql_scope *in, struct span payload,
                            struct span *out, struct err *err)
{
    struct sql_message message = {.topic = SPAN("plant/7/temp"), .payload = payload, .payload_format = -1};

    sql_scope_begin(in, &message);
    return sql_run(program, in, out, err);
}

/* ---- rules beside jansson ---- */

enum { WARM = 200, ROUNDS = 15 };

static const char reading[] =
    "{\"deviceId\":\"sensor-0017\",\"ts\":1718000000123,\"temperature\":21.53,\"humidity\":47.1,"
    "\"pressure\":1013.2,\"battery\":3.71,\"status\":\"ok\",\"seq\":123456,\"x\":true}";

static char *large_reading(void)
{
    struct buf text = BUF_INIT;

    buf_text(&text, "{\"deviceId\":\"sensor-0017\",\"ts\":1718000000123,\"readings\":[");
    for (int i = 0; i < 138; i++)
        buf_format(&text,
                   "%s{\"n\":\"channel-%02d\",\"v\":%d.%03d,\"u\":\"degC\",\"q\":%d,\"ok\":true,\"t\":%d}",
                   i ? "," : "", i, 20 + i, i * 37 % 1000, i * 7, 1718000 + i);
    buf_text(&text, "],\"status\":\"ok\",\"temperature\":21.5,\"note\":\"caf\xc3\xa9 \\\"quoted\\\"\"}");
    return text.data;
}

static void jansson(struct span payload)
{
    json_error_t error;
    json_t *json = json_loadb(payload.data, payload.size, 0, &error);
    char *text = json_dumps(json, JSON_COMPACT);

    free(text);
    json_decref(json);
}

static void compare(const char *name, const char *sql, const char *payload_text, int times)
{
    struct sql_program *program = compile(sql);
    struct sql_scope *in = scope();
    struct span payload = span_of(payload_text), out = {0};
    struct err err = {0};
    double ours = 1e18, theirs = 1e18;
    size_t taken = 0;

    for (int i = 0; i < WARM; i++) /* patterns are compiled for speed once they have proved useful */
        if (run(program, in, payload, &out, &err) == SQL_FAILED)
            die(&err);
    printf("%s, %zu bytes\n  %s\n  %.*s\n", name, payload.size, sql, (int)(out.size < 200 ? out.size : 200),
           out.data ? out.data : "");
    for (int round = 0; round < ROUNDS; round++) {
        size_t before = allocations;
        int64_t start = clock_mono_ns();

        for (int i = 0; i < times; i++)
            if (run(program, in, payload, &out, &err) == SQL_FAILED)
                die(&err);
        double each = (double)(clock_mono_ns() - start) / times;
        ours = each < ours ? each : ours;
        taken += allocations - before;

        start = clock_mono_ns();
        for (int i = 0; i < times / 8; i++)
            jansson(payload);
        each = (double)(clock_mono_ns() - start) / (times / 8);
        theirs = each < theirs ? each : theirs;
    }
    printf("  ours %.0f ns, jansson %.0f ns: %.1f times faster; %zu allocations in %d messages\n\n", ours,
           theirs, theirs / ours, taken, ROUNDS * times);
    sql_scope_free(in);
    sql_program_free(program);
}

/* ---- the worst payloads ---- */

enum { WORST_SIZE = 128 << 10 };

static const struct shape {
    const char *name, *head, *unit, *join, *tail; /* %x in the unit: a running number */
} shapes[] = {
    {"open brackets", "", "[", "", "]"},
    {"nested arrays", "[", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", ",", "]"},
    {"numbers of one digit", "[", "1", ",", "]"},
    {"numbers to be normalised", "[", "1.0", ",", "]"},
    {"exponents", "[", "1E9", ",", "]"},
    {"numbers of 40 digits", "[", "1234567890123456789012345678901234.567890", ",", "]"},
    {"one number", "[", "1", "", "]"},
    {"one fraction", "[0.", "0", "", "1]"},
    {"empty arrays", "[", "[]", ",", "]"},
    {"empty objects", "[", "{}", ",", "]"},
    {"empty strings", "[", "\"\"", ",", "]"},
    {"distinct names", "{", "\"%x\":1", ",", "}"},
    {"one name", "{", "\"a\":1", ",", "}"},
    {"empty names", "{", "\"\":1", ",", "}"},
    {"escaped distinct names", "{", "\"\\u0061%x\":1", ",", "}"},
    {"escaped name", "{", "\"\\u0061\":1", ",", "}"},
    {"names alike at both ends", "{", "\"aaaaaaaa%08xaaaaaaaa\":1", ",", "}"},
    {"small objects", "[", "{\"a\":1,\"b\":2}", ",", "]"},
    {"small objects, one name twice", "[", "{\"a\":1,\"a\":2}", ",", "]"},
    {"small objects, escaped names", "[", "{\"\\n\":1,\"b\":2}", ",", "]"},
    {"one string", "[\"", "a", "", "\"]"},
    {"short escapes", "[\"", "\\n", "", "\"]"},
    {"long escapes", "[\"", "\\u0041", "", "\"]"},
    {"characters of two bytes", "[\"", "\xc3\xa9", "", "\"]"},
    {"characters of four bytes", "[\"", "\xf0\x9f\x98\x80", "", "\"]"},
    {"blanks", "[", " ", "", "1]"},
    {"blanks between", "[", "1 ", ",", "]"},
    {"no JSON", "", "x", "", ""},
    {"no end", "[", "1", ",", ",1"},
};

/* {"p":X,"q":X,"last":1}, where X is the shape at less than half the size; or the bare shape. */
static void make(const struct shape *shape, size_t size, struct buf *out)
{
    size_t end = out->size + size - strlen(shape->tail) - 40;

    buf_text(out, shape->head);
    for (unsigned i = 0; out->size < end; i++) {
        const char *mark = strchr(shape->unit, '%');

        if (i)
            buf_text(out, shape->join);
        if (mark && mark[1] == '0')
            buf_format(out, "%.*s%08x%s", (int)(mark - shape->unit), shape->unit, i, mark + 4);
        else if (mark)
            buf_format(out, "%.*s%x%s", (int)(mark - shape->unit), shape->unit, i, mark + 2);
        else
            buf_text(out, shape->unit);
    }
    buf_text(out, shape->tail);
}

/* {"p":[1,1,...],"0":1,"1":1,...,"last":1}: whoever looks for `last` once per element has much to look
 * through. */
static void make_search(struct buf *out)
{
    buf_text(out, "{\"p\":[1");
    while (out->size < WORST_SIZE / 2)
        buf_text(out, ",1");
    buf_char(out, ']');
    for (int i = 0; out->size < WORST_SIZE - 30; i++)
        buf_format(out, ",\"%x\":1", i);
    buf_text(out, ",\"last\":1}");
}

static double milliseconds(const struct sql_program *program, struct sql_scope *in, struct span payload)
{
    double best = 1e18;

    for (int i = 0; i < 5; i++) {
        struct span out;
        struct err err;
        int64_t start = clock_mono_ns();

        (void)run(program, in, payload, &out, &err);
        double each = (double)(clock_mono_ns() - start) / 1e6;
        best = each < best ? each : best;
    }
    return best;
}

static void worst(void)
{
    static const char *const statements[] = {
        "SELECT * FROM 'plant/#' WHERE last = 1",
        "SELECT * FROM 'plant/#'",
        "SELECT VALUE p = q FROM 'plant/#'",
        "SELECT cast(p AS String) AS t FROM 'plant/#'",
        "SELECT (SELECT VALUE last FROM p) AS r FROM 'plant/#'",
    };
    enum { STATEMENTS = sizeof statements / sizeof *statements };
    struct sql_program *programs[STATEMENTS];
    struct sql_scope *in = scope();
    double highest = 0;

    for (size_t s = 0; s < STATEMENTS; s++) {
        programs[s] = compile(statements[s]);
        printf("%zu: %s\n", s + 1, statements[s]);
    }
    printf("\n%-32s %s\n", "milliseconds for 128 KiB of", "        1        2        3        4        5");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct buf bare = BUF_INIT, twice = BUF_INIT;

        make(&shapes[i], WORST_SIZE, &bare);
        buf_text(&twice, "{\"p\":");
        make(&shapes[i], WORST_SIZE / 2 - 20, &twice);
        buf_text(&twice, ",\"q\":");
        make(&shapes[i], WORST_SIZE / 2 - 20, &twice);
        buf_text(&twice, ",\"last\":1}");
        printf("%-32s ", shapes[i].name);
        for (size_t s = 0; s < STATEMENTS; s++) {
            double took = milliseconds(programs[s], in, buf_view(s < 2 ? &bare : &twice));

            highest = took > highest ? took : highest;
            printf("%9.2f", took);
        }
        printf("\n");
        buf_done(&bare);
        buf_done(&twice);
    }

    static const char *const searches[] = {
        "SELECT (SELECT VALUE last FROM p) AS r FROM 'plant/#'",
        "SELECT (SELECT VALUE get(*, 'last') FROM p) AS r FROM 'plant/#'",
        "SELECT (SELECT VALUE (SELECT VALUE last FROM p) FROM p) AS r FROM 'plant/#'",
    };
    struct buf search = BUF_INIT;

    make_search(&search);
    printf("\nmilliseconds for a long array beside many members\n");
    for (size_t s = 0; s < sizeof searches / sizeof *searches; s++) {
        struct sql_program *program = compile(searches[s]);
        double took = milliseconds(program, in, buf_view(&search));

        highest = took > highest ? took : highest;
        printf("%9.2f  %s\n", took, searches[s]);
        sql_program_free(program);
    }
    buf_done(&search);
    printf("\nthe worst: %.2f ms\n", highest);
    for (size_t s = 0; s < STATEMENTS; s++)
        sql_program_free(programs[s]);
    sql_scope_free(in);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--worst") == 0) {
        worst();
        return 0;
    }
    char *large = large_reading();

    compare("a small rule",
            "SELECT deviceId, temperature AS celsius FROM 'plant/+/temp' WHERE temperature > 20", reading,
            40000);
    compare("everything", "SELECT * FROM 'plant/+/temp'", reading, 40000);
    compare("many functions",
            "SELECT upper(deviceId) AS id, round(temperature * 9 / 5 + 32) AS fahrenheit, topic(2) AS place, "
            "timestamp() - ts AS age, CASE status WHEN 'ok' THEN 1 ELSE 0 END AS up, concat(deviceId, '/', "
            "status) AS k, "
            "sqrt(pressure) AS root, regexp_matches(deviceId, '^sensor-[0-9]+$') AS known, "
            "substring(deviceId, 7) AS number FROM 'plant/+/temp' WHERE startswith(deviceId, 'sensor') AND "
            "seq % 2 = 0",
            reading, 8000);
    compare("two members of a large payload",
            "SELECT deviceId, temperature FROM 'plant/+/temp' WHERE temperature > 20", large, 800);
    free(large);
    return 0;
}
