/* Two filters and a topic, separated by newlines: matching and overlapping agree with each other. */
#include "fuzz.h"

#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span part[3] = {{NULL, 0}}, rest = {(const char *)data, size};
    struct err err = {0};

    for (int i = 0; i < 3; i++) {
        const char *end = i < 2 && rest.size ? memchr(rest.data, '\n', rest.size) : NULL;

        part[i] = (struct span){rest.data, end ? (size_t)(end - rest.data) : rest.size};
        rest = end ? (struct span){end + 1, rest.size - part[i].size - 1} : (struct span){NULL, 0};
    }
    for (int i = 0; i < 2; i++) {
        if (sql_filter_check(part[i], &err) < 0) {
            CHECK(err.text[0] != '\0');
            return 0;
        }
    }
    bool overlap = sql_filters_overlap(part[0], part[1]);

    CHECK(overlap == sql_filters_overlap(part[1], part[0]));
    if (sql_filter_matches(part[0], part[2]) && sql_filter_matches(part[1], part[2]))
        CHECK(overlap);
    /* A filter without wildcards is a topic: it overlaps with what takes it. */
    if (!memchr(part[0].data, '+', part[0].size) && !memchr(part[0].data, '#', part[0].size))
        CHECK(overlap == sql_filter_matches(part[1], part[0]));
    return 0;
}
