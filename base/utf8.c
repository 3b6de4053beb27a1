#include "base/utf8.h"

size_t utf8_decode(struct span text, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)text.data;

    *code = 0;
    if (text.size == 0)
        return 0;
    if (s[0] < 0x80) {
        *code = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value = s[0] & (0x7fu >> length);

    if (s[0] < 0xc2 || s[0] > 0xf4 || text.size < length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3fu);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return length;
}

size_t utf8_valid(struct span text)
{
    size_t i = 0;

    while (i < text.size) {
        uint64_t word;

        while (text.size - i >= sizeof word) { /* eight ASCII bytes at a time */
            memcpy(&word, text.data + i, sizeof word);
            if (word & UINT64_C(0x8080808080808080))
                break;
            i += sizeof word;
        }
        if (i == text.size)
            break;
        uint32_t code;
        size_t step = utf8_decode((struct span){text.data + i, text.size - i}, &code);

        if (step == 0)
            break;
        i += step;
    }
    return i;
}

size_t utf8_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code >= 0xd800 && code <= 0xdfff)
        return 0;
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t utf8_length(struct span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

size_t utf8_offset(struct span text, size_t index)
{
    size_t i = 0;

    for (; i < text.size; i++)
        if (((unsigned char)text.data[i] & 0xc0) != 0x80 && index-- == 0)
            break;
    return i;
}
