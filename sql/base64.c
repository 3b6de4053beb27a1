#include "base64.h"

#include <limits.h>
#include <openssl/evp.h>

bool base64_encode(struct span bytes, struct arena *arena, struct span *out)
{
    static const unsigned char none[1];

    if (bytes.size > INT_MAX / 4 * 3 - 3)
        return false;
    unsigned char *text = arena_alloc(arena, (bytes.size + 2) / 3 * 4 + 1); /* EVP_EncodeBlock terminates */
    if (!text)
        return false;
    int size = EVP_EncodeBlock(text, bytes.data ? (const unsigned char *)bytes.data : none, (int)bytes.size);

    *out = (struct span){(char *)text, (size_t)size};
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

enum base64 base64_decode(struct span text, struct arena *arena, struct span *out)
{
    size_t size = text.size;

    if (size > INT_MAX - 4)
        return BASE64_LIMIT;
    for (int i = 0; i < 2 && size > 0 && text.data[size - 1] == '='; i++)
        size--;
    for (size_t i = 0; i < size; i++)
        if (!is_letter(text.data[i]))
            return BASE64_INVALID;
    if (size % 4 == 1 || (text.size > size && text.size % 4 != 0))
        return BASE64_INVALID;

    /* EVP_DecodeBlock skips white space and line ends, which the loop above has ruled out, and wants whole
     * quads: the last one is completed here. It counts padding as zero bytes. */
    size_t quads = size / 4 * 4, rest = size - quads;
    unsigned char *bytes = arena_alloc(arena, size / 4 * 3 + 3);

    if (!bytes)
        return BASE64_LIMIT;
    size_t done = 0;
    if (quads > 0)
        done = (size_t)EVP_DecodeBlock(bytes, (const unsigned char *)text.data, (int)quads);
    if (rest > 0) {
        unsigned char last[4] = {'=', '=', '=', '='};

        memcpy(last, text.data + quads, rest);
        (void)EVP_DecodeBlock(bytes + done, last, 4);
        done += rest - 1;
    }
    *out = (struct span){(char *)bytes, done};
    return BASE64_DECODED;
}
