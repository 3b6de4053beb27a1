/* options.h - how backends read their options. */
#ifndef SECRETS_OPTIONS_H
#define SECRETS_OPTIONS_H

#include "backend.h"

/* A backend that is being opened. Every function below returns 0, or -1 with `err` placed at the option. */
struct opening {
    const struct secrets_config *config;
    const struct option_group *from;
    struct err *err;
};

/* The option as written; NULL: there is none. */
const char *opening_text(const struct opening *opening, const char *name);

/* Refuse the option, or the backend where it has none of that name. Returns -1. */
int opening_wrong(const struct opening *opening, const char *name, const char *text);

/* A copy of the option, or of `standard`, which may be NULL: then so is `*out`. */
int opening_copy(const struct opening *opening, const char *name, const char *standard, char **out);
/* The same of a path: relative ones start in the configuration's folder. */
int opening_path(const struct opening *opening, const char *name, const char *standard, char **out);
/* "true" or "false", which it is when there is none. */
int opening_switch(const struct opening *opening, const char *name, bool *out);

/* The address of a server: https, or http to this machine, or to others where the switch `permit` (NULL:
 * there is none) is on. Slashes at its end are taken off. */
int opening_address(const struct opening *opening, const char *name, const char *permit, char *address);

#endif
