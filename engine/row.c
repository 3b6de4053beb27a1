/* The bytes of a row: a kind and a version, then lengths as varints (7 bits a byte, low ones first).
 *
 *   record   'R' 1  payload  number of fields  {name text}*  name of the pairs  number of pairs  {key value}*
 *   message  'M' 1  {tag text}*
 *
 * What is absent is not written. A later version that adds a tag or a field reads old rows unchanged. */
#include "row.h"

#include "base/utf8.h"

#include <limits.h>
#include <openssl/evp.h>

enum { RECORD = 'R', MESSAGE = 'M', VERSION = 1 };
enum { VARINT_MOST = 10 }; /* bytes */

/* On disk: a number is never given another meaning. */
enum tag {
    TAG_TOPIC = 1,
    TAG_PAYLOAD,
    TAG_CLIENT_ID,
    TAG_PRINCIPAL,
    TAG_SOURCE_IP,
    TAG_ACCOUNT_ID,
    TAG_TRACE_ID,
    TAG_CONTENT_TYPE,
    TAG_RESPONSE_TOPIC,
    TAG_CORRELATION_DATA,
    TAG_PAYLOAD_FORMAT, /* one byte */
    TAG_PROPERTY_KEY,   /* followed by its value */
    TAG_PROPERTY_VALUE,
    TAG_COUNT
};

static const struct {
    const char *name;
    size_t offset; /* of the span in struct sql_message; of no meaning where `name` is NULL */
} members[TAG_COUNT] = {
    [TAG_TOPIC] = {"topic", offsetof(struct sql_message, topic)},
    [TAG_PAYLOAD] = {"payload", offsetof(struct sql_message, payload)},
    [TAG_CLIENT_ID] = {"clientId", offsetof(struct sql_message, client_id)},
    [TAG_PRINCIPAL] = {"principal", offsetof(struct sql_message, principal)},
    [TAG_SOURCE_IP] = {"sourceIp", offsetof(struct sql_message, source_ip)},
    [TAG_ACCOUNT_ID] = {"accountId", offsetof(struct sql_message, account_id)},
    [TAG_TRACE_ID] = {"traceId", offsetof(struct sql_message, trace_id)},
    [TAG_CONTENT_TYPE] = {"contentType", offsetof(struct sql_message, content_type)},
    [TAG_RESPONSE_TOPIC] = {"responseTopic", offsetof(struct sql_message, response_topic)},
    [TAG_CORRELATION_DATA] = {"correlationData", offsetof(struct sql_message, correlation_data)},
};

/* ---- writing ---- */

static void put_number(struct buf *out, uint64_t number)
{
    char bytes[VARINT_MOST];
    size_t size = 0;

    for (; number > 0x7f; number >>= 7)
        bytes[size++] = (char)((number & 0x7f) | 0x80);
    bytes[size++] = (char)number;
    buf_add(out, bytes, size);
}

static void put_text(struct buf *out, struct span text)
{
    put_number(out, text.size);
    buf_span(out, text);
}

static void put_tagged(struct buf *out, enum tag tag, struct span text)
{
    put_number(out, tag);
    put_text(out, text);
}

static bool is_written(const struct action_type *type, const struct action_record *record, size_t i)
{
    return type->fields[i].kind == ACTION_TEMPLATE && !record->fields[i].absent;
}

void row_put_record(struct buf *out, const struct action_type *type, const struct action_record *record)
{
    const char *pairs = "";
    size_t count = 0;

    buf_char(out, RECORD);
    buf_char(out, VERSION);
    put_text(out, record->payload);
    for (size_t i = 0; type->fields[i].name; i++) {
        count += is_written(type, record, i);
        if (type->fields[i].kind == ACTION_PAIRS)
            pairs = type->fields[i].name;
    }
    put_number(out, count);
    for (size_t i = 0; type->fields[i].name; i++) {
        if (!is_written(type, record, i))
            continue;
        put_text(out, span_of(type->fields[i].name));
        put_text(out, record->fields[i].text);
    }
    put_text(out, span_of(pairs));
    put_number(out, record->pair_count);
    for (size_t i = 0; i < record->pair_count; i++) {
        put_text(out, record->pairs[i].key);
        put_text(out, record->pairs[i].value);
    }
}

void row_put_message(struct buf *out, const struct sql_message *message)
{
    buf_char(out, MESSAGE);
    buf_char(out, VERSION);
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        struct span text;

        if (!members[tag].name)
            continue;
        memcpy(&text, (const char *)message + members[tag].offset, sizeof text);
        if (text.data || tag == TAG_PAYLOAD) /* an empty payload is one */
            put_tagged(out, tag, text);
    }
    if (message->payload_format >= 0) {
        const char format = (char)message->payload_format;

        put_tagged(out, TAG_PAYLOAD_FORMAT, (struct span){&format, 1});
    }
    for (size_t i = 0; i < message->user_property_count; i++) {
        put_tagged(out, TAG_PROPERTY_KEY, message->user_properties[i].key);
        put_tagged(out, TAG_PROPERTY_VALUE, message->user_properties[i].value);
    }
}

/* ---- reading ---- */

static int damaged(struct err *err, const char *what)
{
    err_set(err, ERR_SYNTAX, "a stored row is damaged: %s", what);
    return -1; /* said here, so that the compiler sees that nothing unset is read */
}

static int get_number(struct span *in, uint64_t *number, struct err *err)
{
    *number = 0;
    for (unsigned i = 0; i < VARINT_MOST - 1 && i < in->size; i++) { /* 63 bits: more than any length */
        const unsigned char byte = (unsigned char)in->data[i];

        *number |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            in->data += i + 1;
            in->size -= i + 1;
            return 0;
        }
    }
    return damaged(err, "a number has no end");
}

/* Never data NULL: what is written is there. */
static int get_text(struct span *in, struct span *text, struct err *err)
{
    uint64_t size;

    if (get_number(in, &size, err) != 0)
        return -1;
    if (size > in->size)
        return damaged(err, "a text is longer than the row");
    *text = (struct span){in->data, size};
    in->data += size;
    in->size -= size;
    return 0;
}

static int get_head(struct span *in, char kind, struct err *err)
{
    if (in->size < 2 || in->data[0] != kind)
        return damaged(err, kind == RECORD ? "no record begins here" : "no message begins here");
    if (in->data[1] != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "a stored row has format %d, and this program reads %d",
                       (unsigned char)in->data[1], VERSION);
    in->data += 2;
    in->size -= 2;
    return 0;
}

/* How many follow, each of at least `least` bytes: so that no table is larger than what was read. */
static int get_count(struct span *in, size_t least, size_t *count, struct err *err)
{
    uint64_t number;

    if (get_number(in, &number, err) != 0)
        return -1;
    if (number > in->size / least)
        return damaged(err, "it names more parts than it has bytes");
    *count = number;
    return 0;
}

static int get_field(struct span *in, const struct action_type *type, struct action_value *fields,
                     struct err *err)
{
    struct span name, text;

    if (get_text(in, &name, err) != 0 || get_text(in, &text, err) != 0)
        return -1;
    for (size_t i = 0; type->fields[i].name; i++)
        if (type->fields[i].kind == ACTION_TEMPLATE && span_is(name, type->fields[i].name))
            fields[i] = (struct action_value){.text = text};
    return 0;
}

int row_get_record(struct span bytes, const struct action_type *type, struct arena *arena,
                   struct action_record *out, struct err *err)
{
    size_t field_count = 0, written = 0, pair_count = 0;
    struct span payload, name;

    while (type->fields[field_count].name)
        field_count++;
    struct action_value *fields = arena_array(arena, field_count + 1, sizeof *fields);
    if (!fields)
        return err_memory(err);
    for (size_t i = 0; i < field_count; i++)
        fields[i] = (struct action_value){.absent = true};
    if (get_head(&bytes, RECORD, err) != 0 || get_text(&bytes, &payload, err) != 0 ||
        get_count(&bytes, 2, &written, err) != 0)
        return -1;
    for (size_t i = 0; i < written; i++)
        if (get_field(&bytes, type, fields, err) != 0)
            return -1;
    if (get_text(&bytes, &name, err) != 0 || get_count(&bytes, 2, &pair_count, err) != 0)
        return -1;
    struct action_pair *pairs = arena_array(arena, pair_count + 1, sizeof *pairs);
    if (!pairs)
        return err_memory(err);
    for (size_t i = 0; i < pair_count; i++)
        if (get_text(&bytes, &pairs[i].key, err) != 0 || get_text(&bytes, &pairs[i].value, err) != 0)
            return -1;
    if (bytes.size > 0)
        return damaged(err, "bytes follow its end");
    *out = (struct action_record){payload, fields, pairs, pair_count};
    return 0;
}

/* One tagged text; `tag` TAG_COUNT if a later version wrote it. */
static int get_tagged(struct span *in, unsigned *tag, struct span *text, struct err *err)
{
    uint64_t number;

    if (get_number(in, &number, err) != 0 || get_text(in, text, err) != 0)
        return -1;
    *tag = number < TAG_COUNT ? (unsigned)number : TAG_COUNT;
    return 0;
}

/* How many user properties there are, and whether each key has its value. */
static int count_properties(struct span bytes, size_t *count, struct err *err)
{
    bool open = false;

    for (*count = 0; bytes.size > 0;) {
        struct span text;
        unsigned tag;

        if (get_tagged(&bytes, &tag, &text, err) != 0)
            return -1;
        if (open != (tag == TAG_PROPERTY_VALUE))
            return damaged(err, "a user property is half there");
        open = tag == TAG_PROPERTY_KEY;
        *count += open;
    }
    return open ? damaged(err, "a user property is half there") : 0;
}

int row_get_message(struct span bytes, struct arena *arena, struct sql_message *out, struct err *err)
{
    struct sql_message message = {.payload_format = -1};
    size_t count = 0;

    if (get_head(&bytes, MESSAGE, err) != 0 || count_properties(bytes, &count, err) != 0)
        return -1;
    struct sql_user_property *properties = arena_array(arena, count + 1, sizeof *properties);
    if (!properties)
        return err_memory(err);
    while (bytes.size > 0) {
        struct span text;
        unsigned tag;

        if (get_tagged(&bytes, &tag, &text, err) != 0)
            return -1;
        if (tag < TAG_COUNT && members[tag].name)
            memcpy((char *)&message + members[tag].offset, &text, sizeof text);
        else if (tag == TAG_PAYLOAD_FORMAT && text.size == 1)
            message.payload_format = text.data[0] == 0 || text.data[0] == 1 ? text.data[0] : -1;
        else if (tag == TAG_PROPERTY_KEY)
            properties[message.user_property_count].key = text;
        else if (tag == TAG_PROPERTY_VALUE)
            properties[message.user_property_count++].value = text;
    }
    if (!message.topic.data || !message.payload.data)
        return damaged(err, "the message has no topic or no payload");
    message.user_properties = properties;
    *out = message;
    return 0;
}

/* ---- for people ---- */

static void print_bytes(struct buf *out, struct span bytes)
{
    if (utf8_valid(bytes) == bytes.size) {
        buf_json(out, bytes);
        return;
    }
    buf_text(out, "{\"base64\":\"");
    if (bytes.size >= INT_MAX / 2)
        out->failed = true;
    else if (buf_reserve(out, (bytes.size + 2) / 3 * 4 + 1))
        out->size += (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->size,
                                             (const unsigned char *)bytes.data, (int)bytes.size);
    buf_text(out, "\"}");
}

static void print_member(struct buf *out, struct span name, struct span value)
{
    if (out->size > 0 && out->data[out->size - 1] != '{')
        buf_char(out, ',');
    buf_json(out, name);
    buf_char(out, ':');
    print_bytes(out, value);
}

static void print_pair(struct buf *out, bool first, struct span key, struct span value)
{
    buf_text(out, first ? "[" : ",[");
    print_bytes(out, key);
    buf_char(out, ',');
    print_bytes(out, value);
    buf_char(out, ']');
}

static int print_record(struct span bytes, struct buf *out, struct err *err)
{
    struct span payload, name, text;
    size_t count = 0;

    buf_text(out, "\"record\":{");
    if (get_head(&bytes, RECORD, err) != 0 || get_text(&bytes, &payload, err) != 0 ||
        get_count(&bytes, 2, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (get_text(&bytes, &name, err) != 0 || get_text(&bytes, &text, err) != 0)
            return -1;
        print_member(out, name, text);
    }
    if (get_text(&bytes, &name, err) != 0 || get_count(&bytes, 2, &count, err) != 0)
        return -1;
    if (count > 0) {
        if (out->size > 0 && out->data[out->size - 1] != '{')
            buf_char(out, ',');
        buf_json(out, name);
        buf_text(out, ":[");
    }
    for (size_t i = 0; i < count; i++) {
        struct span key, value;

        if (get_text(&bytes, &key, err) != 0 || get_text(&bytes, &value, err) != 0)
            return -1;
        print_pair(out, i == 0, key, value);
    }
    if (count > 0)
        buf_char(out, ']');
    print_member(out, SPAN("payload"), payload);
    buf_char(out, '}');
    return 0;
}

static int print_message(struct span bytes, struct buf *out, struct err *err)
{
    struct arena arena;
    struct sql_message message;

    arena_init(&arena, SIZE_MAX);
    int result = row_get_message(bytes, &arena, &message, err);
    if (result == 0) {
        buf_text(out, "\"message\":{");
        for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
            struct span text;

            if (!members[tag].name)
                continue;
            memcpy(&text, (const char *)&message + members[tag].offset, sizeof text);
            if (text.data)
                print_member(out, span_of(members[tag].name), text);
        }
        if (message.payload_format >= 0)
            buf_format(out, ",\"payloadFormat\":%d", message.payload_format);
        if (message.user_property_count > 0)
            buf_text(out, ",\"userProperties\":[");
        for (size_t i = 0; i < message.user_property_count; i++)
            print_pair(out, i == 0, message.user_properties[i].key, message.user_properties[i].value);
        buf_text(out, message.user_property_count > 0 ? "]}" : "}");
    }
    arena_done(&arena);
    return result;
}

int row_print(struct span record, struct span origin, struct buf *out, struct err *err)
{
    buf_char(out, '{');
    if (record.data && print_record(record, out, err) != 0)
        return -1;
    if (record.data && origin.data)
        buf_char(out, ',');
    if (origin.data && print_message(origin, out, err) != 0)
        return -1;
    buf_char(out, '}');
    return out->failed ? err_memory(err) : 0;
}
