/* Which keys a daemon that runs cannot take anew. */
#include "config_key.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool config_same_url(const struct config *a, const struct config *b)
{
    if (a->mqtt.broker_count != b->mqtt.broker_count)
        return false;
    for (size_t i = 0; i < a->mqtt.broker_count; i++) {
        const struct config_broker *one = &a->mqtt.brokers[i], *other = &b->mqtt.brokers[i];

        if (strcmp(one->host, other->host) != 0 || one->port != other->port || one->tls != other->tls)
            return false;
    }
    return true;
}

static bool same_backend(const struct option_group *a, const struct option_group *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->type, b->type) != 0 || a->option_count != b->option_count)
        return false;
    for (size_t i = 0; i < a->option_count; i++)
        if (strcmp(a->options[i].name, b->options[i].name) != 0 ||
            strcmp(a->options[i].value, b->options[i].value) != 0)
            return false;
    return true;
}

bool config_same_backends(const struct config *a, const struct config *b)
{
    if (a->secrets.backend_count != b->secrets.backend_count)
        return false;
    for (size_t i = 0; i < a->secrets.backend_count; i++)
        if (!same_backend(&a->secrets.backends[i], &b->secrets.backends[i]))
            return false;
    return true;
}

bool config_same_listen(const struct config *a, const struct config *b)
{
    const struct listen *one = &a->admin.listen, *other = &b->admin.listen;

    return one->how == other->how && strcmp(one->path, other->path) == 0 &&
           strcmp(one->host, other->host) == 0 && one->port == other->port;
}

static bool same_value(const struct config_key *key, const struct config *before, const struct config *after)
{
    const void *a = (const char *)before + key->offset, *b = (const char *)after + key->offset;

    switch (key->kind) {
    case CONFIG_TEXT:
        return same_text(((const struct config_text *)a)->text, ((const struct config_text *)b)->text);
    case CONFIG_STRING: return same_text(*(const char *const *)a, *(const char *const *)b);
    case CONFIG_BOOL:
    case CONFIG_SWITCH: return *(const bool *)a == *(const bool *)b;
    case CONFIG_INT:
    case CONFIG_SECONDS:
    case CONFIG_CHOICE: return *(const int *)a == *(const int *)b;
    case CONFIG_SECONDS8:
    case CONFIG_MILLIS:
    case CONFIG_SIZE: return *(const int64_t *)a == *(const int64_t *)b;
    case CONFIG_OTHER: return key->same(before, after);
    }
    return false;
}

const char *config_needs_restart(const struct config *before, const struct config *after)
{
    const struct config_key *key;

    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->fixed && !same_value(key, before, after))
            return key->path;
    return NULL;
}
