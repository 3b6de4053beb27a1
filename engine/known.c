#include "known.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

static bool same_span(struct span a, struct span b)
{
    if (!a.data || !b.data)
        return !a.data && !b.data;
    return span_equal(a, b);
}

struct known *known_find(const struct known_list *list, const struct sql_secret_query *query)
{
    for (size_t i = 0; i < list->count; i++) {
        struct known *item = &list->items[i];

        if (item->type == query->type && same_span(item->query.id, query->id) &&
            same_span(item->query.key, query->key) && same_span(item->query.role_arn, query->role_arn))
            return item;
    }
    return NULL;
}

static struct span copy_to(char **at, struct span text)
{
    if (!text.data)
        return text;
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    struct span copy = {*at, text.size};
    *at += text.size;
    return copy;
}

struct known *known_add(struct known_list *list, const struct sql_secret_query *query, struct err *err)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 8;
        struct known *items = realloc(list->items, room * sizeof *items);

        if (!items) {
            err_memory(err);
            return NULL;
        }
        list->items = items;
        list->room = room;
    }
    char *text = malloc(query->id.size + query->key.size + query->role_arn.size + 1), *at = text;

    if (!text) {
        err_memory(err);
        return NULL;
    }
    struct known *item = &list->items[list->count++];
    *item = (struct known){.type = query->type, .text = text};
    item->query.id = copy_to(&at, query->id);
    item->query.key = copy_to(&at, query->key);
    item->query.role_arn = copy_to(&at, query->role_arn);
    item->query.form = query->type == SQL_SECRET_BINARY ? SECRET_BINARY : SECRET_STRING;
    return item;
}

static struct wiped *base64(const struct wiped *bytes, struct err *err)
{
    struct span plain = wiped_reveal(bytes);
    size_t room = (plain.size + 2) / 3 * 4 + 1;
    struct wiped *out = NULL;
    unsigned char *text = plain.size < INT_MAX / 2 ? malloc(room) : NULL;

    if (text) {
        int size = EVP_EncodeBlock(text, (const unsigned char *)plain.data, (int)plain.size);

        out = wiped_new((struct span){(const char *)text, (size_t)size});
        wipe(text, room);
        free(text);
    }
    if (!out)
        err_memory(err);
    return out;
}

int known_set(struct known *item, struct wiped *value, struct err *err)
{
    struct wiped *kept = value;

    if (item->type == SQL_SECRET_BINARY) {
        kept = base64(value, err);
        wiped_free(value);
    }
    if (!kept)
        return -1;
    wiped_free(item->value);
    item->value = kept;
    return 0;
}

void known_pop(struct known_list *list)
{
    const struct known *last = &list->items[--list->count];

    wiped_free(last->value);
    free(last->text);
}

void known_clear(struct known_list *list)
{
    while (list->count > 0)
        known_pop(list);
}

void known_done(struct known_list *list)
{
    known_clear(list);
    free(list->items);
    *list = (struct known_list){0};
}
