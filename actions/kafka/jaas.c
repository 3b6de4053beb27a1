#include "jaas.h"

#include <stdio.h>

enum { TOKEN_MAX = 8192 };

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_EQUALS, TOKEN_SEMICOLON, TOKEN_BAD };

struct reader {
    struct span text;
    size_t at;
    enum token_kind kind;
    char token[TOKEN_MAX]; /* of WORD and QUOTED, terminated; may be a password, wiped at the end */
    size_t size;
};

static int octal(const struct reader *in, size_t *at)
{
    int value = 0;

    for (int digits = 0; digits < 3 && *at < in->text.size; digits++, ++*at) {
        char c = in->text.data[*at];
        if (c < '0' || c > '7' || value * 8 + (c - '0') > 255)
            break;
        value = value * 8 + (c - '0');
    }
    return value;
}

static char escaped(const struct reader *in, size_t *at)
{
    char c = in->text.data[(*at)++];

    switch (c) {
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default:
        if (c >= '0' && c <= '7') {
            --*at;
            return (char)octal(in, at);
        }
        return c;
    }
}

static void put(struct reader *in, char c)
{
    if (in->size + 1 < TOKEN_MAX)
        in->token[in->size++] = c;
    else
        in->kind = TOKEN_BAD;
}

static void next_quoted(struct reader *in, char quote)
{
    in->kind = TOKEN_QUOTED;
    while (in->at < in->text.size) {
        char c = in->text.data[in->at++];
        if (c == quote)
            return;
        if (c == '\n')
            break;
        if (c == '\\' && in->at < in->text.size)
            c = escaped(in, &in->at);
        put(in, c);
    }
    in->kind = TOKEN_BAD;
}

static void next(struct reader *in)
{
    in->size = 0;
    while (in->at < in->text.size && strchr(" \t\r\n", in->text.data[in->at]) && in->text.data[in->at])
        in->at++;
    if (in->at >= in->text.size) {
        in->kind = TOKEN_END;
        return;
    }
    char c = in->text.data[in->at];
    if (c == '=' || c == ';') {
        in->at++;
        in->kind = c == '=' ? TOKEN_EQUALS : TOKEN_SEMICOLON;
    } else if (c == '"' || c == '\'') {
        in->at++;
        next_quoted(in, c);
    } else {
        in->kind = TOKEN_WORD;
        while (in->at < in->text.size && !strchr(" \t\r\n=;\"'", in->text.data[in->at]))
            put(in, in->text.data[in->at++]);
        if (in->size == 0)
            in->kind = TOKEN_BAD;
    }
    in->token[in->size] = '\0';
}

/* Which option of which module is which property. Options with an empty property are fine and say nothing. */
enum { NOTHING = PROP_COUNT };
static const struct {
    const char *module, *mechanism; /* mechanism "": two are possible */
    struct {
        const char *name;
        unsigned id;
        enum prop_form form;
    } options[12];
} modules[] = {
    {"PlainLoginModule",
     "PLAIN",
     {{"username", PROP_USERNAME, FORM_PLAIN}, {"password", PROP_PASSWORD, FORM_PLAIN}}},
    {"ScramLoginModule",
     "",
     {{"username", PROP_USERNAME, FORM_PLAIN},
      {"password", PROP_PASSWORD, FORM_PLAIN},
      {"tokenauth", NOTHING, FORM_PLAIN}}},
    {"Krb5LoginModule",
     "GSSAPI",
     {{"keyTab", PROP_KEYTAB, FORM_FILE},
      {"principal", PROP_PRINCIPAL, FORM_PLAIN},
      {"serviceName", PROP_SERVICE, FORM_PLAIN},
      {"useKeyTab", NOTHING, FORM_PLAIN},
      {"storeKey", NOTHING, FORM_PLAIN},
      {"useTicketCache", NOTHING, FORM_PLAIN},
      {"renewTGT", NOTHING, FORM_PLAIN},
      {"refreshKrb5Config", NOTHING, FORM_PLAIN},
      {"doNotPrompt", NOTHING, FORM_PLAIN},
      {"isInitiator", NOTHING, FORM_PLAIN},
      {"debug", NOTHING, FORM_PLAIN}}},
    {"OAuthBearerLoginModule",
     "OAUTHBEARER",
     {{"access_token", PROP_OAUTH_TOKEN, FORM_PLAIN},
      {"clientId", PROP_OAUTH_ID, FORM_PLAIN},
      {"clientSecret", PROP_OAUTH_SECRET, FORM_PLAIN},
      {"scope", PROP_OAUTH_SCOPE, FORM_PLAIN}}},
    {"IAMLoginModule", "AWS_MSK_IAM", {{"awsProfileName", NOTHING, FORM_PLAIN}}},
};
enum { MODULES = sizeof modules / sizeof *modules };

static void read_option(struct settings *settings, size_t module, const struct action_setting *from,
                        const char *name, size_t number, struct span value, struct report *report)
{
    for (size_t i = 0; i < 12 && modules[module].options[i].name; i++) {
        if (strcmp(modules[module].options[i].name, name) != 0)
            continue;
        unsigned id = modules[module].options[i].id;
        if (id == NOTHING || value.size == 0)
            return;
        if (!settings->slots[id].set || settings->slots[id].from <= from) {
            settings_keep(settings, (enum prop_id)id, from, value);
            settings->slots[id].form = modules[module].options[i].form;
        }
        return;
    }
    for (size_t i = 0; i < MODULES; i++)
        for (size_t k = 0; k < 12 && modules[i].options[k].name; k++)
            if (strcmp(modules[i].options[k].name, name) == 0) {
                report_warn(report, PLACE(from), "%s: the option '%s' of %s has no effect here", from->name,
                            modules[i].options[k].name, modules[module].module);
                return;
            }
    /* The name of any other is not shown: where quotes are missing, it is part of a password. */
    report_warn(report, PLACE(from), "%s: option %zu of %s is not known here, and has no effect", from->name,
                number, modules[module].module);
}

static size_t find_module(const char *class)
{
    const char *dot = strrchr(class, '.'), *name = dot ? dot + 1 : class;

    for (size_t i = 0; i < MODULES; i++)
        if (strcmp(modules[i].module, name) == 0)
            return i;
    return MODULES;
}

static int read_options(struct reader *in, struct settings *settings, size_t module,
                        const struct action_setting *from, struct report *report)
{
    char name[64];
    size_t number = 0;
    int result = 0;

    for (next(in); in->kind == TOKEN_WORD && result == 0; next(in)) {
        (void)snprintf(name, sizeof name, "%.60s", in->token);
        next(in);
        if (in->kind == TOKEN_EQUALS)
            next(in);
        else
            result = -1;
        if (in->kind != TOKEN_WORD && in->kind != TOKEN_QUOTED)
            result = -1;
        if (result == 0)
            read_option(settings, module, from, name, ++number, (struct span){in->token, in->size}, report);
    }
    wipe(name, sizeof name);
    return result == 0 && in->kind == TOKEN_SEMICOLON ? 0 : -1;
}

/* The module gives the mechanism; one that is named besides must be its own. */
static void check_mechanism(struct settings *settings, size_t module, const struct action_setting *from,
                            struct report *report)
{
    struct slot *slot = &settings->slots[PROP_MECHANISM];
    const char *own = modules[module].mechanism;

    if (!slot->set && own[0] && !slot->wrong)
        *slot = (struct slot){.text = span_of(own), .from = from, .set = true};
    else if (slot->set && !slot->is_template &&
             (own[0] ? !span_is(slot->text, own) : !span_starts_with(slot->text, "SCRAM-")))
        report_error(report, PLACE(from), "%s is for %s (%s), but sasl.mechanism is " SPAN_FMT, from->name,
                     own[0] ? own : "SCRAM", modules[module].module, SPAN_ARG(slot->text));
}

void jaas_read(struct settings *settings, const struct action_setting *from, struct span text,
               struct report *report)
{
    struct reader in = {.text = text};

    next(&in);
    size_t module = in.kind == TOKEN_WORD ? find_module(in.token) : MODULES;
    if (module == MODULES) {
        report_error(report, PLACE(from),
                     "%s starts with no login module that is known here: PlainLoginModule, ScramLoginModule, "
                     "Krb5LoginModule, OAuthBearerLoginModule",
                     from->name);
        goto out;
    }
    next(&in); /* required, or another flag: with one module they are all the same */
    if (in.kind != TOKEN_WORD || read_options(&in, settings, module, from, report) != 0) {
        report_error(report, PLACE(from),
                     "%s is not of the form: Module required name=\"value\" name=\"value\";", from->name);
        goto out;
    }
    next(&in);
    if (in.kind != TOKEN_END) {
        report_error(report, PLACE(from), "%s: a client takes one login module, and more follows the first",
                     from->name);
        goto out;
    }
    check_mechanism(settings, module, from, report);
out:
    wipe(&in, sizeof in);
}
