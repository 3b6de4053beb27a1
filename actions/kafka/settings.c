#include "settings.h"

#include "jaas.h"

#include <stdio.h>
#include <stdlib.h>

struct span setting_text(const struct settings *settings, enum prop_id id)
{
    return settings->slots[id].set ? settings->slots[id].text : span_of(props[id].fallback);
}

long long setting_number(const struct settings *settings, enum prop_id id)
{
    long long number = 0;

    return prop_number(&props[id], setting_text(settings, id), &number) ? number : 0;
}

bool setting_is_true(const struct settings *settings, enum prop_id id)
{
    return span_is(setting_text(settings, id), "true");
}

void settings_keep(struct settings *settings, enum prop_id id, const struct action_setting *from,
                   struct span text)
{
    struct wiped *copy = settings->kept_count < SETTINGS_KEPT ? wiped_new(text) : NULL;

    if (!copy)
        return; /* then the property is missing, and the check of dependencies says so */
    settings->kept[settings->kept_count++] = copy;
    settings->slots[id] = (struct slot){.text = wiped_reveal(copy), .from = from, .set = true};
}

void settings_done(struct settings *settings)
{
    for (size_t i = 0; i < settings->kept_count; i++)
        wiped_free(settings->kept[i]);
    settings->kept_count = 0;
}

static struct span trim(struct span text)
{
    while (text.size && strchr(" \t\r\n", text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size && strchr(" \t\r\n", text.data[text.size - 1]))
        text.size--;
    return text;
}

static struct span setting_value(const struct action_setting *item)
{
    return item->secret ? wiped_reveal(item->secret) : item->value;
}

struct span setting_shown(const struct action_setting *item, struct span text)
{
    if (item && item->secret)
        return SPAN("(a secret)");
    return text.size > 60 ? (struct span){text.data, 60} : text;
}

static void read_bool(struct settings *settings, enum prop_id id, const struct action_setting *item,
                      enum prop_form form, struct report *report)
{
    struct span text = trim(setting_value(item));
    bool yes = span_is_nocase(text, "true") || span_is(text, "1");

    if (!yes && !span_is_nocase(text, "false") && !span_is(text, "0")) {
        report_error(report, PLACE(item), "expected true or false for %s, found '" SPAN_FMT "'", item->name,
                     SPAN_ARG(setting_shown(item, text)));
        return;
    }
    if (form == FORM_CHECK_HOSTNAME)
        settings->slots[id].text = yes ? SPAN("https") : SPAN("none");
    else
        settings->slots[id].text = yes != (form == FORM_INVERTED) ? SPAN("true") : SPAN("false");
}

static void read_number(struct settings *settings, enum prop_id id, const struct action_setting *item,
                        enum prop_form form, struct report *report)
{
    struct span text = trim(setting_value(item));
    char converted[24];
    long long number;

    if (form == FORM_JAVA_BUFFER && span_is(text, "-1"))
        text = SPAN("0");
    if (form == FORM_BYTES_TO_KBYTES && text.size > 0 && text.size < sizeof converted &&
        strspn(text.data, "0123456789") >= text.size) {
        (void)snprintf(converted, sizeof converted, "%lld", strtoll(text.data, NULL, 10) / 1024);
        text = span_of(converted);
    }
    if (!prop_number(&props[id], text, &number)) {
        const char *high = strstr(props[id].values, "..") + 2;
        report_error(report, PLACE(item),
                     "expected a number from " SPAN_FMT " to %s for %s, found '" SPAN_FMT "'",
                     (int)(high - 2 - props[id].values), props[id].values, high, item->name,
                     SPAN_ARG(setting_shown(item, text)));
        return;
    }
    if (text.data == converted)
        settings_keep(settings, id, item, text);
    else
        settings->slots[id].text = text;
}

static void read_choice(struct settings *settings, enum prop_id id, const struct action_setting *item,
                        struct report *report)
{
    struct span text = trim(setting_value(item)), choice = prop_choice(&props[id], text);
    char choices[256];

    if (!choice.data) {
        prop_choices(&props[id], choices, sizeof choices);
        report_error(report, PLACE(item), "expected %s for %s, found '" SPAN_FMT "'", choices, item->name,
                     SPAN_ARG(setting_shown(item, text)));
        return;
    }
    settings->slots[id].text = choice;
}

/* Text goes to C interfaces that end it at a NUL, and a line break in a name is a slip of the pen. */
static void read_text(struct settings *settings, enum prop_id id, const struct action_setting *item,
                      struct report *report)
{
    struct span text = props[id].kind == KIND_SECRET ? setting_value(item) : trim(setting_value(item));

    if (text.size && memchr(text.data, '\0', text.size)) {
        report_error(report, PLACE(item), "a NUL character cannot be part of %s", item->name);
        return;
    }
    settings->slots[id].text = text;
}

static void read_path(struct settings *settings, enum prop_id id, const struct action_setting *item,
                      struct report *report)
{
    struct span text = trim(setting_value(item));

    read_text(settings, id, item, report);
    settings->slots[id].text = text;
    if (text.size && text.data[0] != '/' && !(id == PROP_TRUST && span_is(text, "probe")))
        report_error(report, PLACE(item), "%s needs an absolute path, found '" SPAN_FMT "'", item->name,
                     SPAN_ARG(setting_shown(item, text)));
}

static void read_known(struct settings *settings, const struct action_setting *item, struct prop_match match,
                       struct report *report)
{
    struct slot *slot = &settings->slots[match.id], before = *slot;
    const size_t errors = report->errors;

    if (before.set && before.from && strcmp(before.from->name, item->name) != 0 &&
        before.from->origin == item->origin)
        report_warn(report, PLACE(item), "%s and %s say the same thing; %s, the later one, counts",
                    before.from->name, item->name, item->name);
    *slot = (struct slot){.from = item, .form = match.form, .set = true, .is_template = item->is_template};
    if (match.note[0])
        report_warn(report, PLACE(item), "%s: %s", item->name, match.note);
    if (item->is_template)
        return;
    switch (props[match.id].kind) {
    case KIND_BOOL: read_bool(settings, match.id, item, match.form, report); break;
    case KIND_NUMBER: read_number(settings, match.id, item, match.form, report); break;
    case KIND_CHOICE:
        if (match.form == FORM_CHECK_HOSTNAME)
            read_bool(settings, match.id, item, match.form, report);
        else
            read_choice(settings, match.id, item, report);
        break;
    case KIND_PATH: read_path(settings, match.id, item, report); break;
    case KIND_STORE:
        slot->text = setting_value(item);
        if (match.id == PROP_KEYTAB && span_starts_with(slot->text, "/"))
            slot->form = FORM_FILE; /* librdkafka's way; a keytab in base64 begins with BQI */
        if (slot->form == FORM_FILE)
            read_path(settings, match.id, item, report);
        break;
    case KIND_TEXT:
    case KIND_NAME:
    case KIND_SECRET: read_text(settings, match.id, item, report); break;
    }
    if (slot->text.size == 0 && match.id != PROP_TOPICS_ALLOW)
        *slot = (struct slot){.wrong = report->errors > errors}; /* an empty value is as good as none */
}

static void read_item(struct settings *settings, const struct action_setting *item, struct report *report)
{
    struct prop_match match = prop_find(span_of(item->name));

    switch (match.fate) {
    case PROP_KNOWN: read_known(settings, item, match, report); break;
    case PROP_IGNORED:
        report_warn(report, PLACE(item), "%s has no effect here: %s", item->name, match.note);
        break;
    case PROP_REFUSED: report_error(report, PLACE(item), "%s is refused: %s", item->name, match.note); break;
    case PROP_UNKNOWN:
        if (match.note)
            report_error(report, PLACE(item), "there is no client property '%.80s'; did you mean '%s'?",
                         item->name, match.note);
        else
            report_error(report, PLACE(item), "there is no client property '%.80s'", item->name);
        break;
    }
}

/* ---- what the slots mean together ---- */

static enum mechanism mechanism_of(struct span name)
{
    static const char *const names[] = {
        [MECHANISM_PLAIN] = "PLAIN",
        [MECHANISM_SCRAM_SHA_256] = "SCRAM-SHA-256",
        [MECHANISM_SCRAM_SHA_512] = "SCRAM-SHA-512",
        [MECHANISM_GSSAPI] = "GSSAPI",
        [MECHANISM_OAUTHBEARER] = "OAUTHBEARER",
        [MECHANISM_AWS_MSK_IAM] = "AWS_MSK_IAM",
    };

    for (size_t i = MECHANISM_PLAIN; i < sizeof names / sizeof *names; i++)
        if (span_is(name, names[i]))
            return (enum mechanism)i;
    return MECHANISM_UNKNOWN;
}

/* Dapr names one kind of login instead of protocol and mechanism. */
static void derive_from_auth_type(struct settings *settings)
{
    const struct slot *auth = &settings->slots[PROP_AUTH_TYPE];
    struct slot *protocol = &settings->slots[PROP_PROTOCOL], *mechanism = &settings->slots[PROP_MECHANISM];
    bool plain = setting_is_true(settings, PROP_DISABLE_TLS);

    if (!auth->set || auth->is_template)
        return;
    bool login = !span_is(auth->text, "none") && !span_is(auth->text, "mtls");
    if (!protocol->set) {
        *protocol = (struct slot){.from = auth->from, .set = true};
        if (login)
            protocol->text = plain ? SPAN("SASL_PLAINTEXT") : SPAN("SASL_SSL");
        else
            protocol->text = plain ? SPAN("PLAINTEXT") : SPAN("SSL");
    }
    if (login && !mechanism->set) {
        *mechanism = (struct slot){.from = auth->from, .set = true};
        mechanism->text = span_is(auth->text, "oidc")     ? SPAN("OAUTHBEARER")
                          : span_is(auth->text, "awsiam") ? SPAN("AWS_MSK_IAM")
                                                          : SPAN("PLAIN");
    }
}

/* Of two fields that can hold the same credential, the one written later; `from` is in one array. */
static struct span later(const struct settings *settings, enum prop_id one, enum prop_id other)
{
    const struct slot *a = &settings->slots[one], *b = &settings->slots[other];

    if (!a->set || (b->set && b->from > a->from))
        return b->text;
    return a->text;
}

static void derive(struct settings *settings)
{
    derive_from_auth_type(settings);

    struct span protocol = setting_text(settings, PROP_PROTOCOL);

    if (settings->slots[PROP_PROTOCOL].wrong || settings->slots[PROP_AUTH_TYPE].wrong)
        protocol = SPAN("?"); /* what follows from it is not told besides */
    settings->protocol = span_is(protocol, "PLAINTEXT")        ? PROTOCOL_PLAINTEXT
                         : span_is(protocol, "SSL")            ? PROTOCOL_SSL
                         : span_is(protocol, "SASL_PLAINTEXT") ? PROTOCOL_SASL_PLAINTEXT
                         : span_is(protocol, "SASL_SSL")       ? PROTOCOL_SASL_SSL
                                                               : PROTOCOL_UNKNOWN;
    settings->tls = settings->protocol == PROTOCOL_SSL || settings->protocol == PROTOCOL_SASL_SSL;
    settings->sasl = settings->protocol == PROTOCOL_SASL_PLAINTEXT || settings->protocol == PROTOCOL_SASL_SSL;
    settings->mechanism =
        settings->sasl ? mechanism_of(setting_text(settings, PROP_MECHANISM)) : MECHANISM_NONE;
    if (settings->mechanism == MECHANISM_PLAIN) {
        settings->username = later(settings, PROP_PLAIN_USERNAME, PROP_USERNAME);
        settings->password = later(settings, PROP_PLAIN_PASSWORD, PROP_PASSWORD);
    } else if (settings->mechanism == MECHANISM_SCRAM_SHA_256 ||
               settings->mechanism == MECHANISM_SCRAM_SHA_512) {
        settings->username = later(settings, PROP_SCRAM_USERNAME, PROP_USERNAME);
        settings->password = later(settings, PROP_SCRAM_PASSWORD, PROP_PASSWORD);
    }

    /* Idempotence costs nothing and needs acks=all. */
    const struct slot *asked = &settings->slots[PROP_IDEMPOTENCE];
    settings->idempotent =
        span_is(setting_text(settings, PROP_ACKS), "all") && !(asked->set && span_is(asked->text, "false"));
}

void settings_read(struct settings *settings, const struct action_settings *in, struct report *report)
{
    *settings = (struct settings){0};
    for (size_t i = 0; i < in->count; i++)
        read_item(settings, &in->items[i], report);

    const struct slot *jaas = &settings->slots[PROP_JAAS];
    const size_t errors = report->errors;
    if (jaas->set && !jaas->is_template)
        jaas_read(settings, jaas->from, jaas->text, report);
    settings->slots[PROP_JAAS].wrong = report->errors > errors;
    derive(settings);
}

int settings_open(struct settings *settings, const struct action_settings *in, struct err *err)
{
    struct report report = REPORT_INIT;
    int result = 0;

    settings_read(settings, in, &report);
    if (report.errors == 0)
        settings_check(settings, true, &report);
    if (report.errors) {
        result = err_memory(err); /* unless the report could hold it */
        for (size_t i = 0; i < report.count; i++) {
            if (report.findings[i].severity == SEVERITY_ERROR) {
                *err = report.findings[i].err;
                break;
            }
        }
    }
    report_done(&report);
    return result;
}
