#include "keytab.h"

/* Fields of one entry, which is bounded by its own length. */
struct fields {
    struct span rest;
    bool short_of;
};

static struct span take(struct fields *in, size_t size)
{
    struct span bytes = {in->rest.data, size};

    if (size > in->rest.size) {
        in->short_of = true;
        return (struct span){NULL, 0};
    }
    in->rest.data += size;
    in->rest.size -= size;
    return bytes;
}

static uint32_t number(struct fields *in, size_t size)
{
    struct span bytes = take(in, size);
    uint32_t value = 0;

    for (size_t i = 0; i < bytes.size; i++)
        value = value << 8 | (unsigned char)bytes.data[i];
    return value;
}

static int broken(struct err *err)
{
    return err_set(err, ERR_SYNTAX, "the keytab is cut off or damaged");
}

int keytab_begin(struct keytab_reader *reader, struct span bytes, struct err *err)
{
    if (bytes.size < 2 || bytes.data[0] != 5)
        return err_set(err, ERR_SYNTAX, "this is no keytab");
    if (bytes.data[1] != 2)
        return err_set(err, ERR_UNSUPPORTED, "a keytab of version 0x05%02x; 0x0502 is known",
                       (unsigned)(unsigned char)bytes.data[1]);
    reader->rest = (struct span){bytes.data + 2, bytes.size - 2};
    return 0;
}

/* Append `part` as krb5_parse_name wants it; -1 when it does not fit or has a character that has no escape.
 */
static int put_escaped(char *out, size_t *size, struct span part)
{
    for (size_t i = 0; i < part.size; i++) {
        char c = part.data[i];
        const char *at = c ? strchr("/@\\", c) : NULL;

        if (*size + 3 > KEYTAB_NAME_MAX || (unsigned char)c < ' ')
            return -1;
        if (at)
            out[(*size)++] = '\\';
        out[(*size)++] = c;
    }
    return 0;
}

static int read_name(struct fields *in, struct keytab_entry *entry)
{
    uint32_t count = number(in, 2);
    struct span realm = take(in, number(in, 2));
    size_t size = 0;

    if (count == 0 || count > 16)
        return -1;
    for (uint32_t i = 0; i < count && !in->short_of; i++) {
        if (i > 0)
            entry->name[size++] = '/'; /* put_escaped leaves room for it */
        if (put_escaped(entry->name, &size, take(in, number(in, 2))) != 0)
            return -1;
    }
    if (in->short_of || size + 3 > KEYTAB_NAME_MAX)
        return -1;
    entry->name[size++] = '@';
    if (put_escaped(entry->name, &size, realm) != 0 || size >= KEYTAB_NAME_MAX)
        return -1;
    entry->name[size] = '\0';
    return 0;
}

static int read_entry(struct fields *in, struct keytab_entry *entry)
{
    if (read_name(in, entry) != 0)
        return -1;
    (void)number(in, 4); /* kind of name */
    entry->timestamp = number(in, 4);
    entry->version = number(in, 1);
    entry->type = (uint16_t)number(in, 2);
    entry->key = take(in, number(in, 2));
    if (in->short_of)
        return -1;
    if (in->rest.size >= 4) { /* the version in full, where one byte is too few */
        uint32_t version = number(in, 4);
        if (version)
            entry->version = version;
    }
    return 0;
}

int keytab_next(struct keytab_reader *reader, struct keytab_entry *entry, struct err *err)
{
    while (reader->rest.size) {
        struct fields outer = {.rest = reader->rest};
        int32_t size = (int32_t)number(&outer, 4);

        if (outer.short_of || size == 0) /* zeros may fill the end */
            return outer.short_of ? broken(err) : 0;
        if (size == INT32_MIN)
            return broken(err);
        struct fields in = {.rest = take(&outer, (size_t)(size < 0 ? -size : size))};
        if (outer.short_of)
            return broken(err);
        reader->rest = outer.rest;
        if (size < 0)
            continue; /* a hole: the entry was deleted */
        return read_entry(&in, entry) == 0 ? 1 : broken(err);
    }
    return 0;
}
