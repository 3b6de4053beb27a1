#include "json.h"

#include <inttypes.h>

static void begin(struct json *json, const char *key)
{
    if (json->more)
        buf_char(json->out, ',');
    json->more = true;
    if (!key)
        return;
    buf_json(json->out, span_of(key));
    buf_char(json->out, ':');
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    buf_char(json->out, bracket);
    json->more = false;
}

void json_close(struct json *json, char bracket)
{
    buf_char(json->out, bracket);
    json->more = true;
}

void json_null(struct json *json, const char *key)
{
    begin(json, key);
    buf_text(json->out, "null");
}

void json_span(struct json *json, const char *key, struct span text)
{
    if (!text.data) {
        json_null(json, key);
        return;
    }
    begin(json, key);
    buf_json(json->out, text);
}

void json_text(struct json *json, const char *key, const char *text)
{
    json_span(json, key, span_of(text));
}

void json_count(struct json *json, const char *key, uint64_t count)
{
    begin(json, key);
    buf_format(json->out, "%" PRIu64, count);
}

void json_seconds(struct json *json, const char *key, int64_t ms)
{
    if (ms < 0) {
        json_null(json, key);
        return;
    }
    begin(json, key);
    buf_format(json->out, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
}

void json_bool(struct json *json, const char *key, bool on)
{
    begin(json, key);
    buf_text(json->out, on ? "true" : "false");
}
