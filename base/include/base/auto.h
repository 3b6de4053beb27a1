/* base/auto.h - cleanup written beside the acquisition.
 *
 *     AUTO(rule_drop) struct rule *rule = NULL;   dropped at every exit of the scope ...
 *     return TAKE(rule);                          ... unless the caller takes it
 *
 * GNU C: the cleanup attribute passes the address of the variable to `fn`. */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <stdlib.h>

#define AUTO(fn) __attribute__((cleanup(fn)))

/* The pointer's value; the variable is NULL from here on, so its cleanup does nothing. */
#define TAKE(pointer)                                                                                        \
    __extension__({                                                                                          \
        __typeof__(pointer) taken_ = (pointer);                                                              \
        (pointer) = NULL;                                                                                    \
        taken_;                                                                                              \
    })

/* Define `static void NAME_drop(TYPE *pointer)` for AUTO from a free function that accepts NULL. */
#define DEFINE_DROP(name, type, free_fn)                                                                     \
    static inline void name##_drop(type *pointer)                                                            \
    {                                                                                                        \
        free_fn(*pointer);                                                                                   \
    }

static inline void free_drop(void *pointer)
{
    void *memory;

    __builtin_memcpy(&memory, pointer, sizeof memory);
    free(memory);
}

#endif
