/* sql/func_message.c - functions of the message, the moment and the installation. None is pure. */
#include "base64.h"
#include "func.h"

/* Undefined where the world does not say. */
static int give_known(struct span text, struct value *out)
{
    if (text.data)
        *out = value_string(text);
    return 0;
}

/* ---- who and where ---- */

static int fn_topic(const struct call *call, struct value *out, struct err *err)
{
    struct span topic = call->scope->message.topic;
    struct number number;
    int64_t wanted;

    if (call->argc == 0)
        return give_known(topic, out);
    int had = arg_int(call, 0, &number, err);
    if (had <= 0)
        return had;
    if (!topic.data || !number_to_int64(&number, &wanted) || wanted < 1)
        return 0; /* A29 */
    for (;;) {
        const char *slash = topic.size > 0 ? memchr(topic.data, '/', topic.size) : NULL;
        size_t size = slash ? (size_t)(slash - topic.data) : topic.size;

        if (--wanted == 0)
            return give_known((struct span){topic.data, size}, out);
        if (!slash)
            return 0;
        topic = (struct span){slash + 1, topic.size - size - 1};
    }
}

static int fn_clientid(const struct call *call, struct value *out, struct err *err)
{
    struct span id = call->scope->message.client_id;

    (void)err;
    return give_known(id.data ? id : SPAN("n/a"), out);
}

static int fn_principal(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    return give_known(call->scope->message.principal, out);
}

static int fn_sourceip(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    return give_known(call->scope->message.source_ip, out);
}

static int fn_accountid(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    return give_known(call->scope->message.account_id, out);
}

static int fn_sql_version(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    return give_known(span_of(sql_version_name(call->version)), out);
}

/* ---- when and which ---- */

static int fn_timestamp(const struct call *call, struct value *out, struct err *err)
{
    const struct sql_host *host = call->scope->host;

    (void)err;
    if (host && host->now_ms) {
        struct number now = number_from_int(host->now_ms(host->context));
        *out = value_number(&now, true, call->version);
    }
    return 0;
}

static bool random_bytes(const struct call *call, void *bytes, size_t size)
{
    const struct sql_host *host = call->scope->host;

    if (!host || !host->random)
        return false;
    host->random(host->context, bytes, size);
    return true;
}

static int fn_rand(const struct call *call, struct value *out, struct err *err)
{
    uint64_t bits;
    struct number number;

    (void)err;
    /* 53 bits: every double from 0 up to and without 1, in steps of 2^-53 */
    if (random_bytes(call, &bits, sizeof bits) && number_from_double((double)(bits >> 11) * 0x1p-53, &number))
        *out = value_number(&number, false, call->version);
    return 0;
}

/* A random UUID (RFC 9562, version 4). Data NULL: no randomness here; -1: no memory. */
static int new_uuid(const struct call *call, struct span *out, struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16];
    enum { SIZE = 36 };

    *out = (struct span){NULL, 0};
    if (!random_bytes(call, bytes, sizeof bytes))
        return 0;
    char *text = call_alloc(call, SIZE, err), *at = text;
    if (!text)
        return -1;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *out = (struct span){text, SIZE};
    return 0;
}

static int fn_newuuid(const struct call *call, struct value *out, struct err *err)
{
    struct span uuid;

    return new_uuid(call, &uuid, err) != 0 ? -1 : give_known(uuid, out);
}

/* The scope keeps the one that it had to make, so that it is the same for the whole message. */
static int fn_traceid(const struct call *call, struct value *out, struct err *err)
{
    struct span *trace_id = &call->scope->message.trace_id;

    if (!trace_id->data && new_uuid(call, trace_id, err) != 0)
        return -1;
    return give_known(*trace_id, out);
}

/* ---- MQTT 5 ---- */

static int fn_get_mqtt_property(const struct call *call, struct value *out, struct err *err)
{
    const struct sql_message *message = &call->scope->message;
    struct span name, data = message->correlation_data;
    int had = arg_text(call, 0, &name, err);

    if (had <= 0)
        return had;
    if (span_is(name, "content_type"))
        return give_known(message->content_type, out);
    if (span_is(name, "response_topic"))
        return give_known(message->response_topic, out);
    if (span_is(name, "format_indicator"))
        return give_known(message->payload_format == 1 ? SPAN("UTF8_DATA") : SPAN("UNSPECIFIED_BYTES"), out);
    if (span_is(name, "correlation_data") && data.data) {
        if (!base64_encode(data, &call->scope->arena, &data))
            return call_full(err);
        return give_known(data, out);
    }
    return 0;
}

/* All values of one key, or an object of one member for every property, in the message's order. */
static int fn_get_user_properties(const struct call *call, struct value *out, struct err *err)
{
    const struct sql_message *message = &call->scope->message;
    struct arena *arena = &call->scope->arena;
    size_t count = message->user_property_count, filled = 0;
    struct span key = {NULL, 0};

    if (call->argc == 1) {
        int had = arg_text(call, 0, &key, err);
        if (had <= 0)
            return had;
    }
    if (!scope_charge(call->scope, count, err))
        return -1;
    struct value *items = arena_array(arena, count + 1, sizeof *items);
    struct member *members = arena_array(arena, call->argc == 0 ? count + 1 : 1, sizeof *members);

    if (!items || !members)
        return call_full(err);
    for (size_t i = 0; i < count; i++) {
        const struct sql_user_property *property = &message->user_properties[i];

        if (call->argc == 0) {
            members[i] = (struct member){property->key, value_string(property->value)};
            items[filled++] = (struct value){
                .type = VALUE_OBJECT, .form = FORM_LIST, .list = {.members = &members[i], .count = 1}};
        } else if (span_equal(property->key, key)) {
            items[filled++] = value_string(property->value);
        }
    }
    if (filled > 0 || call->argc == 0)
        *out =
            (struct value){.type = VALUE_ARRAY, .form = FORM_LIST, .list = {.items = items, .count = filled}};
    return 0;
}

const struct sql_func sql_message_funcs[] = {
    {"accountid", 0, 0, 0, fn_accountid, "accountid(): what the configuration says (identity.account_id)"},
    {"clientid", 0, 0, 0, fn_clientid, "clientid(): client id of the publisher, n/a where that is not known"},
    {"get_mqtt_property", 1, 1, 0, fn_get_mqtt_property,
     "get_mqtt_property(name): content_type, format_indicator, response_topic or correlation_data (MQTT 5)"},
    {"get_user_properties", 0, 1, 0, fn_get_user_properties,
     "get_user_properties([key]): values of one user property, or all of them (MQTT 5)"},
    {"newuuid", 0, 0, 0, fn_newuuid, "newuuid(): a new random UUID"},
    {"principal", 0, 0, 0, fn_principal, "principal(): what the configuration says (identity.principal)"},
    {"rand", 0, 0, 0, fn_rand, "rand(): a random number from 0 up to 1"},
    {"sourceip", 0, 0, FUNC_V2, fn_sourceip, "sourceip(): what the configuration says (identity.source_ip)"},
    {"sql_version", 0, 0, 0, fn_sql_version, "sql_version(): version of the rule's SQL"},
    {"timestamp", 0, 0, 0, fn_timestamp, "timestamp(): milliseconds since 1970, now"},
    {"topic", 0, 1, 0, fn_topic, "topic([n]): the topic, or its n-th segment from 1"},
    {"traceid", 0, 0, 0, fn_traceid, "traceid(): a UUID that stays the same for one message"},
    {.name = NULL},
};
