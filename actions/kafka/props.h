/* props.h - the table of client properties (props.def) and how a name is found in it. */
#ifndef KAFKA_PROPS_H
#define KAFKA_PROPS_H

#include "base/span.h"

#include <stdbool.h>

enum prop_id {
#define PROP(id, name, rdkafka, kind, fallback, values, help) PROP_##id,
#include "props.def"
    PROP_COUNT
};

enum prop_kind {
    KIND_TEXT,
    KIND_NAME, /* who we are: text that is shown, and may be a secret all the same */
    KIND_SECRET,
    KIND_BOOL,
    KIND_NUMBER,
    KIND_CHOICE,
    KIND_PATH,
    KIND_STORE, /* bytes: base64, PEM or binary, or a file that holds them */
};

/* What a spelling does to its value. */
enum prop_form {
    FORM_PLAIN,
    FORM_FILE,            /* a STORE's value is the path of a file */
    FORM_INVERTED,        /* a BOOL's value means the opposite */
    FORM_CHECK_HOSTNAME,  /* true is https, false is none */
    FORM_BYTES_TO_KBYTES, /* buffer.memory */
    FORM_JAVA_BUFFER,     /* -1 means the system's, which is 0 here */
};

struct prop {
    const char *name;
    const char *rdkafka; /* "" when librdkafka does not get the value as it is */
    enum prop_kind kind;
    const char *fallback; /* "" none */
    const char *values;   /* NUMBER: "low..high"; CHOICE: "a|b|other=a" */
    const char *help;
};

extern const struct prop props[PROP_COUNT];

enum prop_fate { PROP_KNOWN, PROP_IGNORED, PROP_REFUSED, PROP_UNKNOWN };

struct prop_match {
    enum prop_fate fate;
    enum prop_id id;     /* KNOWN */
    enum prop_form form; /* KNOWN */
    const char *note;    /* KNOWN: "" or a remark; IGNORED, REFUSED: why; UNKNOWN: the nearest name or NULL */
};

/* What is meant by `name`: letters must match in case as well. */
struct prop_match prop_find(struct span name);

/* The i-th known spelling, NULL past the last: all that works, for the manual and for "did you mean". */
const char *prop_spelling(size_t index, enum prop_id *id);

/* The choice that `value` stands for ("-1" -> "all"), case ignored, in static memory; data NULL when it is
 * none of them. */
struct span prop_choice(const struct prop *prop, struct span value);

/* The choices as a person reads them: "all, 1 or 0". Into `out`, cut at `room`. */
void prop_choices(const struct prop *prop, char *out, size_t room);

/* `value` as a number of this property's range. */
bool prop_number(const struct prop *prop, struct span value, long long *number);

#endif
