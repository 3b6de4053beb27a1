/* A hostile JKS store: read or refused, within its limits, and nothing worse. Without a password the digest
 * over the store is not checked, so the fuzzer reaches what is behind it. */
#include "store.h"

#include <assert.h>
#include <openssl/x509.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size}, none = {NULL, 0};
    struct store store = {0};
    struct err err = {0};

    if (store_format(bytes) != STORE_JKS)
        return 0;
    if (store_read(&store, bytes, none, SPAN("keykey"), true, &err) != 0)
        assert(err.text[0] != '\0');
    else
        assert(!store.key || sk_X509_num(store.chain) > 0); /* a key comes with its certificate */
    assert(sk_X509_num(store.trusted) <= STORE_MAX_CERTIFICATES);
    store_done(&store);
    return 0;
}
