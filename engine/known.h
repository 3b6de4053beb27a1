/* known.h - a short list of secrets that are at hand, by what was asked for. */
#ifndef ENGINE_KNOWN_H
#define ENGINE_KNOWN_H

#include "secrets/secrets.h"
#include "sql/sql.h"

struct known {
    struct secret_query query; /* the spans point into `text` */
    enum sql_secret_type type;
    char *text;
    struct wiped *value; /* as get_secret gives it: base64 for BINARY. NULL: not had yet */
};

/* All zero: empty. */
struct known_list {
    struct known *items;
    size_t count, room;
};

/* Searched from end to end. NULL: not in it. Valid until the next known_add. */
struct known *known_find(const struct known_list *list, const struct sql_secret_query *query);
/* A new one, without a value. NULL with `err`. */
struct known *known_add(struct known_list *list, const struct sql_secret_query *query, struct err *err);
/* Take the value, and keep it as get_secret gives it. 0, or -1 with `err`: memory is out. */
int known_set(struct known *item, struct wiped *value, struct err *err);
/* Forget the one that was added last. */
void known_pop(struct known_list *list);
/* Empty it, values wiped; its room is kept. */
void known_clear(struct known_list *list);
void known_done(struct known_list *list);

#endif
