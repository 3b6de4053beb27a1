/* member.c - one member of a secret that is a JSON object. jansson reads it; its copies are wiped when freed.
 */
#include "backend.h"
#include "wiping.h"

#include "base/auto.h"

#include <jansson.h>
#include <pthread.h>

static void setup(void)
{
    json_set_alloc_funcs(malloc, wiping_free);
}

void member_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, setup);
}

static void json_drop(json_t **json)
{
    json_decref(*json);
}

static void dump_drop(char **text)
{
    wiping_free(*text);
}

struct wiped *member_of(struct span text, struct span key, struct err *err)
{
    json_error_t why = {.text = ""};
    AUTO(json_drop) json_t *json = json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    AUTO(dump_drop) char *printed = NULL;
    struct span value;

    /* Nothing that jansson says may be passed on: it quotes the text. */
    if (!json && why.text[0] == '\0') {
        err_memory(err);
        return NULL;
    }
    if (!json || !json_is_object(json)) {
        err_set(err, ERR_SECRET, "the secret is no JSON object, so it has no member \"" SPAN_FMT "\"",
                SPAN_ARG(key));
        return NULL;
    }
    const json_t *member = json_object_getn(json, key.data, key.size);
    if (!member || json_is_null(member)) {
        err_set(err, ERR_SECRET, "the secret has no member \"" SPAN_FMT "\"%s", SPAN_ARG(key),
                member ? ": it is null" : "");
        return NULL;
    }
    if (json_is_string(member)) {
        value = (struct span){json_string_value(member), json_string_length(member)};
    } else {
        printed = json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY);
        value = span_of(printed);
    }
    struct wiped *found = value.data ? wiped_new(value) : NULL;
    if (!found)
        err_memory(err);
    return found;
}
