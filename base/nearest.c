#include "base/nearest.h"

enum { WORD_MAX = 48 };

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance. */
static size_t distance(struct span a, struct span b)
{
    size_t rows[3][WORD_MAX + 1];

    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t cost = lower(a.data[i - 1]) != lower(b.data[j - 1]);

            row[j] = least(least(row[j - 1], above[j]) + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && lower(a.data[i - 1]) == lower(b.data[j - 2]) &&
                lower(a.data[i - 2]) == lower(b.data[j - 1]))
                row[j] = least(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

const char *nearest(struct span word, nearest_name *name, const void *context)
{
    size_t best = least(word.size / 3 > 0 ? word.size / 3 : 1, 4) + 1;
    const char *found = NULL;

    if (word.size == 0 || word.size > WORD_MAX)
        return NULL;
    for (size_t i = 0;; i++) {
        const char *known = name(context, i);

        if (!known)
            return found;
        size_t size = strlen(known);
        if (size > WORD_MAX || size + best <= word.size || word.size + best <= size)
            continue;
        size_t d = distance(word, (struct span){known, size});
        if (d < best) {
            best = d;
            found = known;
        }
    }
}
