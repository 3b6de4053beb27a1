/* tools/case_run.h - a rule test, done. */
#ifndef TOOLS_CASE_RUN_H
#define TOOLS_CASE_RUN_H

#include "case.h"
#include "rules/rule.h"

struct verdict {
    bool passed;
    struct buf want, got; /* of a failure: what was expected, what came; owned */
    struct buf missing; /* the sentence that names a function which does not exist; empty: none was missed */
};

/* Run `test`. `folder` is where the case file lies: `rule` is relative to it. */
void case_run(const struct test_case *test, const char *folder, struct verdict *verdict);
void verdict_done(struct verdict *verdict);

/* ---- want and got (case_compare.c, case_records.c): true if they agree, else `verdict` says both ---- */

bool compare_payload(const struct test_case *test, struct span got, struct verdict *verdict);
bool compare_text(const struct test_case *test, const struct sql_text *got, struct verdict *verdict);
bool compare_records(const struct test_case *test, const struct rule *rule, struct sql_scope *scope,
                     struct span payload, struct verdict *verdict);
/* The rule that the case names; the caller frees it. NULL with `err`: it is refused. */
struct rule *case_rule(const struct test_case *test, const char *folder, struct err *err);
/* Bytes as people read them: JSON and text as they are, other bytes in base64, long ones cut. */
void show_bytes(struct span bytes, struct buf *out);

#endif
