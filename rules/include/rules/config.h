/* rules/config.h - topicrule.yaml -> one checked struct. Every key, its meaning and its default:
 * packaging/topicrule.yaml.
 *
 * Strings that may hold ${get_secret(...)} are kept as templates (struct config_text) until the engine, which
 * has the secrets, expands them. Keys of things that are not built yet are refused as unknown. */
#ifndef RULES_CONFIG_H
#define RULES_CONFIG_H

#include "base/log.h"
#include "base/option.h"
#include "base/report.h"
#include "rules/listen.h"
#include "rules/rule.h"

#include <stdbool.h>
#include <stdint.h>

/* A string of the configuration: its template, compiled and settled (sql_template_is_settled). */
struct config_text {
    const char *text; /* as written; NULL: the key is absent */
    struct sql_template *tmpl;
    struct pos pos;
};

struct config_broker {
    const char *host; /* without brackets for IPv6 */
    int port;
    bool tls; /* mqtts:// */
};

/* What clientid(), principal(), sourceip() say: MQTT does not tell a subscriber. */
struct config_identity {
    int topic_level;           /* counted from 1; 0: not from the topic */
    const char *user_property; /* NULL: not from a user property */
};

struct config {
    const char *file;      /* as given; NULL: defaults alone */
    const char *directory; /* of the file: relative paths start here; "." without a file */

    struct {
        struct config_broker *brokers; /* tried in order */
        size_t broker_count;
        struct config_text client_id, username, password;
        int qos;           /* 0 or 1 */
        bool basic_ingest; /* also $aws/rules/<rule>/# */
        int keepalive_s;
        int64_t session_expiry_s;
        struct {
            struct config_text ca_file, cert_file, key_file,
                key_password; /* paths made absolute by the engine */
        } tls;
    } mqtt;

    const char *rules_path; /* resolved against `directory` */

    struct {
        struct option_group *backends; /* options without templates, nested ones as "auth.method" */
        size_t backend_count;
        const char *default_backend;
        int64_t cache_ms, stale_limit_ms;
        bool wait_at_start; /* for a backend that does not answer, instead of ending */
        const char **allow; /* patterns of ids that messages may compute (secrets_allowed) */
        size_t allow_count;
    } secrets;

    struct rule_defaults kafka; /* kafka.defaults and kafka.destinations */
    bool skip_unsupported;      /* unsupported_actions: skip */

    struct {
        int64_t hold_ms;                   /* 0: 1 s, under MQTT 3.1.1 200 ms */
        const char *store_path;            /* as written; NULL: the engine's choice */
        int64_t store_bytes;               /* of what waits */
        int64_t refused_bytes, refused_ms; /* what waits for refused topics, and how long */
        int64_t dead_bytes;                /* of dead letters */
        bool drop_failures;    /* what fails for good without an error action is dropped, as AWS does */
        bool drop_rule_errors; /* so is what a statement or a template fails on, with one too */
        bool dup_header;       /* mark records that may be there already */
    } delivery;

    struct {
        struct listen listen;
    } admin;

    struct {
        struct config_identity client_id, principal, source_ip;
        const char *account_id;
    } identity;

    struct {
        int64_t payload_bytes; /* largest MQTT payload; told to the broker as maximum packet size */
    } limits;

    struct {
        enum log_format format;
        enum log_level level;
    } log;
};

/* Read a file (YAML or JSON). NULL when there are errors, which are in the report. `file` NULL: the defaults.
 */
struct config *config_load(const char *file, struct report *report);
struct config *config_read(struct span text, const char *file, struct report *report);
void config_free(struct config *config);

/* A daemon that runs with `before` can go on with `after`, unless a key differs that needs a restart: its
 * path, as "mqtt.url", or NULL. */
const char *config_needs_restart(const struct config *before, const struct config *after);

#endif
