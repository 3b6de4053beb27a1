/* config_other.c - keys whose names or shapes the user chooses: addresses, backends, Kafka's settings. */
#include "config_key.h"
#include "value.h"

#include <stdio.h>

enum { BROKERS_MAX = 16, BACKENDS_MAX = 64, PATTERNS_MAX = 256, PATTERN_SIZE_MAX = 1024 };

/* ---- mqtt.url ---- */

static void read_broker(struct config_reader *reader, const struct doc_node *node)
{
    struct config_broker *broker = &reader->config->mqtt.brokers[reader->config->mqtt.broker_count];
    struct span host;

    if (!reader_expect(&reader->in, node, DOC_STRING))
        return;
    if (strstr(node->text.data, "${") || strstr(node->text.data, "$<")) {
        reader_error(&reader->in, node, ERR_VALUE, "no template can stand in an address");
        return;
    }
    const char *wrong = value_broker(node->text, &host, &broker->port, &broker->tls);
    if (wrong) {
        reader_error(&reader->in, node, ERR_VALUE, "%s", wrong);
        return;
    }
    broker->host = config_copy(reader, host);
    reader->config->mqtt.broker_count++;
}

void config_read_url(struct config_reader *reader, const struct doc_node *node)
{
    size_t count = node->type == DOC_LIST ? node->count : 1;

    if (count == 0 || count > BROKERS_MAX) {
        reader_error(&reader->in, node, ERR_VALUE,
                     "expected 1 to %d addresses, as in [\"mqtts://a:8883\", \"mqtts://b:8883\"]",
                     BROKERS_MAX);
        return;
    }
    reader->config->mqtt.brokers = config_array(reader, count, sizeof *reader->config->mqtt.brokers);
    if (!reader->config->mqtt.brokers)
        return;
    if (node->type != DOC_LIST)
        read_broker(reader, node);
    for (const struct doc_node *entry = node->type == DOC_LIST ? node->first : NULL; entry;
         entry = entry->next)
        read_broker(reader, entry);
}

/* ---- secrets.allow ---- */

static void read_pattern(struct config_reader *reader, const struct doc_node *node)
{
    if (!reader_expect(&reader->in, node, DOC_STRING))
        return;
    if (node->text.size == 0 || node->text.size > PATTERN_SIZE_MAX)
        reader_error(&reader->in, node, ERR_VALUE,
                     "expected an id with * in it, of 1 to %d bytes, as in device/*", PATTERN_SIZE_MAX);
    else if (strstr(node->text.data, "${") || strstr(node->text.data, "$<"))
        reader_error(&reader->in, node, ERR_VALUE, "no template can stand here");
    else if (strstr(node->text.data, "**"))
        reader_error(&reader->in, node, ERR_VALUE,
                     "** is no more than *, which stands for one step: name each step, as in device/*/*");
    else
        reader->config->secrets.allow[reader->config->secrets.allow_count++] =
            config_copy(reader, node->text);
}

void config_read_allow(struct config_reader *reader, const struct doc_node *node)
{
    if (!reader_expect(&reader->in, node, DOC_LIST))
        return;
    if (node->count > PATTERNS_MAX) {
        reader_error(&reader->in, node, ERR_LIMIT, "more than %d patterns", PATTERNS_MAX);
        return;
    }
    reader->config->secrets.allow = config_array(reader, node->count, sizeof *reader->config->secrets.allow);
    for (const struct doc_node *entry = node->first; entry && reader->config->secrets.allow;
         entry = entry->next)
        read_pattern(reader, entry);
}

/* ---- admin.listen ---- */

void config_read_listen(struct config_reader *reader, const struct doc_node *node)
{
    struct config *config = reader->config;

    if (!reader_expect(&reader->in, node, DOC_STRING))
        return;
    const char *wrong = listen_read(node->text, config->directory, &config->admin.listen);
    if (wrong)
        reader_error(&reader->in, node, ERR_VALUE, "%s", wrong);
}

/* ---- secrets.backends ---- */

static bool is_backend_name(struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-'))
            return false;
    }
    return name.size > 0 && name.size <= 64 && !span_is(name, "arn");
}

/* The next node of the tree under `top`, children first; NULL at its end. */
static const struct doc_node *next_below(const struct doc_node *top, const struct doc_node *node)
{
    if (node->type == DOC_MAP && node->first)
        return node->first;
    while (node != top && !node->next)
        node = node->parent;
    return node == top ? NULL : node->next;
}

/* "auth.method" for {auth: {method: ...}}. NULL: reported. */
static char *option_name(struct config_reader *reader, const struct doc_node *top,
                         const struct doc_node *node)
{
    size_t size = 0;

    for (const struct doc_node *up = node; up != top; up = up->parent)
        size += up->key.size + 1;
    char *name = config_array(reader, size, 1);
    if (!name)
        return NULL;
    char *at = name + size - 1;
    for (const struct doc_node *up = node; up != top; up = up->parent) {
        at -= up->key.size;
        if (up->key.size)
            memcpy(at, up->key.data, up->key.size);
        if (at > name)
            *--at = '.';
    }
    return name;
}

static void read_option(struct config_reader *reader, const struct doc_node *top, const struct doc_node *node,
                        struct option_pair *out)
{
    if (node->type == DOC_NULL || node->type == DOC_LIST) {
        (void)reader_expect(&reader->in, node, DOC_STRING);
        return;
    }
    if (strstr(node->text.data, "${") || strstr(node->text.data, "$<")) {
        reader_error(
            &reader->in, node, ERR_VALUE,
            "no template can stand in a backend's option: name a file that holds the value, as token_file or "
            "secret_id_file");
        return;
    }
    *out = (struct option_pair){
        .name = option_name(reader, top, node), .value = config_copy(reader, node->text), .pos = node->pos};
}

static void read_backend(struct config_reader *reader, const struct doc_node *node)
{
    struct option_group *backend = &reader->config->secrets.backends[reader->config->secrets.backend_count];
    struct option_pair *options;
    const struct doc_node *type;
    size_t count = 0;

    if (!is_backend_name(node->key)) {
        reader_error(
            &reader->in, node, ERR_VALUE,
            "a backend's name stands before the colon of an id: 1 to 64 letters, digits, '_', '-', and not "
            "\"arn\"");
        return;
    }
    if (!reader_expect(&reader->in, node, DOC_MAP))
        return;
    type = doc_get(node, "type");
    if (!type) {
        reader_error(&reader->in, node, ERR_VALUE, "lacks \"type\", as in {type: directory, path: secrets}");
        return;
    }
    if (!reader_expect(&reader->in, type, DOC_STRING))
        return;
    for (const struct doc_node *at = next_below(node, node); at; at = next_below(node, at))
        count += at->type != DOC_MAP;
    options = config_array(reader, count, sizeof *options);
    if (!options)
        return;
    *backend = (struct option_group){.name = config_copy(reader, node->key),
                                     .type = config_copy(reader, type->text),
                                     .options = options,
                                     .pos = node->key_pos};
    for (const struct doc_node *at = next_below(node, node); at; at = next_below(node, at))
        if (at->type != DOC_MAP && at != type)
            read_option(reader, node, at, &options[backend->option_count++]);
    reader->config->secrets.backend_count++;
}

void config_read_backends(struct config_reader *reader, const struct doc_node *node)
{
    if (!reader_expect(&reader->in, node, DOC_MAP))
        return;
    if (node->count > BACKENDS_MAX) {
        reader_error(&reader->in, node, ERR_LIMIT, "more than %d backends", BACKENDS_MAX);
        return;
    }
    reader->config->secrets.backends =
        config_array(reader, node->count, sizeof *reader->config->secrets.backends);
    for (const struct doc_node *member = node->first; member && reader->config->secrets.backends;
         member = member->next)
        read_backend(reader, member);
}

/* ---- kafka.defaults, kafka.destinations ---- */

/* Room for `more` settings behind those that are there. */
static struct rule_default *make_room(struct config_reader *reader, size_t more)
{
    struct rule_defaults *kafka = &reader->config->kafka;
    struct rule_default *items = config_array(reader, kafka->count + more, sizeof *items);

    if (items && kafka->count)
        memcpy(items, kafka->items, kafka->count * sizeof *items);
    if (items)
        kafka->items = items;
    return items;
}

/* An object of settings; numbers and true/false are their text. */
static void read_settings(struct config_reader *reader, const struct doc_node *node, const char *arn)
{
    struct rule_defaults *kafka = &reader->config->kafka;
    struct rule_default *items;
    char path[DOC_PATH_MAX];

    if (!reader_expect(&reader->in, node, DOC_MAP) || !(items = make_room(reader, node->count)))
        return;
    for (const struct doc_node *member = node->first; member; member = member->next) {
        if (member->type != DOC_NUMBER && member->type != DOC_BOOL &&
            !reader_expect(&reader->in, member, DOC_STRING))
            continue;
        sql_template_free(config_template(reader, member));
        items[kafka->count++] = (struct rule_default){
            .destination_arn = arn,
            .name = config_copy(reader, member->key),
            .value = config_copy(reader, member->text),
            .pos = member->pos,
            .path = config_copy(reader, span_of(doc_path(&reader->in.doc, member, path))),
        };
    }
}

void config_read_defaults(struct config_reader *reader, const struct doc_node *node)
{
    read_settings(reader, node, NULL);
}

void config_read_destinations(struct config_reader *reader, const struct doc_node *node)
{
    if (!reader_expect(&reader->in, node, DOC_MAP))
        return;
    for (const struct doc_node *member = node->first; member; member = member->next) {
        const char *arn = config_copy(reader, member->key);

        if (arn)
            read_settings(reader, member, arn);
    }
}
