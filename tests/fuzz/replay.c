/* replay.c - a fuzz target without libFuzzer: run it over files and folders, so that the corpus is an
 * ordinary test. */
#include "fuzz.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static size_t replayed;

static int replay(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(info.st_mode)) {
        struct dirent **entries;
        int count = scandir(path, &entries, NULL, alphasort), failed = 0;

        for (int i = 0; i < count; i++) {
            char inner[4096];

            if (entries[i]->d_name[0] != '.') {
                (void)snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
                failed |= replay(inner);
            }
            free(entries[i]);
        }
        free(entries);
        return failed || count < 0;
    }

    FILE *file = fopen(path, "rb");
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size ? size : 1); /* exact, so that ASan sees one byte too many */

    if (!file || !data || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%zu inputs replayed\n", replayed);
    return failed || replayed == 0;
}
