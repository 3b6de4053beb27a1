#include "failure.h"

#include "base/buf.h"

#include <ctype.h>
#include <limits.h>
#include <openssl/evp.h>

static void add_member(struct buf *out, const char *name, struct span value)
{
    buf_text(out, name);
    buf_json(out, value);
}

static void add_base64(struct buf *out, struct span bytes)
{
    buf_char(out, '"');
    if (bytes.size > 0 && bytes.size < INT_MAX / 2 && buf_reserve(out, (bytes.size + 2) / 3 * 4 + 1))
        out->size += (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->size,
                                             (const unsigned char *)bytes.data, (int)bytes.size);
    buf_char(out, '"');
}

/* AWS names the action by its kind: "KafkaAction". A failed statement has no counterpart there. */
static void add_action(struct buf *out, const struct rule_action *action)
{
    if (!action) {
        buf_text(out, "{\"failedAction\":\"Sql\"");
        return;
    }
    buf_text(out, "{\"failedAction\":\"");
    buf_char(out, (char)toupper((unsigned char)action->type_name[0]));
    buf_text(out, action->type_name + 1);
    buf_text(out, "Action\"");
}

struct span failure_text(struct arena *arena, const struct rule *rule, const struct sql_message *message,
                         struct span trace_id, const struct failure *failures)
{
    struct buf out = buf_in(arena, SIZE_MAX);

    add_member(&out, "{\"ruleName\":", span_of(rule->name));
    add_member(&out, ",\"topic\":", message->topic);
    add_member(&out, ",\"cloudwatchTraceId\":", trace_id);
    add_member(&out, ",\"clientId\":", message->client_id.data ? message->client_id : SPAN("n/a"));
    buf_text(&out, ",\"base64OriginalPayload\":");
    add_base64(&out, message->payload);
    buf_text(&out, ",\"failures\":[");
    for (const struct failure *at = failures; at; at = at->next) {
        if (at != failures)
            buf_char(&out, ',');
        add_action(&out, at->action);
        add_member(&out, ",\"failedResource\":", at->resource);
        add_member(&out, ",\"errorMessage\":", at->message);
        buf_char(&out, '}');
    }
    buf_text(&out, "]}");
    return out.failed ? (struct span){0} : buf_view(&out);
}
