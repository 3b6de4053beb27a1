/* The payload reader beside another strict one: both take the same texts and see the same values in them.
 * What we print is JSON again, and printing that changes nothing more. */
#include "base/arena.h"
#include "fuzz.h"
#include "payload.h"

#include <jansson.h>
#include <math.h>

static bool close_enough(double a, double b) /* ours was rounded to 34 digits first */
{
    return a == b || fabs(a - b) <= fabs(a) * 1e-15;
}

/* Recursion is fine here: the depth has a limit. */
static void check_same(const struct value *ours, const json_t *theirs, struct arena *arena)
{
    struct value_walk walk = value_walk(ours);
    struct value item;
    struct number number;
    struct span text;
    bool failed = false;

    switch (json_typeof(theirs)) {
    case JSON_NULL: CHECK(ours->type == VALUE_NULL); break;
    case JSON_TRUE:
    case JSON_FALSE: CHECK(ours->type == VALUE_BOOLEAN && ours->boolean == json_is_true(theirs)); break;
    case JSON_INTEGER: {
        struct number want = number_from_int(json_integer_value(theirs));

        CHECK(ours->type == VALUE_INT && value_get_number(ours, &number));
        CHECK(number_compare(&number, &want) == 0);
        break;
    }
    case JSON_REAL:
        CHECK(ours->type == VALUE_DECIMAL && value_get_number(ours, &number));
        CHECK(close_enough(number_to_double(&number), json_real_value(theirs)));
        break;
    case JSON_STRING:
        CHECK(ours->type == VALUE_STRING && value_get_text(ours, arena, &text));
        CHECK(span_equal(text, (struct span){json_string_value(theirs), json_string_length(theirs)}));
        break;
    case JSON_ARRAY: {
        size_t index;
        const json_t *element;

        CHECK(ours->type == VALUE_ARRAY && value_count(ours) == json_array_size(theirs));
        json_array_foreach(theirs, index, element)
        {
            CHECK(value_next(&walk, arena, NULL, &item, &failed));
            check_same(&item, element, arena);
        }
        CHECK(!value_next(&walk, arena, NULL, &item, &failed));
        break;
    }
    case JSON_OBJECT: {
        void *at = json_object_iter((json_t *)(uintptr_t)theirs);

        CHECK(ours->type == VALUE_OBJECT && value_count(ours) == json_object_size(theirs));
        for (; at; at = json_object_iter_next((json_t *)(uintptr_t)theirs, at)) {
            struct span key = {json_object_iter_key(at), json_object_iter_key_len(at)}, name;
            struct value found = value_member(ours, key);

            CHECK(value_next(&walk, arena, &name, &item, &failed) && span_equal(name, key));
            CHECK(found.type == item.type);
            check_same(&item, json_object_iter_value(at), arena);
        }
        CHECK(!value_next(&walk, arena, NULL, &item, &failed));
        break;
    }
    }
}

static void check_print(const struct value *root, enum payload_kind kind, enum sql_version version,
                        struct arena *arena)
{
    struct buf first = buf_in(arena, SIZE_MAX), second = buf_in(arena, SIZE_MAX);
    struct value again;
    struct err err;
    struct span text = {0};

    buf_reserve(&first, 1);
    value_print(root, version, arena, &first);
    CHECK(!first.failed);
    if (first.size == 0) { /* a bare number out of range */
        CHECK(root->type == VALUE_UNDEFINED);
        return;
    }
    CHECK(payload_read(buf_view(&first), arena, &again, &err) == kind);
    value_print(&again, version, arena, &second);
    CHECK(!second.failed && span_equal(buf_view(&first), buf_view(&second)));
    if (root->type == VALUE_STRING) { /* as it prints when an expression made it */
        struct value plain = value_string(text);
        struct buf third = buf_in(arena, SIZE_MAX);

        CHECK(value_get_text(root, arena, &plain.text));
        value_print(&plain, version, arena, &third);
        CHECK(span_equal(buf_view(&first), buf_view(&third)));
    }
    if (root->type == VALUE_ARRAY || root->type == VALUE_OBJECT) {
        CHECK(value_to_text(&again, version, arena, &text) == CONVERTED);
        CHECK(span_equal(text, buf_view(&first)));
    }
}

static bool has_undefined(const struct value *value, struct arena *arena)
{
    struct value_walk walk = value_walk(value);
    struct value item;
    bool failed = false;

    if (value->type == VALUE_UNDEFINED)
        return true;
    while (value_next(&walk, arena, NULL, &item, &failed))
        if (has_undefined(&item, arena))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena, small;
    struct value root, copy;
    struct err err = {0};
    json_error_t error;
    struct span text = {data ? (const char *)data : "", size};

    arena_init(&arena, (size_t)64 << 20);
    enum payload_kind kind = payload_read(text, &arena, &root, &err);
    json_t *theirs = json_loadb(text.data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool accepted = kind == PAYLOAD_JSON || kind == PAYLOAD_SCALAR;

    if (theirs &&
        memchr(text.data, 0, size)) { /* jansson takes a NUL behind the value for the end of the text */
        json_decref(theirs);
        theirs = NULL;
    }
    CHECK(accepted == (err.code == ERR_NONE) || kind == PAYLOAD_EMPTY);
    if (theirs) {
        CHECK(accepted || kind == PAYLOAD_LIMIT);
        if (accepted)
            check_same(&root, theirs, &arena);
        json_decref(theirs);
    } else if (accepted && !memchr(text.data, 0, size)) { /* what jansson cannot hold */
        enum json_error_code code = json_error_code(&error);

        CHECK(code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
    }
    if (accepted) {
        bool equal = false;

        check_print(&root, kind, SQL_2015_10_08, &arena);
        check_print(&root, kind, SQL_2016_03_23, &arena);
        CHECK(payload_read(text, &arena, &copy, &err) == kind);
        CHECK(value_equal(&root, &copy, &arena, &equal) == CONVERTED);
        CHECK(equal || has_undefined(&root, &arena));
    }
    arena_done(&arena);

    arena_init(&small, size * 3 + 64); /* now and then too little */
    kind = payload_read(text, &small, &root, &err);
    if (kind == PAYLOAD_JSON) {
        struct buf out = buf_in(&small, SIZE_MAX);
        bool equal;

        value_print(&root, SQL_2016_03_23, &small, &out);
        (void)value_equal(&root, &root, &small, &equal);
    }
    arena_done(&small);
    return 0;
}
