/* json.h - a JSON text, written piece by piece into a buffer: commas come by themselves.
 *
 *     struct json json = {&out};
 *     json_open(&json, NULL, '{');
 *     json_text(&json, "name", rule->name);
 *     json_close(&json, '}');
 *
 * `key` NULL: an element of a list, or the whole. */
#ifndef ENGINE_JSON_H
#define ENGINE_JSON_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct json {
    struct buf *out;
    bool more; /* something stands before, on this level */
};

void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);
void json_span(struct json *json, const char *key, struct span text); /* data NULL: null */
void json_text(struct json *json, const char *key, const char *text); /* NULL: null */
void json_count(struct json *json, const char *key, uint64_t count);
void json_seconds(struct json *json, const char *key, int64_t ms); /* 1500 -> 1.500; negative: null */
void json_bool(struct json *json, const char *key, bool on);
void json_null(struct json *json, const char *key);

#endif
