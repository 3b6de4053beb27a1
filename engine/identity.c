/* Who published: MQTT does not tell a subscriber, so the configuration says where a message carries it. */
#include "engine/render.h"

#include "rules/config.h"

/* The level-th part of a topic, counted from 1; data NULL past the end. */
static struct span topic_level(struct span topic, int level)
{
    const char *at = topic.data, *end = topic.data + topic.size;

    while (at) {
        const char *slash = memchr(at, '/', (size_t)(end - at));

        if (--level == 0)
            return (struct span){at, (size_t)((slash ? slash : end) - at)};
        at = slash ? slash + 1 : NULL;
    }
    return (struct span){0};
}

static void take(const struct config_identity *from, const struct sql_message *message, struct span *out)
{
    if (from->topic_level > 0)
        *out = topic_level(message->topic, from->topic_level);
    else if (from->user_property)
        for (size_t i = 0; i < message->user_property_count; i++)
            if (span_is(message->user_properties[i].key, from->user_property)) {
                *out = message->user_properties[i].value;
                return;
            }
}

void render_identity(const struct config *config, struct sql_message *message)
{
    take(&config->identity.client_id, message, &message->client_id);
    take(&config->identity.principal, message, &message->principal);
    take(&config->identity.source_ip, message, &message->source_ip);
    if (config->identity.account_id)
        message->account_id = span_of(config->identity.account_id);
}
