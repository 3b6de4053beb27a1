/* emitter.h - what writes steps, and what emit.c asks of it.
 *
 * After a failure everything goes on and does nothing; emit_finish tells. */
#ifndef SQL_EMITTER_H
#define SQL_EMITTER_H

#include "program.h"

struct emitter {
    struct compile *compile;
    struct step *steps;
    size_t count, room;
    size_t landed; /* the last place that a jump leads to: values before it come from several ways */
    unsigned level, levels;
    bool failed;         /* compile->err is filled */
    struct step nowhere; /* what callers fill in after a failure; never read */
};

/* The step, to be filled in before the next one is emitted. */
struct step *emit(struct emitter *emitter, enum step_op op, struct place place);
/* Memory of the compilation, zeroed; NULL after a failure. */
void *emit_alloc(struct emitter *emitter, size_t size);

/* A jump whose target is not known yet is on a list, which runs through the steps' targets: NO_JUMP ends it.
 */
#define NO_JUMP SIZE_MAX

struct step *emit_jump(struct emitter *emitter, enum step_op op, struct place place, size_t *list);
/* All jumps of the list lead to `target`. */
void land(struct emitter *emitter, size_t list, size_t target);

/* If the last step works on constants alone, replace them all by its result. What fails (a limit) is left to
 * the message, where it is an error. */
void fold(struct emitter *emitter, size_t pops);

/* The steps, with the height of the stack they need. 0, or -1 with compile->err. */
int emit_finish(struct emitter *emitter, struct code *out);

#endif
