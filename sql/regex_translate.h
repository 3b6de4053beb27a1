/* sql/regex_translate.h - the state of the translator, shared by its two halves: regex.c knows groups and
 * repetitions, regex_atom.c what stands between them. */
#ifndef SQL_REGEX_TRANSLATE_H
#define SQL_REGEX_TRANSLATE_H

#include "regex_read.h"

enum {
    GROUP_DEPTH = 120, /* groups in groups; PCRE2 takes 250, and the exact forms add some */
    REPEATS = 65535,   /* PCRE2's most */
    TEXT = 256 << 10,  /* what a pattern may become; PCRE2 refuses more than 64 KiB of code */
    VARIABLE = -1,     /* a width in characters that is not fixed */
    NO_BRANCH = -2,
};

enum atom {
    ATOM_NONE,   /* nothing that can be repeated */
    ATOM_PLAIN,  /* PCRE2 can repeat it as it stands */
    ATOM_ASSERT, /* an assertion: Java repeats it, PCRE2 wants brackets around it */
};

enum group_kind { GROUP_PLAIN, GROUP_AHEAD, GROUP_BEHIND };

struct frame {
    enum group_kind kind;
    unsigned flags; /* to put back at the end */
    size_t start;   /* in the output */
    int width;      /* of the branches so far, or NO_BRANCH */
    int branch;     /* of the current branch */
    bool forks;     /* has a '|' */
};

struct translate {
    struct regex_read read;
    unsigned forms;
    struct regex_text *out;
    unsigned total; /* capturing groups in the whole pattern, or UINT_MAX on the first pass */
    bool refers;    /* has back references */

    struct frame frames[GROUP_DEPTH];
    int depth;
    enum atom atom; /* what a repetition would apply to */
    size_t start;   /* where it begins in the output */
    int width;
    bool forked; /* it is a group with alternatives, so it can match in several ways */
};

static inline bool refuse(struct translate *t, const char *why)
{
    return regex_refuse(&t->read, why);
}

static inline void put(struct translate *t, const char *text)
{
    buf_text(&t->out->text, text);
}

/* ---- regex_atom.c ---- */

/* The last atom is complete and cannot be repeated any more. */
void regex_settle(struct translate *t);

bool atom_character(struct translate *t, int32_t code);
/* Takes `set`; NULL: it could not be made, and `why` or `no_memory` says so. */
bool atom_set(struct translate *t, USet *set);
void atom_dot(struct translate *t);
void atom_caret(struct translate *t);
/* `lines`: before every line end, else before one at the end of the text. */
void atom_dollar(struct translate *t, bool lines);
/* `at` is behind the backslash. */
bool atom_escape(struct translate *t);

/* The letters and digits up to `>`; `at` is then behind it. */
bool group_read_name(struct translate *t, struct span *name);
const struct regex_name *group_find_name(const struct regex_text *text, struct span name);

#endif
