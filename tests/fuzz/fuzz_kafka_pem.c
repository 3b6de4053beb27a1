/* Text that may be a store: PEM, base64 of something, or neither. */
#include "store.h"

#include <assert.h>
#include <openssl/x509.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store store = {0};
    struct err err = {0};
    struct wiped *bytes = store_bytes((struct span){(const char *)data, size}, &err);

    if (!bytes) {
        assert(err.text[0] != '\0');
        return 0;
    }
    enum store_format format = store_format(wiped_reveal(bytes));
    if (format == STORE_PEM || format == STORE_DER) {
        if (store_read(&store, wiped_reveal(bytes), (struct span){NULL, 0}, SPAN("key"), true, &err) != 0)
            assert(err.text[0] != '\0');
        store_done(&store);
    }
    wiped_free(bytes);
    return 0;
}
