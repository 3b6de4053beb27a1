/* A hostile PKCS#12 store: read or refused, in bounded time. */
#include "store.h"

#include <assert.h>
#include <openssl/x509.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size}, none = {NULL, 0};
    const struct span passwords[] = {none, SPAN("store")};

    if (store_format(bytes) != STORE_PKCS12)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        struct store store = {0};
        struct err err = {0};

        if (store_read(&store, bytes, passwords[i], none, true, &err) != 0)
            assert(err.text[0] != '\0');
        else
            assert(!store.key || sk_X509_num(store.chain) > 0);
        assert(sk_X509_num(store.trusted) <= STORE_MAX_CERTIFICATES);
        store_done(&store);
    }
    return 0;
}
