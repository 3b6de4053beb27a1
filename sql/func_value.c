/* sql/func_value.c - functions of any value: members, elements, absence, arrays. */
#include "base/utf8.h"
#include "func.h"

/* ---- get ---- */

static int get_character(struct span text, int64_t index, struct value *out)
{
    if ((uint64_t)index >= text.size)
        return 0;
    size_t at = utf8_offset(text, (size_t)index);
    uint32_t code;
    size_t size = utf8_decode((struct span){text.data + at, text.size - at}, &code);

    if (size > 0)
        *out = value_string((struct span){text.data + at, size});
    return 0;
}

static int fn_get(const struct call *call, struct value *out, struct err *err)
{
    const struct value *from = &call->args[0], *key = &call->args[1];
    struct span text;

    if (from->type == VALUE_OBJECT) {
        if (key->type != VALUE_STRING) /* a key is not converted */
            return 0;
        int had = arg_text(call, 1, &text, err);
        return had > 0 ? scope_member(call->scope, from, text, out, err) : had;
    }
    if (from->type != VALUE_ARRAY && from->type != VALUE_STRING)
        return 0;

    struct number number;
    int64_t index;
    int had = arg_int(call, 1, &number, err);

    if (had <= 0)
        return had;
    if (!number_to_int64(&number, &index) || index < 0)
        return 0;
    if (from->type == VALUE_ARRAY) {
        if (from->form == FORM_NODE && (size_t)index < value_count(from) &&
            !scope_charge(call->scope, (uint64_t)index / 16, err)) /* elements are stepped over */
            return -1;
        *out = value_element(from, (size_t)index);
        return 0;
    }
    had = arg_text(call, 0, &text, err);
    return had <= 0 ? had : get_character(text, index, out);
}

/* ---- absence ---- */

static bool is_absent(const struct value *value)
{
    return value->type == VALUE_UNDEFINED || value->type == VALUE_NULL;
}

static int fn_isnull(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    *out = value_boolean(call->args[0].type == VALUE_NULL);
    return 0;
}

static int fn_isundefined(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    *out = value_boolean(call->args[0].type == VALUE_UNDEFINED);
    return 0;
}

/* No value here is NaN: whatever would be is Undefined already. */
static int fn_nanvl(const struct call *call, struct value *out, struct err *err)
{
    (void)err;
    *out = call->args[is_absent(&call->args[0]) ? 1 : 0];
    return 0;
}

/* ---- concat ---- */

static int concat_arrays(const struct call *call, struct value *out, struct err *err)
{
    struct arena *arena = &call->scope->arena;
    size_t count = 0, filled = 0;

    for (unsigned i = 0; i < call->argc; i++)
        count += call->args[i].type == VALUE_ARRAY ? value_count(&call->args[i]) : 1;
    if (!scope_charge(call->scope, count / 8, err))
        return -1;
    struct value *items = arena_array(arena, count ? count : 1, sizeof *items), item;
    if (!items)
        return call_full(err);

    for (unsigned i = 0; i < call->argc; i++) {
        const struct value *arg = &call->args[i];

        if (arg->type == VALUE_ARRAY) {
            bool failed = false;
            struct value_walk walk = value_walk(arg);

            while (value_next(&walk, arena, NULL, &item, &failed))
                items[filled++] = item;
            if (failed)
                return call_full(err);
        } else if (arg->type != VALUE_UNDEFINED) { /* left out, as in an array literal (A21) */
            items[filled++] = *arg;
        }
    }
    *out = (struct value){.type = VALUE_ARRAY, .form = FORM_LIST, .list = {.items = items, .count = filled}};
    return 0;
}

static int concat_texts(const struct call *call, struct value *out, struct err *err)
{
    struct buf text = buf_in(&call->scope->arena, call->scope->limits.memory);

    for (unsigned i = 0; i < call->argc; i++) {
        struct span part;
        int had = arg_text(call, i, &part, err);

        if (had <= 0)
            return had; /* Null and Undefined have no text (A6) */
        buf_span(&text, part);
    }
    if (text.failed)
        return call_full(err);
    *out = value_string(buf_view(&text));
    return 0;
}

static int fn_concat(const struct call *call, struct value *out, struct err *err)
{
    bool has_text = false;

    if (call->argc <= 1) {
        if (call->argc == 1)
            *out = call->args[0]; /* unmodified (A6) */
        return 0;
    }
    for (unsigned i = 0; i < call->argc; i++) {
        if (call->args[i].type == VALUE_ARRAY)
            return concat_arrays(call, out, err);
        has_text |= call->args[i].type == VALUE_STRING;
    }
    return has_text ? concat_texts(call, out, err) : 0;
}

/* ---- transform ---- */

/* The members that every element gets, found by key without looking at all of them: an open hash of twice
 * their number. */
struct extras {
    const struct member *members;
    size_t count;
    uint32_t *slots; /* index + 1, 0: free */
    size_t mask;
};

static size_t key_hash(struct span key)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

/* The slot of `key`: where it is, or the free one where it belongs. */
static uint32_t *extra_slot(const struct extras *extras, struct span key)
{
    size_t at = key_hash(key) & extras->mask;

    while (extras->slots[at] != 0 && !span_equal(extras->members[extras->slots[at] - 1].key, key))
        at = (at + 1) & extras->mask;
    return &extras->slots[at];
}

static bool extras_read(const struct value *object, struct arena *arena, struct extras *extras)
{
    size_t count = value_count(object), slots = 8;
    struct member *members = arena_array(arena, count + 1, sizeof *members);
    struct value_walk walk = value_walk(object);
    bool failed = false;

    if (!members || count > UINT32_MAX / 2)
        return false;
    *extras = (struct extras){.members = members};
    while (slots < 2 * count)
        slots *= 2;
    extras->slots = arena_array(arena, slots, sizeof *extras->slots);
    if (!extras->slots)
        return false;
    memset(extras->slots, 0, slots * sizeof *extras->slots);
    extras->mask = slots - 1;
    while (value_next(&walk, arena, &members[extras->count].key, &members[extras->count].value, &failed)) {
        uint32_t *slot = extra_slot(extras, members[extras->count].key);

        if (*slot == 0)
            *slot = (uint32_t)++extras->count;
        else
            members[*slot - 1].value = members[extras->count].value;
    }
    return !failed;
}

/* `element`'s members with those of the object in their places or after them: the object wins (A65). */
static bool enrich(const struct value *element, const struct extras *extras, struct arena *arena,
                   struct value *out)
{
    size_t count = value_count(element), filled = 0, taken = 0;
    struct member *members = arena_array(arena, count + extras->count + 1, sizeof *members);
    bool *used = arena_alloc(arena, extras->count + 1);
    struct value_walk walk = value_walk(element);
    bool failed = false;

    if (!members || !used)
        return false;
    memset(used, 0, extras->count + 1);
    for (; value_next(&walk, arena, &members[filled].key, &members[filled].value, &failed); filled++) {
        uint32_t index = *extra_slot(extras, members[filled].key);

        if (index == 0 || used[index - 1])
            continue;
        members[filled].value = extras->members[index - 1].value;
        used[index - 1] = true;
        taken++;
    }
    for (size_t i = 0; i < extras->count && taken < extras->count; i++)
        if (!used[i])
            members[filled++] = extras->members[i];
    *out = (struct value){
        .type = VALUE_OBJECT, .form = FORM_LIST, .list = {.members = members, .count = filled}};
    return !failed;
}

/* A nested query always gives an Array; around the one Object or Array that is wanted here it is taken off
 * (A19). */
static struct value unwrapped(const struct value *value, enum value_type wanted)
{
    if (value->type == VALUE_ARRAY && value_count(value) == 1) {
        struct value only = value_element(value, 0);

        if (only.type == wanted)
            return only;
    }
    return *value;
}

static int fn_transform(const struct call *call, struct value *out, struct err *err)
{
    struct arena *arena = &call->scope->arena;
    struct span mode;

    if (call->args[0].type != VALUE_STRING)
        return 0;
    int had = arg_text(call, 0, &mode, err);
    if (had <= 0)
        return had;
    struct value object = unwrapped(&call->args[1], VALUE_OBJECT);
    struct value array = unwrapped(&call->args[2], VALUE_ARRAY);

    if (!span_is(mode, "enrichArray") || object.type != VALUE_OBJECT || array.type != VALUE_ARRAY)
        return 0;

    struct extras extras;
    size_t count = value_count(&array), filled = 0;
    struct value *items = arena_array(arena, count + 1, sizeof *items), item;

    if (!items || !extras_read(&object, arena, &extras))
        return call_full(err);
    struct value_walk walk = value_walk(&array);
    bool failed = false;

    while (value_next(&walk, arena, NULL, &item, &failed)) {
        if (item.type != VALUE_OBJECT)
            return 0; /* no array of objects */
        if (!scope_charge(call->scope, 1 + (value_count(&item) + extras.count) / 8, err))
            return -1;
        if (!enrich(&item, &extras, arena, &items[filled++]))
            return call_full(err);
    }
    if (failed)
        return call_full(err);
    *out = (struct value){.type = VALUE_ARRAY, .form = FORM_LIST, .list = {.items = items, .count = filled}};
    return 0;
}

const struct sql_func sql_value_funcs[] = {
    {"cast", 1, 1, FUNC_SPECIAL, NULL,
     "cast(value AS type): as String, Int, Double; in 2016-03-23 also as Decimal, Boolean"},
    {"concat", 0, -1, FUNC_PURE, fn_concat, "concat(a, b, ...): texts joined, or arrays made one"},
    {"get", 2, 2, FUNC_PURE, fn_get,
     "get(array, index), get(text, index), get(object, key): element, character or member"},
    {"get_or_default", 1, 2, FUNC_V2 | FUNC_SPECIAL, NULL,
     "get_or_default(value[, default]): the default if the value is Undefined, Null or fails"},
    {"isnull", 1, 1, FUNC_PURE, fn_isnull, "isNull(value): true for Null alone"},
    {"isundefined", 1, 1, FUNC_PURE | FUNC_V2, fn_isundefined,
     "isUndefined(value): true if there is no value"},
    {"nanvl", 2, 2, FUNC_PURE, fn_nanvl, "nanvl(value, other): the other if the value is Undefined or Null"},
    {"transform", 3, 3, FUNC_PURE | FUNC_V2, fn_transform,
     "transform('enrichArray', object, array): the object's members added to each object of the array"},
    {.name = NULL},
};
