/* The configuration: what is read lands where it belongs, and packaging/topicrule.yaml lists every key. */
#include "config_key.h"
#include "rules/config.h"
#include "value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct config *must_read(const char *text, const char *file)
{
    struct report report = REPORT_INIT;
    struct config *config = config_read(span_of(text), file, &report);

    if (!config || report.count)
        report_print(&report, stderr);
    assert_non_null(config);
    report_done(&report);
    return config;
}

static void every_key_lands_in_its_place(void **state)
{
    struct config *c =
        must_read("mqtt:\n"
                  "  url: [mqtts://a.example, 'mqtt://[fe80::1]:1884']\n"
                  "  client_id: gw\n  qos: 0\n  basic_ingest: true\n  keepalive: 2m\n"
                  "  session_expiry: 36h\n  username: u\n  password: p${get_secret('a','SecretString','')}\n"
                  "  tls: {ca_file: ca, cert_file: ce, key_file: ke, key_password: kp}\n"
                  "rules: my/rules\nunsupported_actions: skip\n"
                  "secrets:\n  default: two\n  cache: 1500ms\n  stale_limit: 2d\n  backends:\n"
                  "    one: {type: directory, path: p1}\n"
                  "    two: {type: vault, auth: {method: approle, n: 5}, path: p2}\n"
                  "kafka:\n  defaults: {linger.ms: 5, a: true}\n"
                  "  destinations:\n    'arn:x': {bootstrap.servers: 'k:1'}\n"
                  "admin: {listen: 'unix:run/admin.sock'}\n"
                  "identity:\n  client_id: {topic_level: 2}\n  principal: {user_property: up}\n"
                  "  source_ip: {topic_level: 3}\n  account_id: '12'\n"
                  "limits: {payload: 128KiB}\nlog: {format: json, level: debug}\n",
                  "/etc/t/c.yaml");

    (void)state;
    assert_string_equal(c->file, "/etc/t/c.yaml");
    assert_string_equal(c->directory, "/etc/t");
    assert_int_equal(c->mqtt.broker_count, 2);
    assert_string_equal(c->mqtt.brokers[0].host, "a.example");
    assert_int_equal(c->mqtt.brokers[0].port, 8883);
    assert_true(c->mqtt.brokers[0].tls);
    assert_string_equal(c->mqtt.brokers[1].host, "fe80::1");
    assert_int_equal(c->mqtt.brokers[1].port, 1884);
    assert_false(c->mqtt.brokers[1].tls);
    assert_string_equal(c->mqtt.client_id.text, "gw");
    assert_int_equal(c->mqtt.qos, 0);
    assert_true(c->mqtt.basic_ingest);
    assert_int_equal(c->mqtt.keepalive_s, 120);
    assert_int_equal(c->mqtt.session_expiry_s, 129600);
    assert_string_equal(c->mqtt.username.text, "u");
    assert_non_null(c->mqtt.password.tmpl);
    assert_null(sql_template_constant(c->mqtt.password.tmpl).data);
    assert_string_equal(c->mqtt.tls.ca_file.text, "ca");
    assert_string_equal(c->mqtt.tls.cert_file.text, "ce");
    assert_string_equal(c->mqtt.tls.key_file.text, "ke");
    assert_string_equal(c->mqtt.tls.key_password.text, "kp");
    assert_string_equal(c->rules_path, "/etc/t/my/rules");
    assert_true(c->skip_unsupported);
    assert_string_equal(c->secrets.default_backend, "two");
    assert_int_equal(c->secrets.backend_count, 2);
    assert_int_equal(c->secrets.cache_ms, 1500);
    assert_int_equal(c->secrets.stale_limit_ms, 172800000);
    assert_string_equal(c->secrets.backends[0].options[0].value, "p1");
    assert_string_equal(c->secrets.backends[1].type, "vault");
    assert_int_equal(c->secrets.backends[1].option_count, 3);
    assert_string_equal(c->secrets.backends[1].options[0].name, "auth.method");
    assert_string_equal(c->secrets.backends[1].options[1].name, "auth.n");
    assert_string_equal(c->secrets.backends[1].options[1].value, "5");
    assert_string_equal(c->secrets.backends[1].options[2].name, "path");
    assert_int_equal(c->kafka.count, 3);
    assert_string_equal(c->kafka.items[0].name, "linger.ms");
    assert_string_equal(c->kafka.items[1].value, "true");
    assert_null(c->kafka.items[1].destination_arn);
    assert_string_equal(c->kafka.items[2].destination_arn, "arn:x");
    assert_string_equal(c->kafka.items[2].path, "kafka.destinations[\"arn:x\"].bootstrap.servers");
    assert_string_equal(c->kafka.file, c->file);
    assert_int_equal(c->admin.listen.how, LISTEN_UNIX);
    assert_string_equal(c->admin.listen.path, "/etc/t/run/admin.sock");
    assert_int_equal(c->identity.client_id.topic_level, 2);
    assert_string_equal(c->identity.principal.user_property, "up");
    assert_int_equal(c->identity.source_ip.topic_level, 3);
    assert_string_equal(c->identity.account_id, "12");
    assert_int_equal(c->limits.payload_bytes, 131072);
    assert_int_equal(c->log.format, LOG_JSON);
    assert_int_equal(c->log.level, LOG_DEBUG);
    config_free(c);
}

static void defaults(const struct config *c)
{
    assert_string_equal(c->mqtt.client_id.text, "topicrule");
    assert_true(span_is(sql_template_constant(c->mqtt.client_id.tmpl), "topicrule"));
    assert_int_equal(c->mqtt.qos, 1);
    assert_false(c->mqtt.basic_ingest);
    assert_int_equal(c->mqtt.keepalive_s, 30);
    assert_int_equal(c->mqtt.session_expiry_s, 604800);
    assert_null(c->mqtt.password.text);
    assert_int_equal(c->secrets.cache_ms, 900000);
    assert_int_equal(c->secrets.stale_limit_ms, 86400000);
    assert_false(c->skip_unsupported);
    assert_int_equal(c->kafka.count, 0);
    assert_int_equal(c->admin.listen.how, LISTEN_STANDARD);
    assert_int_equal(c->identity.client_id.topic_level, 0);
    assert_null(c->identity.client_id.user_property);
    assert_int_equal(c->limits.payload_bytes, 1048576);
    assert_int_equal(c->log.format, LOG_TEXT);
    assert_int_equal(c->log.level, LOG_INFO);
}

static void what_is_absent_has_its_default(void **state)
{
    struct config *c = must_read("{\"mqtt\": {\"url\": \"mqtt://h\"}, \"rules\": \"r\"}", "c.json");

    (void)state;
    defaults(c);
    assert_string_equal(c->directory, ".");
    assert_string_equal(c->rules_path, "r");
    assert_int_equal(c->mqtt.brokers[0].port, 1883);
    config_free(c);
}

static void without_a_file_there_are_defaults_alone(void **state)
{
    struct report report = REPORT_INIT;
    struct config *c = config_load(NULL, &report);

    (void)state;
    assert_int_equal(report.count, 0);
    defaults(c);
    assert_null(c->file);
    assert_null(c->rules_path);
    assert_int_equal(c->mqtt.broker_count, 0);
    config_free(c);
}

static void the_only_backend_is_the_default(void **state)
{
    struct config *c = must_read(
        "mqtt: {url: mqtt://h}\nrules: /abs\nsecrets: {backends: {f: {type: directory}}}", "d/c.yaml");

    (void)state;
    assert_string_equal(c->secrets.default_backend, "f");
    assert_string_equal(c->rules_path, "/abs");
    config_free(c);
}

static void a_missing_file_is_named(void **state)
{
    struct report report = REPORT_INIT;

    (void)state;
    assert_null(config_load("/nonexistent/c.yaml", &report));
    assert_int_equal(report.errors, 1);
    assert_string_equal(report.findings[0].err.file, "/nonexistent/c.yaml");
    assert_null(config_load("/", &report));
    assert_non_null(strstr(report.findings[1].err.text, "folder"));
    report_done(&report);
}

/* ---- units ---- */

static void units(void **state)
{
    static const struct {
        const char *text;
        int64_t ms, bytes; /* -1: refused */
    } rows[] = {
        {"200ms", 200, -1},
        {"1s", 1000, -1},
        {"15m", 900000, -1},
        {"24h", 86400000, -1},
        {"7d", 604800000, -1},
        {"0", -1, 0},
        {"65536", -1, 65536},
        {"64KiB", -1, 65536},
        {"1MiB", -1, 1048576},
        {"10GiB", -1, 10737418240},
        {"5B", -1, 5},
        {"1MB", -1, -1},
        {"1 s", -1, -1},
        {"-1s", -1, -1},
        {"s", -1, -1},
        {"", -1, -1},
        {"1.5h", -1, -1},
        {"9223372036854775807ms", INT64_MAX, -1},
        {"9223372036854775808ms", -1, -1},
        {"9223372036854775807d", -1, -1},
        {"99999999999999999999GiB", -1, -1},
        {"1S", -1, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t out = -1;

        if (value_duration(span_of(rows[i].text), &out) != (rows[i].ms >= 0) ||
            (rows[i].ms >= 0 && out != rows[i].ms))
            fail_msg("duration %s", rows[i].text);
        if (value_size(span_of(rows[i].text), &out) != (rows[i].bytes >= 0) ||
            (rows[i].bytes >= 0 && out != rows[i].bytes))
            fail_msg("size %s", rows[i].text);
    }
}

static void only_this_machine_is_listened_to(void **state)
{
    static const struct {
        const char *text;
        enum listen_how how; /* STANDARD: refused */
        const char *where;   /* path or host; refused: a word of the reason */
        int port;
    } rows[] = {
        {"127.0.0.1:9188", LISTEN_TCP, "127.0.0.1", 9188},
        {"127.8.8.8:1", LISTEN_TCP, "127.8.8.8", 1},
        {"localhost:9188", LISTEN_TCP, "127.0.0.1", 9188},
        {"[::1]:65535", LISTEN_TCP, "::1", 65535},
        {"unix:/run/t/a.sock", LISTEN_UNIX, "/run/t/a.sock", 0},
        {"unix:a.sock", LISTEN_UNIX, "/etc/t/a.sock", 0},
        {"off", LISTEN_OFF, "", 0},
        {"0.0.0.0:9188", LISTEN_STANDARD, "only this machine", 0},
        {"[::]:9188", LISTEN_STANDARD, "only this machine", 0},
        {"192.168.1.1:9188", LISTEN_STANDARD, "only this machine", 0},
        {"128.0.0.1:9188", LISTEN_STANDARD, "only this machine", 0},
        {"plant.example:9188", LISTEN_STANDARD, "only this machine", 0},
        {"127.0.0.1.example:9188", LISTEN_STANDARD, "only this machine", 0},
        {"127.1:9188", LISTEN_STANDARD, "only this machine", 0},
        {"[::ffff:10.0.0.1]:9188", LISTEN_STANDARD, "only this machine", 0},
        {"::1:9188", LISTEN_STANDARD, "brackets", 0},
        {"127.0.0.1", LISTEN_STANDARD, "expected", 0},
        {":9188", LISTEN_STANDARD, "expected", 0},
        {"9188", LISTEN_STANDARD, "expected", 0},
        {"", LISTEN_STANDARD, "expected", 0},
        {"127.0.0.1:", LISTEN_STANDARD, "port", 0},
        {"127.0.0.1:0", LISTEN_STANDARD, "port", 0},
        {"127.0.0.1:65536", LISTEN_STANDARD, "port", 0},
        {"127.0.0.1:123456", LISTEN_STANDARD, "port", 0},
        {"127.0.0.1:x", LISTEN_STANDARD, "port", 0},
        {"unix:", LISTEN_STANDARD, "needs the path", 0},
        {"unix:/"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaa",
         LISTEN_STANDARD, "too long", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct listen listen;
        const char *wrong = listen_read(span_of(rows[i].text), "/etc/t", &listen);

        if (!wrong != (rows[i].how != LISTEN_STANDARD))
            fail_msg("%s: %s", rows[i].text, wrong ? wrong : "not refused");
        if (wrong) {
            if (!strstr(wrong, rows[i].where))
                fail_msg("%s: %s", rows[i].text, wrong);
            continue;
        }
        assert_int_equal(listen.how, rows[i].how);
        assert_string_equal(listen.how == LISTEN_TCP ? listen.host : listen.path, rows[i].where);
        assert_int_equal(listen.port, rows[i].port);
    }
}

/* ---- packaging/topicrule.yaml ---- */

/* Take the # away from lines that are settings: "#" at the very left, and what follows is no word of prose.
 */
static char *uncommented(void)
{
    FILE *in = fopen(PACKAGING_DIR "/topicrule.yaml", "r");
    char line[512], *text = NULL;
    size_t size = 0;

    assert_non_null(in);
    FILE *out = open_memstream(&text, &size);
    while (fgets(line, sizeof line, in)) {
        bool is_setting = line[0] == '#' && line[1] != '\n' && (line[1] != ' ' || line[2] == ' ');

        (void)fputs(is_setting ? line + 1 : line, out);
    }
    (void)fclose(in);
    (void)fclose(out);
    return text;
}

static const struct doc_node *find(const struct doc_node *node, const char *path)
{
    while (node && *path) {
        char step[64];
        size_t size = strcspn(path, ".");

        (void)snprintf(step, sizeof step, "%.*s", (int)size, path);
        node = doc_get(node, step);
        path += size + (path[size] == '.');
    }
    return node;
}

static void the_example_configuration_loads(void **state)
{
    struct report report = REPORT_INIT;
    struct config *config = config_load(PACKAGING_DIR "/topicrule.yaml", &report);
    char *text = uncommented();

    (void)state;
    report_print(&report, stderr);
    assert_non_null(config);
    assert_int_equal(report.count, 0);
    defaults(config);
    config_free(config);
    config = config_read(span_of(text), "all.yaml", &report); /* refuses what is no key */
    if (!config)
        report_print(&report, stderr);
    assert_non_null(config);
    config_free(config);
    free(text);
    report_done(&report);
}

static void the_example_configuration_has_every_key_with_its_default(void **state)
{
    char *text = uncommented(), mention[96];
    struct doc doc;
    struct err err = {0};

    (void)state;
    assert_int_equal(doc_read(&doc, span_of(text), DOC_YAML, &err), 0);
    for (size_t i = 0; config_key_at(i); i++) {
        const struct config_key *key = config_key_at(i);
        const struct doc_node *node = find(doc.root, key->path);

        if (!node) { /* the other of two ways */
            const char *step = strrchr(key->path, '.');
            (void)snprintf(mention, sizeof mention, "    # %s: ", step ? step + 1 : key->path);
            const char *group = strstr(text, "identity:");
            if (!strstr(group, mention))
                fail_msg("packaging/topicrule.yaml lacks %s", key->path);
        } else if (key->standard && !span_is(node->text, key->standard)) {
            fail_msg("packaging/topicrule.yaml: %s is %s, the default is %s", key->path, node->text.data,
                     key->standard);
        }
    }
    doc_done(&doc);
    free(text);
}

static void what_needs_a_restart_is_named(void **state)
{
    static const char base[] =
        "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\nsecrets: {backends: {one: {type: directory, "
        "path: p}}}\nadmin: {listen: '127.0.0.1:9188'}\n";
    static const struct {
        const char *key, *text; /* NULL: none */
    } rows[] = {
        {NULL, "mqtt: {url: 'mqtts://a:1', client_id: gw, basic_ingest: true}\nrules: other\n"
               "secrets: {backends: {one: {type: directory, path: p}}, allow: [d/*], at_start: wait}\n"
               "admin: {listen: '127.0.0.1:9188'}\nkafka: {defaults: {linger.ms: 7}}\n"
               "delivery: {hold: 2s, refused: {max: 1MiB, after: 1h}, failures: drop, dup_header: true}\n"
               "identity: {account_id: '1'}\nlog: {level: debug}\n"},
        {"mqtt.url", "mqtt: {url: 'mqtts://b:1', client_id: gw}\nrules: r\n"},
        {"mqtt.url", "mqtt: {url: 'mqtts://a:2', client_id: gw}\nrules: r\n"},
        {"mqtt.url", "mqtt: {url: 'mqtt://a:1', client_id: gw}\nrules: r\n"},
        {"mqtt.url", "mqtt: {url: ['mqtts://a:1', 'mqtts://b:1'], client_id: gw}\nrules: r\n"},
        {"mqtt.client_id", "mqtt: {url: 'mqtts://a:1', client_id: other}\nrules: r\n"},
        {"mqtt.qos", "mqtt: {url: 'mqtts://a:1', client_id: gw, qos: 0}\nrules: r\n"},
        {"mqtt.keepalive", "mqtt: {url: 'mqtts://a:1', client_id: gw, keepalive: 31s}\nrules: r\n"},
        {"mqtt.session_expiry", "mqtt: {url: 'mqtts://a:1', client_id: gw, session_expiry: 1h}\nrules: r\n"},
        {"mqtt.username", "mqtt: {url: 'mqtts://a:1', client_id: gw, username: u}\nrules: r\n"},
        {"mqtt.tls.ca_file", "mqtt: {url: 'mqtts://a:1', client_id: gw, tls: {ca_file: x}}\nrules: r\n"},
        {"secrets.default", "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\n"},
        {"secrets.backends", "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\n"
                             "secrets: {backends: {one: {type: directory, path: q}}}\n"},
        {"secrets.backends", "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\n"
                             "secrets: {backends: {one: {type: vault, path: p}}}\n"},
        {"admin.listen", "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\n"
                         "secrets: {backends: {one: {type: directory, path: p}}}\nadmin: {listen: off}\n"},
        {"delivery.store.path", "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\n"
                                "secrets: {backends: {one: {type: directory, path: p}}}\n"
                                "admin: {listen: '127.0.0.1:9188'}\ndelivery: {store: {path: x}}\n"},
        {"limits.payload", "mqtt: {url: 'mqtts://a:1', client_id: gw}\nrules: r\n"
                           "secrets: {backends: {one: {type: directory, path: p}}}\n"
                           "admin: {listen: '127.0.0.1:9188'}\nlimits: {payload: 2MiB}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct report report = REPORT_INIT;
        struct config *before = config_read(span_of(base), "a.yaml", &report);
        struct config *after = config_read(span_of(rows[i].text), "a.yaml", &report);

        assert_true(before && after);
        const char *key = config_needs_restart(before, after);
        if (rows[i].key ? !key || strcmp(key, rows[i].key) != 0 : key != NULL)
            fail_msg("row %zu: %s needs a restart, not %s", i, key ? key : "nothing",
                     rows[i].key ? rows[i].key : "nothing");
        assert_null(config_needs_restart(before, before));
        config_free(before);
        config_free(after);
        report_done(&report);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_lands_in_its_place),
        cmocka_unit_test(what_is_absent_has_its_default),
        cmocka_unit_test(without_a_file_there_are_defaults_alone),
        cmocka_unit_test(the_only_backend_is_the_default),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(units),
        cmocka_unit_test(only_this_machine_is_listened_to),
        cmocka_unit_test(what_needs_a_restart_is_named),
        cmocka_unit_test(the_example_configuration_loads),
        cmocka_unit_test(the_example_configuration_has_every_key_with_its_default),
    };

    return cmocka_run_group_tests_name("configuration", tests, NULL, NULL);
}
