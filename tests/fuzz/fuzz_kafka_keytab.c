/* A hostile keytab: every entry within its bounds, names terminated, and an end. */
#include "keytab.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    struct keytab_reader reader;
    struct keytab_entry entry;
    struct err err = {0};
    size_t count = 0;
    int more;

    if (keytab_begin(&reader, bytes, &err) != 0) {
        assert(err.text[0] != '\0');
        return 0;
    }
    while ((more = keytab_next(&reader, &entry, &err)) > 0) {
        assert(strnlen(entry.name, sizeof entry.name) < sizeof entry.name && strchr(entry.name, '@'));
        assert(entry.key.size == 0 ||
               (entry.key.data >= bytes.data && entry.key.data + entry.key.size <= bytes.data + size));
        assert(++count <= size / 4);
    }
    assert(more == 0 || err.text[0] != '\0');
    return 0;
}
