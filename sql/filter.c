/* filter.c - topic filters: MQTT 3.1.1, 4.7, but `a/#` does not take `a` (AWS; docs/sql.md, A16). */
#include "sql/sql.h"

#include "base/utf8.h"

enum { FILTER_MAX = 65535 };

/* A filter or topic, taken level by level. `rest.data` is NULL behind the last one: "a/" has two levels. */
static bool next_level(struct span *rest, struct span *level)
{
    const char *slash;

    if (!rest->data)
        return false;
    slash = rest->size ? memchr(rest->data, '/', rest->size) : NULL;
    *level = (struct span){rest->data, slash ? (size_t)(slash - rest->data) : rest->size};
    if (slash)
        *rest = (struct span){slash + 1, rest->size - level->size - 1};
    else
        *rest = (struct span){NULL, 0};
    return true;
}

static bool is_wildcard(struct span level)
{
    return level.size == 1 && (*level.data == '+' || *level.data == '#');
}

/* The first wildcard from `at` on; there is one. */
static size_t wildcard_at(struct span filter, size_t at)
{
    while (filter.data[at] != '+' && filter.data[at] != '#')
        at++;
    return at;
}

int sql_filter_check(struct span filter, struct err *err)
{
    struct span rest = filter, level;
    size_t valid = utf8_valid(filter);
    const char *nul;

    if (filter.size == 0)
        return err_set(err, ERR_VALUE, "the topic filter is empty");
    nul = memchr(filter.data, '\0', filter.size);
    if (filter.size > FILTER_MAX)
        return err_set(err, ERR_LIMIT, "the topic filter is longer than %d bytes", FILTER_MAX);
    if (valid < filter.size || nul) {
        (void)err_set(err, ERR_VALUE, "the topic filter holds what no topic may hold: %s",
                      valid < filter.size ? "invalid UTF-8" : "the character NUL");
        err_mark(err, filter, valid < filter.size ? valid : (size_t)(nul - filter.data), 1);
        return -1;
    }
    while (next_level(&rest, &level)) {
        size_t at = (size_t)(level.data - filter.data);

        if (level.size == 1 && *level.data == '#' && rest.data) {
            (void)err_set(err, ERR_VALUE,
                          "`#` in a topic filter stands at the end alone: it takes all levels that "
                          "follow");
            err_mark(err, filter, at, 1);
            return -1;
        }
        if (!is_wildcard(level) && level.size &&
            (memchr(level.data, '+', level.size) || memchr(level.data, '#', level.size))) {
            (void)err_set(
                err, ERR_VALUE,
                "a wildcard in a topic filter takes a whole level: between two `/` stands `+` or `#` "
                "alone");
            err_mark(err, filter, wildcard_at(filter, at), 1);
            return -1;
        }
    }
    return 0;
}

bool sql_filter_matches(struct span filter, struct span topic)
{
    struct span wanted, level;

    if (filter.size == 0 || topic.size == 0)
        return false;
    if (*topic.data == '$' && (*filter.data == '+' || *filter.data == '#'))
        return false;
    while (next_level(&filter, &wanted)) {
        if (!next_level(&topic, &level))
            return false; /* also for `#`: it takes one level at least */
        if (!is_wildcard(wanted)) {
            if (!span_equal(wanted, level))
                return false;
        } else if (*wanted.data == '#') {
            return true;
        }
    }
    return topic.data == NULL;
}

bool sql_filters_overlap(struct span a, struct span b)
{
    struct span left, right;
    bool first = true;

    for (;; first = false) {
        bool has_left = next_level(&a, &left), has_right = next_level(&b, &right);

        if (!has_left || !has_right)
            return has_left == has_right;
        bool wild_left = is_wildcard(left), wild_right = is_wildcard(right);

        if (!wild_left && !wild_right) {
            if (!span_equal(left, right))
                return false;
            continue;
        }
        /* A leading wildcard takes no topic that starts with $. */
        if (first && wild_left != wild_right) {
            struct span name = wild_left ? right : left;

            if (name.size && *name.data == '$')
                return false;
        }
        if ((wild_left && *left.data == '#') || (wild_right && *right.data == '#'))
            return true; /* the other has a level here, or `+`, or `#` as well */
    }
}
