#include "case.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdlib.h>

enum { CASE_MEMORY = 256 << 20 }; /* bytes of texts in one line */

enum kinds { NOTHING = 1, FLAG = 2, NUMBER = 4, TEXT = 8, ARRAY = 16, OBJECT = 32, ANY = 64 };

static const struct field {
    const char *name;
    unsigned kinds;
} fields[] = {
#define FIELD(name, kinds) [CASE_##name] = {#name, (kinds)},
    CASE_FIELDS(FIELD)
#undef FIELD
};

static const char *field_name(const void *context, size_t index)
{
    (void)context;
    return index < CASE_FIELD_COUNT ? fields[index].name : NULL;
}

static int field_find(struct span name, struct err *err)
{
    for (int i = 0; i < CASE_FIELD_COUNT; i++)
        if (span_is(name, fields[i].name))
            return i;
    const char *near = nearest(name, field_name, NULL);
    if (near)
        return err_set(err, ERR_NAME, "unknown field '" SPAN_FMT "'; did you mean '%s'?", SPAN_ARG(name),
                       near);
    return err_set(err, ERR_NAME, "unknown field '" SPAN_FMT "'", SPAN_ARG(name));
}

static bool kind_fits(unsigned kinds, enum sql_json_kind kind)
{
    static const unsigned masks[] = {
        [SQL_JSON_NULL] = NOTHING, [SQL_JSON_BOOLEAN] = FLAG, [SQL_JSON_NUMBER] = NUMBER,
        [SQL_JSON_STRING] = TEXT,  [SQL_JSON_ARRAY] = ARRAY,  [SQL_JSON_OBJECT] = OBJECT,
    };

    return (kinds & (masks[kind] | ANY)) != 0;
}

static const char *kinds_name(unsigned kinds)
{
    switch (kinds) {
    case TEXT: return "a string";
    case TEXT | NOTHING: return "a string or null";
    case FLAG: return "true";
    case NUMBER: return "a number";
    case NUMBER | TEXT: return "0, 1 or their names";
    case OBJECT: return "an object";
    case ARRAY: return "an array";
    default: return "an object or an array";
    }
}

static int take_member(struct test_case *test, struct span name, const struct sql_json *item, struct err *err)
{
    int index = field_find(name, err);

    if (index < 0)
        return -1;
    const struct field *field = &fields[index];
    if (test->has[index])
        return err_set(err, ERR_VALUE, "'%s' is given twice", field->name);
    if (!kind_fits(field->kinds, item->kind))
        return err_set(err, ERR_VALUE, "'%s' should be %s, and is %s", field->name, kinds_name(field->kinds),
                       sql_json_kind_name(item->kind));
    if ((field->kinds & FLAG) && !span_is(item->text, "true"))
        return err_set(err, ERR_VALUE, "'%s' can only be true; leave it out otherwise", field->name);
    if (field->kinds == (TEXT | NOTHING) && item->kind == SQL_JSON_NULL)
        return 0; /* the same as leaving it out */
    test->has[index] = true;
    test->json[index] = *item;
    if (item->kind == SQL_JSON_STRING && !sql_json_text(item, &test->arena, &test->text[index]))
        return err_memory(err);
    return 0;
}

/* Reads on after a mistake, so that the case's id is known whatever is wrong with it. */
static int take_members(const struct sql_json *object, struct test_case *test, struct err *err)
{
    struct sql_json name, item;
    struct sql_json_walk walk = sql_json_walk(object);
    struct span text;
    struct err later;
    int status = 0;

    while (sql_json_next(&walk, &name, &item)) {
        if (!sql_json_text(&name, &test->arena, &text))
            return err_memory(err);
        if (take_member(test, text, &item, status ? &later : err))
            status = -1;
    }
    return status;
}

static int take_numbers(struct test_case *test, struct err *err)
{
    char text[64];
    char *end;

    if (test->has[CASE_tolerance]) {
        (void)snprintf(text, sizeof text, SPAN_FMT, SPAN_ARG(test->json[CASE_tolerance].text));
        test->tolerance = strtod(text, &end);
        if (*end || !(test->tolerance >= 0 && test->tolerance < 1))
            return err_set(err, ERR_VALUE, "'tolerance' should be a number from 0 to 1");
    }
    if (test->has[CASE_now]) {
        (void)snprintf(text, sizeof text, SPAN_FMT, SPAN_ARG(test->json[CASE_now].text));
        errno = 0;
        test->now_ms = strtoll(text, &end, 10);
        if (*end || errno)
            return err_set(err, ERR_VALUE, "'now' should be a whole number of milliseconds since 1970");
    }
    if (test->has[CASE_sqlVersion] && !sql_version_parse(test->text[CASE_sqlVersion], &test->version))
        return err_set(err, ERR_VALUE,
                       "'sqlVersion' should be 2016-03-23 or 2015-10-08, and is '" SPAN_FMT "'",
                       SPAN_ARG(test->text[CASE_sqlVersion]));
    return 0;
}

/* The one of `list` that is there; CASE_FIELD_COUNT: none. -1 with `err` for two. */
static int only_one(const struct test_case *test, const enum case_field *list, size_t count, struct err *err)
{
    int found = CASE_FIELD_COUNT;

    for (size_t i = 0; i < count; i++) {
        if (!test->has[list[i]])
            continue;
        if (found != CASE_FIELD_COUNT)
            return err_set(err, ERR_VALUE, "'%s' and '%s' contradict each other", fields[found].name,
                           fields[list[i]].name);
        found = (int)list[i];
    }
    return found;
}

static int needs(const struct test_case *test, enum case_field field, enum case_field other, struct err *err)
{
    if (!test->has[field] || test->has[other])
        return 0;
    return err_set(err, ERR_VALUE, "'%s' needs '%s'", fields[field].name, fields[other].name);
}

static int check_expectations(const struct test_case *test, struct err *err)
{
    static const enum case_field outcomes[] = {CASE_expect,      CASE_expectText,   CASE_expectBase64,
                                               CASE_expectMatch, CASE_expectString, CASE_expectStringMatch,
                                               CASE_noMatch,     CASE_error};
    static const enum case_field beside_records[] = {CASE_expectRecords, CASE_expectString,
                                                     CASE_expectStringMatch, CASE_noMatch, CASE_error};
    int outcome = only_one(test, outcomes, sizeof outcomes / sizeof *outcomes, err);

    if (outcome < 0 ||
        only_one(test, beside_records, sizeof beside_records / sizeof *beside_records, err) < 0)
        return -1;
    if (outcome == CASE_FIELD_COUNT && !test->has[CASE_expectRecords])
        return err_set(
            err, ERR_VALUE,
            "nothing is expected: one of expect, expectText, expectBase64, expectMatch, expectString, "
            "expectStringMatch, expectRecords, noMatch, error is needed");
    if (test->has[CASE_template] && (outcome < CASE_expectString || outcome == CASE_expectRecords))
        return err_set(err, ERR_VALUE,
                       "'template' and '%s' contradict each other: expectString is what it gives",
                       outcome == CASE_FIELD_COUNT ? "expectRecords" : fields[outcome].name);
    if (needs(test, CASE_expectString, CASE_template, err) ||
        needs(test, CASE_expectStringMatch, CASE_template, err) ||
        needs(test, CASE_expectRecords, CASE_rule, err) || needs(test, CASE_tolerance, CASE_expect, err))
        return -1;
    if (!test->has[CASE_topic] && !test->has[CASE_error])
        return err_set(err, ERR_VALUE, "'topic' is missing");
    return 0;
}

static int check(const struct test_case *test, struct err *err)
{
    static const enum case_field statements[] = {CASE_sql, CASE_rule};
    static const enum case_field payloads[] = {CASE_payload, CASE_payloadText, CASE_payloadBase64};
    int statement = only_one(test, statements, 2, err);

    if (statement < 0 || only_one(test, payloads, 3, err) < 0)
        return -1;
    if (statement == CASE_FIELD_COUNT && !test->has[CASE_template])
        return err_set(err, ERR_VALUE, "nothing to test: 'sql', 'rule' or 'template' is needed");
    return check_expectations(test, err);
}

int case_read(struct span line, struct test_case *test, struct err *err)
{
    struct sql_json root;
    struct err inner = {0};

    *test = (struct test_case){.version = SQL_2016_03_23};
    arena_init(&test->arena, CASE_MEMORY);
    if (sql_json_read(line, &root, &inner)) {
        const char *why = strstr(inner.text, ": "); /* the reader speaks of a payload */

        return err_set(err, ERR_SYNTAX, "the line is not JSON, column %u%s", inner.pos.column,
                       why ? why : "");
    }
    if (root.kind != SQL_JSON_OBJECT)
        return err_set(err, ERR_SYNTAX, "a case is an object, and this is %s", sql_json_kind_name(root.kind));
    return take_members(&root, test, err) || take_numbers(test, err) || check(test, err) ? -1 : 0;
}

void case_done(struct test_case *test)
{
    arena_done(&test->arena);
}
