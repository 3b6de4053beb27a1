/* What the start has touched is given back, and nothing is broken by it. */
#include "base/trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* KiB that are resident of mappings of files that nobody may write. */
static long resident(void)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512], rights[8], name[256] = "";
    bool counts = false;
    long sum = 0, more;

    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*x-%*x %7s %*s %*s %*s %255s", rights, name) == 2)
            counts = rights[1] == '-' && name[0] == '/';
        else if (counts && sscanf(line, "Rss: %ld kB", &more) == 1)
            sum += more;
    }
    (void)fclose(file);
    return sum;
}

static volatile const char table[1 << 20] = {1, 2, 3}; /* in the file, not written by anybody */

static void pages_of_files_go_and_come_back(void **state)
{
    long before, after;
    unsigned sum = 0;

    (void)state;
    for (size_t i = 0; i < sizeof table; i += 1024)
        sum += (unsigned char)table[i];
    assert_int_equal(sum, 1);
    before = resident();
    trim_memory();
    after = resident();
    if (after > before - 1000)
        fail_msg("%ld KiB before, %ld after", before, after);
    assert_int_equal(table[0] + table[1] + table[2], 6);
    void *more = malloc(100000);
    assert_non_null(more);
    memset(more, 1, 100000);
    free(more);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(pages_of_files_go_and_come_back)};

    return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
