/* check.c - what depends on several settings together, and what is known to go wrong later. */
#include "kerberos.h"
#include "material.h"
#include "realms.h"
#include "settings.h"

#include <stdio.h>
#include <time.h>

enum { TRUST_MAX_BYTES = 65 * 1024 }; /* AWS: "the maximum size of this value is 65 KB" */

static bool is_set(const struct settings *settings, enum prop_id id)
{
    return settings->slots[id].set;
}

static const struct action_setting *from(const struct settings *settings, enum prop_id id)
{
    return settings->slots[id].from;
}

/* The name a person wrote, or ours. */
static const char *called(const struct settings *settings, enum prop_id id)
{
    return from(settings, id) ? from(settings, id)->name : props[id].name;
}

/* ---- where to connect ---- */

static bool good_port(struct span text)
{
    unsigned port = 0;

    if (text.size == 0 || text.size > 5)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    return port > 0 && port < 65536;
}

/* host:port, host, [v6]:port, optionally after PROTOCOL:// as Kafka writes listeners. */
static bool good_broker(struct span text)
{
    const char *scheme = text.size ? memmem(text.data, text.size, "://", 3) : NULL;

    if (scheme) {
        text.size -= (size_t)(scheme + 3 - text.data);
        text.data = scheme + 3;
    }
    const char *colon = text.size ? memrchr(text.data, ':', text.size) : NULL;
    const char *bracket = text.size ? memrchr(text.data, ']', text.size) : NULL;

    if (colon && (!bracket || colon > bracket)) {
        if (!good_port((struct span){colon + 1, text.size - (size_t)(colon + 1 - text.data)}))
            return false;
        text.size = (size_t)(colon - text.data);
    }
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] <= ' ' || strchr(",;/\"'", text.data[i]))
            return false;
    return bracket || !memchr(text.data, ':', text.size); /* "k1:9092 k2:9092" in other words */
}

static void check_bootstrap(const struct settings *settings, struct report *report)
{
    const struct slot *slot = &settings->slots[PROP_BOOTSTRAP];
    struct span rest = slot->text;

    if (is_set(settings, PROP_MOCK) || slot->is_template)
        return;
    if (slot->wrong)
        return;
    if (!slot->set) {
        report_error(report, PLACE(slot->from),
                     "bootstrap.servers is missing: name at least one broker, as host:port");
        return;
    }
    while (rest.size) {
        const char *comma = rest.size ? memchr(rest.data, ',', rest.size) : NULL;
        struct span one = {rest.data, comma ? (size_t)(comma - rest.data) : rest.size};

        rest = comma ? (struct span){comma + 1, rest.size - one.size - 1} : (struct span){NULL, 0};
        while (one.size && one.data[0] == ' ') {
            one.data++;
            one.size--;
        }
        while (one.size && one.data[one.size - 1] == ' ')
            one.size--;
        if (!good_broker(one))
            report_error(report, PLACE(slot->from), "expected host:port in %s, found '" SPAN_FMT "'",
                         called(settings, PROP_BOOTSTRAP), SPAN_ARG(setting_shown(slot->from, one)));
    }
}

/* ---- the promise ---- */

static void check_promise(const struct settings *settings, struct report *report)
{
    struct span acks = setting_text(settings, PROP_ACKS);
    const struct slot *idempotence = &settings->slots[PROP_IDEMPOTENCE];
    bool asked = idempotence->set && span_is(idempotence->text, "true");

    if (span_is(acks, "0"))
        report_warn(
            report, PLACE(from(settings, PROP_ACKS)),
            "acks is 0: records are lost without a word when the broker is down, has no right for them or "
            "finds them too large; an MQTT message is acknowledged before Kafka has it");
    else if (span_is(acks, "1"))
        report_warn(report, PLACE(from(settings, PROP_ACKS)),
                    "acks is 1: a record is lost when its broker fails before the others have copied it; "
                    "leave acks out, or say all");
    if (asked && (span_is(acks, "0") || span_is(acks, "1")))
        report_error(report, PLACE(idempotence->from), "enable.idempotence needs acks to be all");
    if (asked && is_set(settings, PROP_IN_FLIGHT) && setting_number(settings, PROP_IN_FLIGHT) > 5)
        report_error(report, PLACE(from(settings, PROP_IN_FLIGHT)),
                     "enable.idempotence needs %s to be 5 at most", called(settings, PROP_IN_FLIGHT));
    if (asked && is_set(settings, PROP_RETRIES) && setting_number(settings, PROP_RETRIES) == 0 &&
        !settings->slots[PROP_RETRIES].is_template)
        report_error(report, PLACE(from(settings, PROP_RETRIES)), "enable.idempotence needs retries");
    if (idempotence->set && span_is(idempotence->text, "false") && span_is(acks, "all"))
        report_warn(report, PLACE(idempotence->from),
                    "enable.idempotence is false: a lost answer from a broker makes a record appear twice");
    if (!settings->idempotent && !span_is(acks, "0") && is_set(settings, PROP_IN_FLIGHT) &&
        setting_number(settings, PROP_IN_FLIGHT) > 1)
        report_warn(
            report, PLACE(from(settings, PROP_IN_FLIGHT)),
            "%s is above 1 without idempotence: a repeated request may change the order of records with "
            "one key",
            called(settings, PROP_IN_FLIGHT));
    if (setting_number(settings, PROP_BATCH_SIZE) > setting_number(settings, PROP_MAX_RECORD))
        report_warn(report, PLACE(from(settings, PROP_BATCH_SIZE)),
                    "batch.size is above message.max.bytes, which bounds a batch as well");
}

/* ---- TLS ---- */

static void check_versions(const struct settings *settings, struct report *report)
{
    struct span rest = setting_text(settings, PROP_TLS_VERSIONS);

    while (rest.size) {
        const char *comma = memchr(rest.data, ',', rest.size);
        struct span one = {rest.data, comma ? (size_t)(comma - rest.data) : rest.size};

        rest = comma ? (struct span){comma + 1, rest.size - one.size - 1} : (struct span){NULL, 0};
        while (one.size && one.data[0] == ' ') {
            one.data++;
            one.size--;
        }
        if (!span_is(one, "TLSv1.2") && !span_is(one, "TLSv1.3") && !span_is(one, "TLS"))
            report_error(report, PLACE(from(settings, PROP_TLS_VERSIONS)),
                         "TLSv1.2 and TLSv1.3 are spoken, '" SPAN_FMT "' is not",
                         SPAN_ARG(setting_shown(from(settings, PROP_TLS_VERSIONS), one)));
    }
}

static void check_material(const struct settings *settings, struct report *report)
{
    struct material material = {0};
    const struct action_setting *blame = NULL;
    struct err err;

    if (material_load(&material, settings, &err, &blame) != 0) {
        report_error(report, PLACE(blame), "%s", err.text);
        material_done(&material);
        return;
    }
    if (material.system_trust)
        report_warn(report, PLACE(blame),
                    "no ssl.truststore: the broker must be trusted by %s of this system",
                    material.system_trust);
    if (material.chain) {
        int64_t left = material.not_after - (int64_t)time(NULL);
        char day[32] = "";
        time_t end = (time_t)material.not_after;
        struct tm tm;

        if (gmtime_r(&end, &tm))
            (void)strftime(day, sizeof day, "%Y-%m-%d", &tm);
        if (left < 0)
            report_warn(report, PLACE(from(settings, PROP_KEYSTORE)),
                        "our own certificate %s ended on %s; brokers will refuse it", material.subject, day);
        else if (left < (int64_t)SOON_DAYS * 86400)
            report_warn(report, PLACE(from(settings, PROP_KEYSTORE)), "our own certificate %s ends on %s",
                        material.subject, day);
    }
    material_done(&material);
}

/* A password, or a type, without the store that it is for. */
static void check_passwords(const struct settings *settings, struct report *report)
{
    const bool key = is_set(settings, PROP_KEY), store = is_set(settings, PROP_KEYSTORE);
    const struct {
        enum prop_id id;
        bool used;
        const char *what;
    } rows[] = {
        {PROP_TRUST_PASSWORD, is_set(settings, PROP_TRUST), "ssl.truststore"},
        {PROP_KEYSTORE_PASSWORD, store, "ssl.keystore"},
        {PROP_KEY_PASSWORD, store || key, "ssl.keystore and no ssl.keystore.key"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_set(settings, rows[i].id) && !rows[i].used)
            report_warn(report, PLACE(from(settings, rows[i].id)), "%s has no effect: there is no %s",
                        called(settings, rows[i].id), rows[i].what);
    if (is_set(settings, PROP_TRUST) && span_is(setting_text(settings, PROP_TRUST_TYPE), "NONE"))
        report_warn(report, PLACE(from(settings, PROP_TRUST_TYPE)),
                    "%s is NONE, but there is %s, which is used all the same",
                    called(settings, PROP_TRUST_TYPE), called(settings, PROP_TRUST));
    if (store && span_is(setting_text(settings, PROP_KEYSTORE_TYPE), "NONE"))
        report_warn(report, PLACE(from(settings, PROP_KEYSTORE_TYPE)),
                    "%s is NONE, but there is %s, which is used all the same",
                    called(settings, PROP_KEYSTORE_TYPE), called(settings, PROP_KEYSTORE));
}

static void check_tls(const struct settings *settings, struct report *report)
{
    static const enum prop_id parts[] = {
        PROP_TRUST, PROP_TRUST_PASSWORD, PROP_KEYSTORE,     PROP_KEYSTORE_PASSWORD,
        PROP_KEY,   PROP_CHAIN,          PROP_KEY_PASSWORD, PROP_CRL,
    };
    const struct slot *trust = &settings->slots[PROP_TRUST];

    if (is_set(settings, PROP_VERIFY) && span_is(settings->slots[PROP_VERIFY].text, "false"))
        report_error(
            report, PLACE(from(settings, PROP_VERIFY)),
            "%s is refused: a broker that is not verified could be anybody; give the authority that issued "
            "its certificate as ssl.truststore",
            called(settings, PROP_VERIFY));
    if (settings->protocol != PROTOCOL_UNKNOWN && !settings->tls) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (is_set(settings, parts[i]))
                report_warn(report, PLACE(from(settings, parts[i])),
                            "%s has no effect: security.protocol is " SPAN_FMT, called(settings, parts[i]),
                            SPAN_ARG(setting_text(settings, PROP_PROTOCOL)));
        return;
    }
    check_versions(settings, report);
    check_passwords(settings, report);
    if (span_is(setting_text(settings, PROP_HOSTNAME), "none"))
        report_warn(
            report, PLACE(from(settings, PROP_HOSTNAME)),
            "the broker's host name is not compared with its certificate: whoever has any certificate of a "
            "trusted authority can take its place");
    if (trust->set && trust->form != FORM_FILE && trust->text.size > TRUST_MAX_BYTES)
        report_error(report, PLACE(trust->from), "%s has %zu bytes; 65 KB is the most", trust->from->name,
                     trust->text.size);
    if (settings->protocol == PROTOCOL_SSL && !is_set(settings, PROP_KEYSTORE) && !is_set(settings, PROP_KEY))
        report_warn(
            report, PLACE(from(settings, PROP_PROTOCOL)),
            "security.protocol is SSL and there is no ssl.keystore: AWS demands one, and so may the broker");
    if (is_set(settings, PROP_KEY) != is_set(settings, PROP_CHAIN) && !is_set(settings, PROP_KEYSTORE))
        report_error(report, PLACE(from(settings, is_set(settings, PROP_KEY) ? PROP_KEY : PROP_CHAIN)),
                     "%s is given without %s",
                     called(settings, is_set(settings, PROP_KEY) ? PROP_KEY : PROP_CHAIN),
                     props[is_set(settings, PROP_KEY) ? PROP_CHAIN : PROP_KEY].name);
    if (is_set(settings, PROP_KEYSTORE) && (is_set(settings, PROP_KEY) || is_set(settings, PROP_CHAIN)))
        report_error(report, PLACE(from(settings, PROP_KEYSTORE)),
                     "%s and %s are both given; which is meant?", called(settings, PROP_KEYSTORE),
                     called(settings, is_set(settings, PROP_KEY) ? PROP_KEY : PROP_CHAIN));
    if (settings->slots[PROP_KEYSTORE].is_template && !is_set(settings, PROP_KEYSTORE_PASSWORD))
        report_warn(report, PLACE(from(settings, PROP_KEYSTORE)),
                    "ssl.keystore.password is missing: AWS demands it, and PKCS#12 and JKS need it");
    if (report->errors == 0)
        check_material(settings, report);
}

/* ---- SASL ---- */

/* Written, if perhaps wrongly, which was told. */
static bool is_written(const struct settings *settings, enum prop_id id)
{
    return settings->slots[id].set || settings->slots[id].wrong;
}

static void need(const struct settings *settings, bool there, const char *name, const char *because,
                 struct report *report)
{
    if (!there && !settings->slots[PROP_JAAS].wrong)
        report_error(report, PLACE(from(settings, PROP_MECHANISM)),
                     "%s is missing: sasl.mechanism %s needs it", name, because);
}

static void check_login(const struct settings *settings, struct report *report)
{
    const char *name = setting_text(settings, PROP_MECHANISM).data;

    switch (settings->mechanism) {
    case MECHANISM_NONE: return;
    case MECHANISM_UNKNOWN:
        if (!is_written(settings, PROP_MECHANISM) && !settings->slots[PROP_JAAS].wrong)
            report_error(report, PLACE(from(settings, PROP_PROTOCOL)),
                         "sasl.mechanism is missing: security.protocol " SPAN_FMT " needs it",
                         SPAN_ARG(setting_text(settings, PROP_PROTOCOL)));
        return;
    case MECHANISM_PLAIN:
        need(settings, is_written(settings, PROP_PLAIN_USERNAME) || is_written(settings, PROP_USERNAME),
             "sasl.plain.username", "PLAIN", report);
        need(settings, is_written(settings, PROP_PLAIN_PASSWORD) || is_written(settings, PROP_PASSWORD),
             "sasl.plain.password", "PLAIN", report);
        return;
    case MECHANISM_SCRAM_SHA_256:
    case MECHANISM_SCRAM_SHA_512:
        name = settings->mechanism == MECHANISM_SCRAM_SHA_256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512";
        need(settings, is_written(settings, PROP_SCRAM_USERNAME) || is_written(settings, PROP_USERNAME),
             "sasl.scram.username", name, report);
        need(settings, is_written(settings, PROP_SCRAM_PASSWORD) || is_written(settings, PROP_PASSWORD),
             "sasl.scram.password", name, report);
        return;
    case MECHANISM_GSSAPI:
        need(settings, is_written(settings, PROP_KEYTAB), "sasl.kerberos.keytab", "GSSAPI", report);
        need(settings, is_written(settings, PROP_SERVICE), "sasl.kerberos.service.name", "GSSAPI", report);
        need(settings, is_written(settings, PROP_KDC), "sasl.kerberos.krb5.kdc", "GSSAPI", report);
        need(settings, is_written(settings, PROP_REALM), "sasl.kerberos.krb5.realm", "GSSAPI", report);
        need(settings, is_written(settings, PROP_PRINCIPAL), "sasl.kerberos.principal", "GSSAPI", report);
        return;
    case MECHANISM_OAUTHBEARER:
        need(settings, is_written(settings, PROP_OAUTH_TOKEN) || is_written(settings, PROP_OAUTH_URL),
             "sasl.oauthbearer.token.endpoint.url (or sasl.oauthbearer.token)", "OAUTHBEARER", report);
        if (!is_written(settings, PROP_OAUTH_URL))
            return;
        need(settings, is_written(settings, PROP_OAUTH_ID), props[PROP_OAUTH_ID].name,
             "OAUTHBEARER with a token endpoint", report);
        need(settings, is_written(settings, PROP_OAUTH_SECRET), props[PROP_OAUTH_SECRET].name,
             "OAUTHBEARER with a token endpoint", report);
        return;
    case MECHANISM_AWS_MSK_IAM:
        if (settings->protocol != PROTOCOL_SASL_SSL)
            report_error(report, PLACE(from(settings, PROP_PROTOCOL)),
                         "sasl.mechanism AWS_MSK_IAM needs security.protocol to be SASL_SSL");
        return;
    }
}

/* What is written into the Kerberos configuration, and the keytab against the principal. */
static void check_kerberos(const struct settings *settings, struct report *report)
{
    static const enum prop_id parts[] = {PROP_REALM, PROP_KDC, PROP_PRINCIPAL, PROP_KEYTAB};
    struct span realm = setting_text(settings, PROP_REALM), kdcs = setting_text(settings, PROP_KDC);
    char principal[512];
    struct wiped *keytab;
    struct err err;

    if (realm.size && realms_check_name(realm, &err) != 0)
        report_error(report, PLACE(from(settings, PROP_REALM)), "%s", err.text);
    if (kdcs.size && realms_check_kdcs(kdcs, &err) != 0)
        report_error(report, PLACE(from(settings, PROP_KDC)), "%s", err.text);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!is_set(settings, parts[i]) || settings->slots[parts[i]].is_template)
            return;
    keytab = material_bytes(settings, PROP_KEYTAB, &err);
    if (!keytab) {
        report_error(report, PLACE(from(settings, PROP_KEYTAB)), "%s", err.text);
    } else if (kerberos_full_name(setting_text(settings, PROP_PRINCIPAL), realm, principal,
                                  sizeof principal) != 0) {
        report_error(report, PLACE(from(settings, PROP_PRINCIPAL)), "sasl.kerberos.principal is too long");
    } else if (kerberos_check_keytab(wiped_reveal(keytab), principal, &err) != 0) {
        report_error(report, PLACE(from(settings, PROP_KEYTAB)), "%s: %s", called(settings, PROP_KEYTAB),
                     err.text);
    }
    wiped_free(keytab);
}

static void check_built(const struct settings *settings, bool release, struct report *report)
{
    const char *name = settings->mechanism == MECHANISM_OAUTHBEARER   ? "OAUTHBEARER"
                       : settings->mechanism == MECHANISM_AWS_MSK_IAM ? "AWS_MSK_IAM"
                                                                      : NULL;

    if (!name)
        return;
    if (release)
        report_error(report, PLACE(from(settings, PROP_MECHANISM)),
                     "sasl.mechanism %s is not built in this version: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 "
                     "and GSSAPI are",
                     name);
    else
        report_warn(report, PLACE(from(settings, PROP_MECHANISM)),
                    "sasl.mechanism %s is known, but this version cannot log in by it", name);
}

/* Read from a JAAS line, of which it is told once. */
static bool is_of_jaas(const struct settings *settings, enum prop_id id)
{
    return id != PROP_JAAS && is_set(settings, PROP_JAAS) && from(settings, id) == from(settings, PROP_JAAS);
}

/* Fields of a mechanism that is not the one in force were probably left behind. */
static void check_others(const struct settings *settings, struct report *report)
{
    static const struct {
        enum prop_id id;
        unsigned mechanisms;
    } fields[] = {
        {PROP_PLAIN_USERNAME, 1u << MECHANISM_PLAIN},
        {PROP_PLAIN_PASSWORD, 1u << MECHANISM_PLAIN},
        {PROP_SCRAM_USERNAME, 1u << MECHANISM_SCRAM_SHA_256 | 1u << MECHANISM_SCRAM_SHA_512},
        {PROP_SCRAM_PASSWORD, 1u << MECHANISM_SCRAM_SHA_256 | 1u << MECHANISM_SCRAM_SHA_512},
        {PROP_USERNAME,
         1u << MECHANISM_PLAIN | 1u << MECHANISM_SCRAM_SHA_256 | 1u << MECHANISM_SCRAM_SHA_512},
        {PROP_PASSWORD,
         1u << MECHANISM_PLAIN | 1u << MECHANISM_SCRAM_SHA_256 | 1u << MECHANISM_SCRAM_SHA_512},
        {PROP_KEYTAB, 1u << MECHANISM_GSSAPI},
        {PROP_SERVICE, 1u << MECHANISM_GSSAPI},
        {PROP_KDC, 1u << MECHANISM_GSSAPI},
        {PROP_REALM, 1u << MECHANISM_GSSAPI},
        {PROP_PRINCIPAL, 1u << MECHANISM_GSSAPI},
        {PROP_OAUTH_URL, 1u << MECHANISM_OAUTHBEARER},
        {PROP_OAUTH_ID, 1u << MECHANISM_OAUTHBEARER},
        {PROP_OAUTH_SECRET, 1u << MECHANISM_OAUTHBEARER},
        {PROP_OAUTH_SCOPE, 1u << MECHANISM_OAUTHBEARER},
        {PROP_OAUTH_TOKEN, 1u << MECHANISM_OAUTHBEARER},
    };

    if (settings->mechanism == MECHANISM_UNKNOWN || settings->protocol == PROTOCOL_UNKNOWN)
        return;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!is_set(settings, fields[i].id) || (fields[i].mechanisms & 1u << settings->mechanism) ||
            is_of_jaas(settings, fields[i].id))
            continue;
        if (settings->sasl)
            report_warn(report, PLACE(from(settings, fields[i].id)),
                        "%s has no effect: sasl.mechanism is " SPAN_FMT, called(settings, fields[i].id),
                        SPAN_ARG(setting_text(settings, PROP_MECHANISM)));
        else
            report_warn(report, PLACE(from(settings, fields[i].id)),
                        "%s has no effect: security.protocol is " SPAN_FMT, called(settings, fields[i].id),
                        SPAN_ARG(setting_text(settings, PROP_PROTOCOL)));
    }
    if (!settings->sasl && is_set(settings, PROP_JAAS))
        report_warn(report, PLACE(from(settings, PROP_JAAS)),
                    "%s has no effect: security.protocol is " SPAN_FMT, called(settings, PROP_JAAS),
                    SPAN_ARG(setting_text(settings, PROP_PROTOCOL)));
    if (!settings->sasl && is_set(settings, PROP_MECHANISM) && !is_of_jaas(settings, PROP_MECHANISM))
        report_warn(report, PLACE(from(settings, PROP_MECHANISM)),
                    "%s has no effect: security.protocol is " SPAN_FMT, called(settings, PROP_MECHANISM),
                    SPAN_ARG(setting_text(settings, PROP_PROTOCOL)));
}

/* ---- what others could read ---- */

static void check_exposure(const struct settings *settings, struct report *report)
{
    if (settings->protocol == PROTOCOL_PLAINTEXT && !is_set(settings, PROP_MOCK))
        report_warn(report, PLACE(from(settings, PROP_PROTOCOL)),
                    "security.protocol is PLAINTEXT: records cross the network readable, and brokers are not "
                    "verified");
    if (settings->protocol == PROTOCOL_SASL_PLAINTEXT)
        report_warn(report, PLACE(from(settings, PROP_PROTOCOL)),
                    "security.protocol is SASL_PLAINTEXT: records cross the network readable%s",
                    settings->mechanism == MECHANISM_PLAIN         ? ", and so does the password"
                    : settings->mechanism == MECHANISM_OAUTHBEARER ? ", and so does the token"
                                                                   : "");
    for (size_t id = 0; id < PROP_COUNT; id++) {
        const struct slot *slot = &settings->slots[id];

        if (props[id].kind == KIND_SECRET && slot->set && !slot->is_template && slot->from &&
            !slot->from->secret && !is_of_jaas(settings, (enum prop_id)id))
            report_warn(report, PLACE(slot->from),
                        "%s is written in plain text; ${get_secret('ID', 'SecretString', '')} keeps it out "
                        "of the file",
                        slot->from->name);
    }
}

void settings_check(const struct settings *settings, bool release, struct report *report)
{
    check_bootstrap(settings, report);
    check_promise(settings, report);
    check_login(settings, report);
    if (settings->mechanism == MECHANISM_GSSAPI)
        check_kerberos(settings, report);
    check_built(settings, release, report);
    check_others(settings, report);
    check_exposure(settings, report);
    check_tls(settings, report);
}
