/* memory_scan.h - is a text anywhere in our own memory? For tests of what becomes of secrets.
 *
 * The text is given and kept with every bit turned over, so that the test does not find itself. */
#ifndef TESTS_MEMORY_SCAN_H
#define TESTS_MEMORY_SCAN_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Mappings that hold it. `seen` (may be NULL) is called for each with its line of /proc/self/smaps' flags. */
typedef void memory_seen(void *context, const char *mapping, const char *flags);

enum { SCAN_PIECE = 1 << 16, SCAN_MAPPING_MOST = 1 << 28 };

static bool scan_piece(const unsigned char *bytes, size_t size, const unsigned char *turned, size_t length)
{
    for (size_t i = 0; i + length <= size; i++) {
        const unsigned char *next = memchr(bytes + i, turned[0] ^ 0xff, size - length + 1 - i);
        size_t k = 1;

        if (!next)
            return false;
        i = (size_t)(next - bytes);
        while (k < length && (bytes[i + k] ^ turned[k]) == 0xff)
            k++;
        if (k == length)
            return true;
    }
    return false;
}

/* Our own buffer is read over by the next piece, and cleared at the end; what it has is not counted. */
static bool scan_mapping(int memory, unsigned long from, unsigned long to, const unsigned char *turned,
                         size_t length)
{
    static unsigned char piece[SCAN_PIECE];
    const unsigned long own = (unsigned long)(size_t)piece;
    bool found = false;

    for (unsigned long at = from; at < to && !found; at += SCAN_PIECE - length) {
        size_t size = to - at < SCAN_PIECE ? to - at : SCAN_PIECE;

        if (at < own + sizeof piece && at + size > own)
            continue;
        ssize_t got = pread(memory, piece, size, (off_t)at);
        found = got > 0 && scan_piece(piece, (size_t)got, turned, length);
    }
    memset(piece, 0, sizeof piece);
    return found;
}

static inline size_t memory_scan(const unsigned char *turned, size_t length, memory_seen *seen, void *context)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[512], mapping[512] = "";
    char access[8] = "";
    unsigned long from = 0, to = 0, start, end, kilobytes, used = 0;
    size_t count = 0;

    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3) {
            from = start;
            to = end;
            used = 0;
            (void)snprintf(mapping, sizeof mapping, "%s", line);
        } else if (sscanf(line, "Rss: %lu", &kilobytes) == 1 || sscanf(line, "Swap: %lu", &kilobytes) == 1) {
            used += kilobytes; /* what was never touched, most of a sanitizer's own, takes minutes to read */
        } else if (strncmp(line, "VmFlags:", 8) == 0 && access[0] == 'r' && used > 0 &&
                   to - from < SCAN_MAPPING_MOST && scan_mapping(memory, from, to, turned, length)) {
            count++;
            if (seen)
                seen(context, mapping, line);
        }
    }
    if (maps)
        (void)fclose(maps);
    (void)close(memory);
    return count;
}

#endif
