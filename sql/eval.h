/* eval.h - what the evaluator's parts share: the loop (eval.c), operators (operate.c), Objects (record.c).
 *
 * What computes returns CONVERTED with the result in `*out`, or CONVERT_LIMIT when memory is short;
 * `*out` is Undefined where the language says so. */
#ifndef SQL_EVAL_H
#define SQL_EVAL_H

#include "program.h"

/* An operator of two operands: `op` is between STEP_OR and STEP_REMAINDER, without NOT. */
enum convert operate(enum step_op op, const struct run *run, const struct value *a, const struct value *b,
                     struct value *out);
enum convert operate_not(const struct run *run, const struct value *a, struct value *out);
enum convert operate_cast(enum cast_type type, const struct run *run, const struct value *a,
                          struct value *out);

/* An Object of `shape->count` values: later ones replace earlier ones of the same name, in place. 0, or -1
 * with `err`: memory or steps. */
int record_build(const struct shape *shape, const struct run *run, const struct value *values,
                 struct value *out, struct err *err);

#endif
