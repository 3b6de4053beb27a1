/* allow.c - which ids a message may compute. */
#include "secrets/secrets.h"

static bool star_takes(char c)
{
    return c != '/' && c != ':' && (unsigned char)c >= 0x20 && c != 0x7f;
}

/* Backtracking to the last star alone is enough: a star takes no '/', so the steps are matched one by one,
 * and within a step the earliest place of what stands between two stars leaves the most to the later one. */
static bool matches(const char *pattern, struct span id)
{
    const char *after_star = NULL;
    size_t at = 0, star_at = 0;

    while (at < id.size || *pattern) {
        if (*pattern == '*' && at < id.size && star_takes(id.data[at])) {
            after_star = ++pattern;
            star_at = ++at;
        } else if (*pattern && *pattern != '*' && at < id.size && *pattern == id.data[at]) {
            pattern++;
            at++;
        } else if (after_star && star_at < id.size && star_takes(id.data[star_at])) {
            pattern = after_star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    return true;
}

bool secrets_allowed(const char *const *patterns, size_t count, struct span id)
{
    for (size_t i = 0; i < count; i++)
        if (matches(patterns[i], id))
            return true;
    return false;
}
