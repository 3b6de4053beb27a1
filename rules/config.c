/* config.c - the table of keys, and the reading of everything that fits a table. */
#include "rules/config.h"

#include "config_key.h"
#include "file.h"

#include "base/auto.h"
#include "base/wiped.h"

#include <stddef.h>
#include <stdio.h>

enum { CONFIG_MEMORY_MAX = 64 << 20 };

static const char *const failures[] = {"keep", "drop", NULL};
static const char *const rule_errors[] = {"report", "drop", NULL};
static const char *const at_start[] = {"fail", "wait", NULL};
static const char *const unsupported[] = {"refuse", "skip", NULL};
static const char *const formats[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json", NULL};
static const char *const levels[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL};

_Static_assert(sizeof(enum log_format) == sizeof(int) && sizeof(enum log_level) == sizeof(int),
               "read as int");

#define AT(member) offsetof(struct config, member)

/* One group's keys stand together. */
static const struct config_key keys[] = {
#define KEY(name, how, member, ...)                                                                          \
    {                                                                                                        \
        .path = (name), .kind = CONFIG_##how, .offset = AT(member), __VA_ARGS__                              \
    }
#define FIXED(...) KEY(__VA_ARGS__, .fixed = true)
#define OTHER(name, reads, ...)                                                                              \
    {                                                                                                        \
        .path = (name), .kind = CONFIG_OTHER, .read = (reads), __VA_ARGS__                                   \
    }
    OTHER("mqtt.url", config_read_url, .fixed = true, .same = config_same_url, .required = true,
          .example = "mqtt.url: mqtts://broker.plant:8883"),
    FIXED("mqtt.client_id", TEXT, mqtt.client_id, .standard = "topicrule"),
    FIXED("mqtt.qos", INT, mqtt.qos, .standard = "1", .least = 0, .most = 1),
    KEY("mqtt.basic_ingest", BOOL, mqtt.basic_ingest, .standard = "false"),
    FIXED("mqtt.keepalive", SECONDS, mqtt.keepalive_s, .standard = "30s", .least = 5, .most = 65535),
    FIXED("mqtt.session_expiry", SECONDS8, mqtt.session_expiry_s, .standard = "7d", .least = 60,
          .most = 49710LL * 86400),
    FIXED("mqtt.username", TEXT, mqtt.username, .standard = NULL),
    FIXED("mqtt.password", TEXT, mqtt.password, .standard = NULL),
    FIXED("mqtt.tls.ca_file", TEXT, mqtt.tls.ca_file, .standard = NULL),
    FIXED("mqtt.tls.cert_file", TEXT, mqtt.tls.cert_file, .standard = NULL),
    FIXED("mqtt.tls.key_file", TEXT, mqtt.tls.key_file, .standard = NULL),
    FIXED("mqtt.tls.key_password", TEXT, mqtt.tls.key_password, .standard = NULL),
    KEY("rules", STRING, rules_path, .required = true, .example = "rules: rules.d"),
    KEY("unsupported_actions", SWITCH, skip_unsupported, .standard = "refuse", .choices = unsupported),
    FIXED("secrets.default", STRING, secrets.default_backend, .standard = NULL),
    FIXED("secrets.cache", MILLIS, secrets.cache_ms, .standard = "15m", .least = 1000, .most = 86400000LL),
    FIXED("secrets.stale_limit", MILLIS, secrets.stale_limit_ms, .standard = "24h", .least = 1000,
          .most = 365 * 86400000LL),
    KEY("secrets.at_start", SWITCH, secrets.wait_at_start, .standard = "fail", .choices = at_start),
    OTHER("secrets.allow", config_read_allow, .standard = NULL),
    OTHER("secrets.backends", config_read_backends, .fixed = true, .same = config_same_backends,
          .standard = NULL),
    OTHER("kafka.defaults", config_read_defaults, .standard = NULL),
    OTHER("kafka.destinations", config_read_destinations, .standard = NULL),
    KEY("delivery.hold", MILLIS, delivery.hold_ms, .standard = NULL, .least = 10, .most = 60000),
    FIXED("delivery.store.path", STRING, delivery.store_path, .standard = NULL),
    FIXED("delivery.store.max", SIZE, delivery.store_bytes, .standard = "10GiB", .least = 1 << 20,
          .most = 1LL << 44),
    KEY("delivery.refused.max", SIZE, delivery.refused_bytes, .standard = "1GiB", .least = 0,
        .most = 1LL << 44),
    KEY("delivery.refused.after", MILLIS, delivery.refused_ms, .standard = "24h", .least = 1000,
        .most = 365 * 86400000LL),
    FIXED("delivery.dead.max", SIZE, delivery.dead_bytes, .standard = "1GiB", .least = 1 << 20,
          .most = 1LL << 44),
    KEY("delivery.failures", SWITCH, delivery.drop_failures, .standard = "keep", .choices = failures),
    KEY("delivery.rule_errors", SWITCH, delivery.drop_rule_errors, .standard = "report",
        .choices = rule_errors),
    KEY("delivery.dup_header", BOOL, delivery.dup_header, .standard = "false"),
    OTHER("admin.listen", config_read_listen, .fixed = true, .same = config_same_listen, .standard = NULL),
    KEY("identity.client_id.topic_level", INT, identity.client_id.topic_level, .least = 1, .most = 128),
    KEY("identity.client_id.user_property", STRING, identity.client_id.user_property, .standard = NULL),
    KEY("identity.principal.topic_level", INT, identity.principal.topic_level, .least = 1, .most = 128),
    KEY("identity.principal.user_property", STRING, identity.principal.user_property, .standard = NULL),
    KEY("identity.source_ip.topic_level", INT, identity.source_ip.topic_level, .least = 1, .most = 128),
    KEY("identity.source_ip.user_property", STRING, identity.source_ip.user_property, .standard = NULL),
    KEY("identity.account_id", STRING, identity.account_id, .standard = NULL),
    FIXED("limits.payload", SIZE, limits.payload_bytes, .standard = "1MiB", .least = 1024,
          .most = 256LL << 20),
    KEY("log.format", CHOICE, log.format, .standard = "text", .choices = formats),
    KEY("log.level", CHOICE, log.level, .standard = "info", .choices = levels),
#undef KEY
#undef FIXED
#undef OTHER
};

struct config_box {
    struct config config; /* first: a configuration is its box */
    struct arena arena;
};

DEFINE_DROP(config, struct config *, config_free)

const struct config_key *config_key_at(size_t index)
{
    return index < sizeof keys / sizeof *keys ? &keys[index] : NULL;
}

/* ---- the tree ---- */

enum { KEY_COUNT = sizeof keys / sizeof *keys };

/* The step of the key's path that follows `prefix` ("" or "mqtt."); data NULL if it lies elsewhere. */
static struct span step_below(const struct config_key *key, struct span prefix)
{
    if (strncmp(key->path, prefix.data, prefix.size) != 0)
        return (struct span){NULL, 0};
    const char *step = key->path + prefix.size;
    return (struct span){step, strcspn(step, ".")};
}

/* Refuse what is no key below `prefix`. */
static void check_level(struct config_reader *reader, const struct doc_node *map, struct span prefix)
{
    const char *names[KEY_COUNT + 1];
    struct span last = {NULL, 0};
    size_t count = 0;

    for (size_t i = 0; i < KEY_COUNT; i++) { /* keys of one group stand together */
        struct span step = step_below(&keys[i], prefix);

        if (!step.data || span_equal(step, last))
            continue;
        last = step;
        names[count] = arena_text(&reader->in.doc.arena, step);
        if (!names[count++]) {
            reader_memory(&reader->in);
            return;
        }
    }
    names[count] = NULL;
    reader_check_keys(&reader->in, map, names);
}

/* Deeper only as the table is deep. */
static void read_level(struct config_reader *reader, const struct doc_node *map, struct span prefix,
                       bool *seen)
{
    check_level(reader, map, prefix);
    for (const struct doc_node *member = map->first; member; member = member->next) {
        bool is_group = false;

        for (size_t i = 0; i < KEY_COUNT; i++) {
            struct span step = step_below(&keys[i], prefix);

            if (!step.data || !span_equal(step, member->key))
                continue;
            is_group = step.data[step.size] == '.';
            if (is_group) {
                struct span below = {keys[i].path, prefix.size + step.size + 1};

                if (member->type == DOC_NULL)
                    break; /* every key of the group is commented out */
                if (reader_expect(&reader->in, member, DOC_MAP))
                    read_level(reader, member, below, seen);
                break;
            }
            seen[i] = true;
            config_read_value(reader, &keys[i], member);
            break;
        }
    }
}

/* A default goes the way of what is written. */
static void read_standard(struct config_reader *reader, const struct config_key *key)
{
    struct doc_node node = {.type = DOC_STRING, .text = span_of(key->standard)};

    if (key->kind == CONFIG_INT)
        node.type = DOC_NUMBER;
    else if (key->kind == CONFIG_BOOL)
        node.type = DOC_BOOL;
    node.on = strcmp(key->standard, "true") == 0;
    config_read_value(reader, key, &node);
}

/* ---- what one key says about another ---- */

static void warn_at(struct config_reader *reader, const char *path, struct pos pos, const char *text)
{
    report_warn(reader->in.report, reader->in.file, path, pos, "%s", text);
}

/* Where the value of a key stands; {0,0}: nowhere. */
static struct pos place_of(const struct config_reader *reader, const char *path)
{
    const struct doc_node *node = reader->in.doc.root;

    while (node && *path) {
        size_t size = strcspn(path, ".");
        const struct doc_node *member = node->first;

        while (member && !span_equal(member->key, (struct span){path, size}))
            member = member->next;
        node = member;
        path += size + (path[size] == '.');
    }
    return node ? node->pos : (struct pos){0, 0};
}

static void check_identity(struct config_reader *reader, const struct config_identity *identity,
                           const char *path)
{
    if (identity->topic_level && identity->user_property)
        report_error(reader->in.report, reader->in.file, path, place_of(reader, path),
                     "topic_level or user_property, not both");
}

static void check_secrets(struct config_reader *reader)
{
    struct config *config = reader->config;

    if (!config->secrets.default_backend && config->secrets.backend_count == 1)
        config->secrets.default_backend = config->secrets.backends[0].name;
    if (!config->secrets.default_backend)
        return;
    for (size_t i = 0; i < config->secrets.backend_count; i++)
        if (strcmp(config->secrets.backends[i].name, config->secrets.default_backend) == 0)
            return;
    report_error(reader->in.report, reader->in.file, "secrets.default", place_of(reader, "secrets.default"),
                 "there is no backend \"%s\" under secrets.backends", config->secrets.default_backend);
}

static void check_whole(struct config_reader *reader)
{
    const struct config *config = reader->config;
    bool tls = false;

    for (size_t i = 0; i < config->mqtt.broker_count; i++)
        tls |= config->mqtt.brokers[i].tls;
    if (!config->mqtt.tls.cert_file.text != !config->mqtt.tls.key_file.text) {
        bool has_cert = config->mqtt.tls.cert_file.text;

        report_error(reader->in.report, reader->in.file,
                     has_cert ? "mqtt.tls.cert_file" : "mqtt.tls.key_file",
                     has_cert ? config->mqtt.tls.cert_file.pos : config->mqtt.tls.key_file.pos,
                     "a client certificate needs both cert_file and key_file");
    }
    if (config->mqtt.tls.ca_file.text && !tls && config->mqtt.broker_count)
        warn_at(reader, "mqtt.tls.ca_file", config->mqtt.tls.ca_file.pos,
                "no effect: no address under mqtt.url starts with mqtts://");
    if (config->mqtt.password.text && !config->mqtt.username.text)
        warn_at(reader, "mqtt.password", config->mqtt.password.pos,
                "a password without mqtt.username: most brokers refuse that");
    check_identity(reader, &config->identity.client_id, "identity.client_id");
    check_identity(reader, &config->identity.principal, "identity.principal");
    check_identity(reader, &config->identity.source_ip, "identity.source_ip");
    check_secrets(reader);
}

/* ---- the whole ---- */

/* `rules: rules.d` is meant beside the file. */
static void resolve_rules(struct config_reader *reader)
{
    const char *path = reader->config->rules_path, *folder = reader->config->directory;

    if (!path || path[0] == '/' || strcmp(folder, ".") == 0)
        return;
    size_t size = strlen(folder) + strlen(path) + 2;
    char *whole = config_array(reader, size, 1);
    if (whole)
        (void)snprintf(whole, size, "%s/%s", folder, path);
    reader->config->rules_path = whole;
}

static void read_all(struct config_reader *reader, struct span text)
{
    bool seen[KEY_COUNT] = {false};
    struct err err = {0};

    if (reader->in.file) {
        if (doc_read(&reader->in.doc, text, doc_format_of(reader->in.file, text), &err) != 0) {
            err_in(&err, reader->in.file, NULL);
            report_add(reader->in.report, SEVERITY_ERROR, &err);
            return;
        }
        if (!reader_expect(&reader->in, reader->in.doc.root, DOC_MAP))
            return;
        read_level(reader, reader->in.doc.root, SPAN(""), seen);
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (!seen[i] && keys[i].standard)
            read_standard(reader, &keys[i]);
        if (!seen[i] && keys[i].required && reader->in.file)
            reader_error(&reader->in, reader->in.doc.root, ERR_VALUE, "lacks \"%s\", for example %s",
                         keys[i].path, keys[i].example);
    }
    check_whole(reader);
    resolve_rules(reader);
}

struct config *config_read(struct span text, const char *file, struct report *report)
{
    AUTO(config_drop) struct config *config = NULL;
    struct config_box *box = calloc(1, sizeof *box);
    struct config_reader reader = {.in = {.file = file, .report = report}};
    size_t errors = report->errors;
    const char *slash = file ? strrchr(file, '/') : NULL;

    if (!box) {
        reader_memory(&reader.in);
        return NULL;
    }
    config = reader.config = &box->config;
    reader.arena = &box->arena;
    arena_init(&box->arena, CONFIG_MEMORY_MAX);
    config->file = file ? config_copy(&reader, span_of(file)) : NULL;
    config->directory = ".";
    if (slash)
        config->directory =
            config_copy(&reader, (struct span){file, slash == file ? 1 : (size_t)(slash - file)});
    if (config->directory && (config->file || !file))
        read_all(&reader, text);
    config->kafka.file = config->file;
    doc_done(&reader.in.doc);
    return report->errors > errors ? NULL : TAKE(config);
}

struct config *config_load(const char *file, struct report *report)
{
    struct err err = {0};
    struct span text;

    if (!file)
        return config_read(SPAN(""), NULL, report);
    if (file_read(file, &text, &err) != 0) {
        report_add(report, SEVERITY_ERROR, &err);
        return NULL;
    }
    struct config *config = config_read(text, file, report);
    wipe((char *)(uintptr_t)text.data, text.size);
    free_text(text.data);
    return config;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    struct config_box *box = (struct config_box *)config;
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (keys[i].kind == CONFIG_TEXT)
            sql_template_free(((struct config_text *)config_slot(config, &keys[i]))->tmpl);
    arena_done(&box->arena);
    free(box);
}
