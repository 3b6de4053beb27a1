/* examine.c - names, connections, certificates, tickets, login, rights: each tried by itself, so that the
 * first thing that is wrong is seen as such. What cannot work any more is skipped: a broker that nobody
 * reaches needs no login. */
#include "examine.h"

#include "client.h"
#include "record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void examined(const struct examination *to, const char *what, const char *whom, enum action_finding finding,
              const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    to->step(to->context, &(struct action_step){what, whom, finding, text});
}

void examining(const struct examination *to, const char *what, const char *whom)
{
    to->step(to->context, &(struct action_step){what, whom, ACTION_BEGUN, ""});
}

/* ---- what we have ourselves ---- */

/* "ssl.truststore", with its path when it is a file; or the system's. */
static void name_trust(struct examination *to)
{
    const struct slot *slot = &to->settings->slots[PROP_TRUST];

    if (to->material->system_trust)
        (void)snprintf(to->trust, sizeof to->trust, "%s of this system", to->material->system_trust);
    else if (slot->form == FORM_FILE && !slot->from->secret)
        (void)snprintf(to->trust, sizeof to->trust, "%s (%.*s)", slot->from->name,
                       (int)(slot->text.size < 200 ? slot->text.size : 200), slot->text.data);
    else
        (void)snprintf(to->trust, sizeof to->trust, "%s", slot->from ? slot->from->name : "ssl.truststore");
}

static void examine_own_certificate(const struct examination *to)
{
    const struct material *material = to->material;
    const int64_t left_s = material->not_after - (int64_t)time(NULL);
    const long long days = (long long)(left_s / 86400);

    if (!material->chain)
        return;
    if (left_s < 0)
        examined(to, "certificate", "", ACTION_BAD, "our own, %s, has ended; renew ssl.keystore",
                 material->subject);
    else if (days < SOON_DAYS)
        examined(to, "certificate", "", ACTION_DOUBT, "our own, %s, ends in %lld days; renew ssl.keystore",
                 material->subject, days);
    else
        examined(to, "certificate", "", ACTION_GOOD, "our own, %s, is valid for %lld days", material->subject,
                 days);
}

/* ---- the topics ---- */

struct topics_named {
    char (*names)[256];
    const char **list;
    size_t count;
};

static void add_topic(struct topics_named *topics, struct span name)
{
    for (size_t i = 0; i < topics->count; i++)
        if (span_is(name, topics->names[i]))
            return;
    (void)snprintf(topics->names[topics->count], sizeof topics->names[0], SPAN_FMT, SPAN_ARG(name));
    topics->list[topics->count] = topics->names[topics->count];
    topics->count++;
}

static void examine_topics(struct examination *to, struct action_client *client,
                           const struct span *const *constants, size_t count)
{
    struct topics_named topics = {calloc(count, sizeof topics.names[0]), calloc(count, sizeof *topics.list),
                                  0};
    bool templates = false;
    struct err err;

    for (size_t i = 0; topics.names && topics.list && i < count; i++) {
        struct span name = constants[i][FIELD_TOPIC];

        if (name.size && record_check_topic(name, &err) == 0)
            add_topic(&topics, name);
        else
            templates = true;
    }
    examine_cluster(to, client, topics.list, topics.count);
    if (templates)
        examined(to, "topic", "", ACTION_SKIPPED, "a name that is a template is known with a message");
    free(topics.names);
    free(topics.list);
}

/* ---- the order ---- */

static void examine_all(struct examination *to, const struct span *const *constants, size_t count,
                        const struct action_settings *in)
{
    struct action_client *client;

    name_trust(to);
    examine_own_certificate(to);
    if (!to->settings->slots[PROP_MOCK].set) {
        examine_hosts(to);
        if (to->reached.size == 0) {
            examined(to, "login", "", ACTION_SKIPPED, "there is no broker to log in to");
            return;
        }
    }
    if (to->settings->mechanism == MECHANISM_GSSAPI && !examine_tickets(to)) {
        examined(to, "login", "", ACTION_SKIPPED, "there is no ticket to log in with");
        return;
    }
    client = examine_login(to, in);
    if (!client)
        return;
    examine_topics(to, client, constants, count);
    client_close(client, 0);
}

void examine(const struct span *const *constants, size_t count, const struct action_settings *in,
             void (*step)(void *context, const struct action_step *step), void *context)
{
    struct settings settings;
    struct material material = {0};
    struct examination to = {.step = step,
                             .context = context,
                             .settings = &settings,
                             .material = &material,
                             .reached = BUF_INIT,
                             .seen = BUF_INIT};
    struct err err = {0};

    if (settings_open(&settings, in, &err) != 0 || material_load(&material, &settings, &err, NULL) != 0)
        examined(&to, "settings", "", ACTION_BAD, "%s", err.text);
    else
        examine_all(&to, constants, count, in);
    buf_done(&to.reached);
    buf_done(&to.seen);
    material_done(&material);
    settings_done(&settings);
}
