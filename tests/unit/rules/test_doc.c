/* The tree: the same values from JSON and YAML, and the place of each, also inside strings. */
#include "doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct doc_node *must_read(struct doc *doc, const char *text, enum doc_format format)
{
    struct err err = {0};

    if (doc_read(doc, span_of(text), format, &err) != 0)
        fail_msg("%u:%u: %s", err.pos.line, err.pos.column, err.text);
    return doc->root;
}

static void assert_pos(struct pos pos, unsigned line, unsigned column)
{
    if (pos.line != line || pos.column != column)
        fail_msg("%u:%u, not %u:%u", pos.line, pos.column, line, column);
}

/* ---- where characters of strings stand ---- */

static const struct row {
    const char *name, *text; /* the string is the value of the key "s" */
    enum doc_format format;
    const char *find; /* a part of the decoded string, and where it stands in the file; "": its end */
    unsigned line, column;
} rows[] = {
    {"json_plain", "{\"s\": \"abc def\"}", DOC_JSON, "def", 1, 12},
    {"json_start", "{\"s\": \"abc\"}", DOC_JSON, "abc", 1, 8},
    {"json_end", "{\"s\": \"abc\"}", DOC_JSON, "", 1, 11},
    {"json_after_escapes", "{\"s\": \"\\n\\t\\\"\\u0041\\/ x\"}", DOC_JSON, "x", 1, 23},
    {"json_after_a_pair", "{\"s\": \"\\ud83d\\ude00x\"}", DOC_JSON, "x", 1, 20},
    {"json_counts_characters", "{\"s\": \"\xc3\xa9\xe2\x82\xacx\"}", DOC_JSON, "x", 1, 10},
    {"yaml_plain", "s: abc def", DOC_YAML, "def", 1, 8},
    {"yaml_plain_folded", "s: abc\n\n   def ghi", DOC_YAML, "ghi", 3, 8},
    {"yaml_single", "s: 'a''b c'", DOC_YAML, "c", 1, 10},
    {"yaml_double", "s: \"a\\x41\\u00e9\\U0001F600 \\\n   b\"", DOC_YAML, "b", 2, 4},
    {"yaml_double_special_blanks", "s: \"\\N\\_\\L\\P\\ \\tz\"", DOC_YAML, "z", 1, 17},
    {"yaml_literal", "s: |\n  one\n    two three", DOC_YAML, "three", 3, 9},
    {"yaml_literal_with_header", "s: |2- # three\n  one\n  two", DOC_YAML, "two", 3, 3},
    {"yaml_folded", "s: >\n  one\n  two\n\n  three", DOC_YAML, "three", 5, 3},
    {"yaml_flow_is_json_here", "{\"s\": \"a\\/b c\"}", DOC_YAML, "c", 1, 13},
    {"yaml_after_wide_characters", "t: \xf0\x9f\x98\x80\ns: \xf0\x9f\x98\x80 x", DOC_YAML, "x", 2, 6},
    {"yaml_windows_lines", "t: 1\r\ns: |\r\n  one\r\n  two\r\n", DOC_YAML, "two", 4, 3},
};

static void place_in_string(void **state)
{
    const struct row *r = *state;
    struct doc doc;
    struct doc_node *node = doc_get(must_read(&doc, r->text, r->format), "s");

    assert_int_equal(node->type, DOC_STRING);
    const char *found = strstr(node->text.data, r->find);
    assert_non_null(found);
    size_t offset = r->find[0] ? (size_t)(found - node->text.data) : node->text.size;
    assert_pos(doc_place(&doc, node, offset), r->line, r->column);
    doc_done(&doc);
}

/* ---- values ---- */

static void json_and_yaml_give_the_same_tree(void **state)
{
    static const char *const texts[] = {
        "{\"a\": [1, -2.5e3, true, null, \"x\"],\n \"b\": {\"c\": \"\", \"d.e\": []}}",
        "a:\n- 1\n- -2.5e3\n- true\n- ~\n- x\nb:\n  c: ''\n  d.e: []\n",
    };

    (void)state;
    for (int format = DOC_JSON; format <= DOC_YAML; format++) {
        struct doc doc;
        char path[DOC_PATH_MAX];
        const struct doc_node *root = must_read(&doc, texts[format], (enum doc_format)format);
        const struct doc_node *a = doc_get(root, "a"), *b = doc_get(root, "b");

        assert_int_equal(root->count, 2);
        assert_int_equal(a->type, DOC_LIST);
        assert_int_equal(a->count, 5);
        assert_string_equal(a->first->text.data, "1");
        assert_int_equal(a->first->type, DOC_NUMBER);
        assert_string_equal(a->first->next->text.data, "-2.5e3");
        assert_true(a->first->next->next->on);
        assert_int_equal(a->first->next->next->next->type, DOC_NULL);
        assert_string_equal(doc_path(&doc, a->last, path), "a[4]");
        assert_int_equal(doc_get(b, "c")->type, DOC_STRING);
        assert_int_equal(doc_get(b, "c")->text.size, 0);
        assert_string_equal(doc_path(&doc, doc_get(b, "d.e"), path), "b.d.e");
        assert_string_equal(doc_path(&doc, root, path), "");
        assert_null(doc_get(b, "d"));
        doc_done(&doc);
    }
}

static void yaml_types_are_those_of_json(void **state)
{
    static const struct {
        const char *text;
        enum doc_type type;
    } scalars[] = {
        {"0", DOC_NUMBER},  {"-1", DOC_NUMBER},    {"1.5E+3", DOC_NUMBER},     {"007", DOC_STRING},
        {"+1", DOC_STRING}, {".5", DOC_STRING},    {"5.", DOC_STRING},         {"0x1f", DOC_STRING},
        {"1e", DOC_STRING}, {"1_000", DOC_STRING}, {"2016-03-23", DOC_STRING}, {".inf", DOC_STRING},
        {"True", DOC_BOOL}, {"FALSE", DOC_BOOL},   {"yes", DOC_STRING},        {"on", DOC_STRING},
        {"null", DOC_NULL}, {"NULL", DOC_NULL},    {"'true'", DOC_STRING},     {"\"1\"", DOC_STRING},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        struct doc doc;

        (void)snprintf(text, sizeof text, "s: %s", scalars[i].text);
        const struct doc_node *node = doc_get(must_read(&doc, text, DOC_YAML), "s");
        if (node->type != scalars[i].type)
            fail_msg("%s is %s", scalars[i].text, doc_type_name(node->type));
        doc_done(&doc);
    }
}

static void places_of_values_and_keys(void **state)
{
    struct doc doc;
    const struct doc_node *root =
        must_read(&doc, "\xef\xbb\xbf{\n  \"\xc3\xa9\": {\"k\" :\n\t7}, \"l\": [true,\n {}]}", DOC_JSON);
    const struct doc_node *k = doc_get(doc_get(root, "\xc3\xa9"), "k"), *l = doc_get(root, "l");

    (void)state;
    assert_pos(root->pos, 1, 1);
    assert_pos(k->key_pos, 2, 9);
    assert_pos(k->pos, 3, 2);
    assert_pos(l->pos, 3, 11);
    assert_pos(l->first->pos, 3, 12);
    assert_pos(l->last->pos, 4, 2);
    doc_done(&doc);

    root = must_read(&doc, "a: {b: c}\nd:\n  - e: f\n", DOC_YAML);
    assert_pos(doc_get(doc_get(root, "a"), "b")->pos, 1, 8);
    assert_pos(doc_get(root, "d")->first->first->key_pos, 3, 5);
    assert_pos(doc_get(root, "d")->first->first->pos, 3, 8);
    doc_done(&doc);
}

static void the_format_follows_the_name_else_the_text(void **state)
{
    (void)state;
    assert_int_equal(doc_format_of("a.json", SPAN("sql: x")), DOC_JSON);
    assert_int_equal(doc_format_of("a.YAML", SPAN("{}")), DOC_YAML);
    assert_int_equal(doc_format_of("a.yml", SPAN("{}")), DOC_YAML);
    assert_int_equal(doc_format_of("-", SPAN(" \n{}")), DOC_JSON);
    assert_int_equal(doc_format_of("-", SPAN("sql: x")), DOC_YAML);
    assert_int_equal(doc_format_of(NULL, SPAN("")), DOC_YAML);
}

/* ---- bounds ---- */

static void refuse(const char *text, size_t size, enum doc_format format, const char *want)
{
    struct doc doc;
    struct err err = {0};

    assert_int_equal(doc_read(&doc, (struct span){text, size}, format, &err), -1);
    doc_done(&doc);
    if (!strstr(err.text, want))
        fail_msg("%s", err.text);
}

static void hostile_shapes_meet_a_bound(void **state)
{
    enum { SIZE = (1 << 20) + 1 };
    char *text = malloc(SIZE);

    (void)state;
    assert_non_null(text);
    refuse("[2\0]", 4, DOC_JSON, "NUL");
    refuse("[2\0]", 4, DOC_YAML, "NUL");
    memset(text, ' ', SIZE);
    text[0] = '{';
    refuse(text, SIZE, DOC_JSON, "larger than 1 MiB");

    text[0] = '[';
    for (size_t i = 1; i + 1 < SIZE - 1; i += 2) {
        text[i] = '1';
        text[i + 1] = ',';
    }
    text[SIZE - 3] = '1';
    text[SIZE - 2] = ']';
    refuse(text, SIZE - 1, DOC_JSON, "more than 50000 values");
    refuse(text, SIZE - 1, DOC_YAML, "more than 50000 values");

    size_t size = 0;
    for (int i = 0; i < 2500; i++)
        size += (size_t)snprintf(text + size, SIZE - size, "%c\"k%d\":1", i ? ',' : '{', i);
    text[size++] = '}';
    refuse(text, size, DOC_JSON, "more than 2000 members");
    refuse(text, size, DOC_YAML, "more than 2000 members");

    memset(text, '[', 100000);
    refuse(text, 100000, DOC_YAML, "nested more than 32");
    memset(text, '-', 100000);
    for (size_t i = 1; i < 100000; i += 2)
        text[i] = ' ';
    refuse(text, 100000, DOC_YAML, "nested more than 32");
    free(text);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(json_and_yaml_give_the_same_tree),
        cmocka_unit_test(yaml_types_are_those_of_json),
        cmocka_unit_test(places_of_values_and_keys),
        cmocka_unit_test(the_format_follows_the_name_else_the_text),
        cmocka_unit_test(hostile_shapes_meet_a_bound),
    };
    struct CMUnitTest tests[ROWS + sizeof others / sizeof *others];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = place_in_string, .initial_state = (void *)(uintptr_t)&rows[i]};
    memcpy(tests + ROWS, others, sizeof others);
    return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
