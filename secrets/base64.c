/* base64.c - bytes that a store keeps as base64. */
#include "backend.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct wiped *base64_secret(struct span text, struct err *err)
{
    size_t room = text.size / 4 * 3 + 4;
    unsigned char *bytes = text.size < INT_MAX / 2 ? malloc(room) : NULL;
    EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
    struct wiped *out = NULL;
    int wrote = 0, tail = 0;

    if (!bytes || !context) {
        err_memory(err);
    } else {
        EVP_DecodeInit(context);
        if (EVP_DecodeUpdate(context, bytes, &wrote, (const unsigned char *)text.data, (int)text.size) < 0 ||
            EVP_DecodeFinal(context, bytes + wrote, &tail) < 0 || wrote + tail == 0)
            err_set(err, ERR_VALUE, "its member SecretBinary is not base64");
        else if (!(out = wiped_new((struct span){(const char *)bytes, (size_t)(wrote + tail)})))
            err_memory(err);
    }
    EVP_ENCODE_CTX_free(context);
    if (bytes)
        wipe(bytes, room);
    free(bytes);
    return out;
}
