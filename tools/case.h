/* tools/case.h - one rule test: a line of a case file, its fields checked against each other.
 *
 * The format is public: docs/testing-rules.md. Values stay as spans of the line, so that numbers keep every
 * digit. */
#ifndef TOOLS_CASE_H
#define TOOLS_CASE_H

#include "base/err.h"
#include "sql/json.h"
#include "sql/sql.h"

/* FIELD(name, kinds that its value may have). */
#define CASE_FIELDS(FIELD)                                                                                   \
    FIELD(id, TEXT)                                                                                          \
    FIELD(source, TEXT)                                                                                      \
    FIELD(sql, TEXT)                                                                                         \
    FIELD(sqlVersion, TEXT)                                                                                  \
    FIELD(template, TEXT)                                                                                    \
    FIELD(rule, TEXT)                                                                                        \
    FIELD(ruleName, TEXT)                                                                                    \
    FIELD(topic, TEXT)                                                                                       \
    FIELD(clientId, TEXT | NOTHING)                                                                          \
    FIELD(payload, ANY)                                                                                      \
    FIELD(payloadText, TEXT)                                                                                 \
    FIELD(payloadBase64, TEXT)                                                                               \
    FIELD(userProperties, OBJECT | ARRAY)                                                                    \
    FIELD(contentType, TEXT)                                                                                 \
    FIELD(responseTopic, TEXT)                                                                               \
    FIELD(correlationDataBase64, TEXT)                                                                       \
    FIELD(payloadFormat, NUMBER | TEXT)                                                                      \
    FIELD(secrets, OBJECT)                                                                                   \
    FIELD(now, NUMBER)                                                                                       \
    FIELD(expect, ANY)                                                                                       \
    FIELD(expectText, TEXT)                                                                                  \
    FIELD(expectBase64, TEXT)                                                                                \
    FIELD(expectMatch, OBJECT)                                                                               \
    FIELD(expectString, TEXT)                                                                                \
    FIELD(expectStringMatch, TEXT)                                                                           \
    FIELD(expectRecords, ARRAY)                                                                              \
    FIELD(noMatch, FLAG)                                                                                     \
    FIELD(error, FLAG)                                                                                       \
    FIELD(tolerance, NUMBER)

enum case_field {
#define FIELD(name, kinds) CASE_##name,
    CASE_FIELDS(FIELD)
#undef FIELD
        CASE_FIELD_COUNT
};

struct test_case {
    bool has[CASE_FIELD_COUNT];
    struct sql_json json[CASE_FIELD_COUNT]; /* as written in the line, which must outlive the case */
    struct span text[CASE_FIELD_COUNT];     /* of string fields: the characters */
    struct arena arena;                     /* what lives as long as the case */
    double tolerance;
    int64_t now_ms; /* when has[CASE_now] */
    enum sql_version version;
};

/* Read one line. 0, or -1 with `err`: no JSON object, unknown fields (with the nearest known), values of the
 * wrong kind, fields that contradict each other. `id` is set whenever it could be read. */
int case_read(struct span line, struct test_case *test, struct err *err);
void case_done(struct test_case *test);

#endif
