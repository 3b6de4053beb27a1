/* examine_login.c - tickets from the KDC, and a login at the brokers that were reached. */
#include "examine.h"

#include "client.h"

#include "base/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TICKETS_MS = 10000, LOGIN_MS = 10000, REFUSED_MS = 3000, SKEW_DOUBT_S = 60, SKEW_MOST_S = 300 };

/* ---- tickets ---- */

/* "9 h 59 min", "4 min", "5 s" */
static void span_of_time(int64_t seconds, char *out, size_t room)
{
    if (seconds >= 3600)
        (void)snprintf(out, room, "%lld h %lld min", (long long)(seconds / 3600),
                       (long long)(seconds % 3600 / 60));
    else if (seconds >= 60)
        (void)snprintf(out, room, "%lld min", (long long)(seconds / 60));
    else
        (void)snprintf(out, room, "%lld s", (long long)seconds);
}

static void tell_ticket(const struct examination *to, const struct kerberos_ticket *ticket)
{
    const long long skew = (long long)ticket->skew_s, size = skew < 0 ? -skew : skew;
    char lasts[48];

    span_of_time(ticket->left_s, lasts, sizeof lasts);
    examined(to, "ticket", ticket->principal, to->kdc_reached ? ACTION_GOOD : ACTION_DOUBT,
             "for %s, renewed by us before it ends%s", lasts,
             to->kdc_reached
                 ? ""
                 : "; it came over UDP, and a large one needs TCP: open the KDC's port for TCP, too");
    if (size > SKEW_MOST_S)
        examined(to, "clock", "", ACTION_BAD,
                 "the KDC's is %lld s %s ours, and Kerberos allows %d: set the time", size,
                 skew > 0 ? "ahead of" : "behind", SKEW_MOST_S);
    else
        examined(to, "clock", "", size > SKEW_DOUBT_S ? ACTION_DOUBT : ACTION_GOOD,
                 "the KDC's and ours differ by %lld s; Kerberos allows %d", size, SKEW_MOST_S);
}

/* False when the time is over and nothing is known. */
static bool wait_for_tickets(struct kerberos *kerberos, int fd, char *why, size_t room)
{
    const int64_t end_ms = clock_mono_ms() + TICKETS_MS;
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    while (!kerberos_ready(kerberos, why, room) && !why[0]) {
        const int64_t left = end_ms - clock_mono_ms();

        if (left <= 0)
            return false;
        (void)poll(&wait, 1, left < 100 ? (int)left : 100);
    }
    return true;
}

bool examine_tickets(const struct examination *to)
{
    const struct settings *settings = to->settings;
    struct err err = {0};
    struct wiped *keytab = material_bytes(settings, PROP_KEYTAB, &err);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const struct kerberos_options options = {
        .keytab = wiped_reveal(keytab),
        .principal = setting_text(settings, PROP_PRINCIPAL),
        .realm = setting_text(settings, PROP_REALM),
        .kdcs = setting_text(settings, PROP_KDC),
        .wake_fd = fd,
    };
    struct kerberos *kerberos = keytab && fd >= 0 ? kerberos_start(&options, &err) : NULL;
    struct kerberos_ticket ticket;
    char why[300] = "";
    bool good = false;

    examining(to, "ticket", "");
    if (!kerberos)
        examined(to, "ticket", "", ACTION_BAD, "%s", err.text);
    else if (!wait_for_tickets(kerberos, fd, why, sizeof why))
        examined(to, "ticket", "", ACTION_BAD, "no answer of a KDC in %d s", TICKETS_MS / 1000);
    else if (why[0])
        examined(to, "ticket", "", ACTION_BAD, "Kerberos: %s", why);
    else if ((good = kerberos_ticket(kerberos, &ticket)))
        tell_ticket(to, &ticket);
    kerberos_stop(kerberos);
    wiped_free(keytab);
    if (fd >= 0)
        (void)close(fd);
    return good;
}

/* ---- login ---- */

static void no_result(void *context, const struct action_result *result)
{
    (void)context, (void)result;
}

struct heard {
    char why[320]; /* of a producer that was refused its id */
};

static void on_state(void *context, enum action_state state, const char *text)
{
    struct heard *heard = context;

    if (state == ACTION_STARTING)
        (void)snprintf(heard->why, sizeof heard->why, "%s", text);
}

static void no_state(void *context, enum action_state state, const char *text)
{
    (void)context, (void)state, (void)text;
}

static const struct action_events silent = {NULL, no_result, no_state}; /* once the login is over */

/* " as alice", unless the name is a secret. */
static void who(const struct settings *settings, char *out, size_t room)
{
    static const enum prop_id names[] = {PROP_PLAIN_USERNAME, PROP_SCRAM_USERNAME, PROP_USERNAME,
                                         PROP_PRINCIPAL};
    struct span name =
        settings->mechanism == MECHANISM_GSSAPI ? setting_text(settings, PROP_PRINCIPAL) : settings->username;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct slot *slot = &settings->slots[names[i]];

        if (slot->set && name.size && slot->text.data == name.data && !(slot->from && slot->from->secret))
            (void)snprintf(out, room, " as %.*s", (int)(name.size < 100 ? name.size : 100), name.data);
    }
}

static void tell_login(const struct examination *to, const struct action_client *client, const char *refused)
{
    const struct settings *settings = to->settings;
    char name[120];

    who(settings, name, sizeof name);
    if (settings->sasl)
        examined(to, "login", "", ACTION_GOOD, "let in%s by " SPAN_FMT, name,
                 SPAN_ARG(setting_text(settings, PROP_MECHANISM)));
    else
        examined(to, "login", "", ACTION_GOOD, "let in%s",
                 to->material->chain ? " with our certificate" : ", and no login was asked for");
    if (client->idempotent)
        examined(to, "producer id", "", ACTION_GOOD, "given: what is sent again does not appear twice");
    else if (settings->idempotent)
        examined(to, "producer id", "", ACTION_DOUBT, "%s", refused);
    else
        examined(to, "producer id", "", ACTION_SKIPPED, "not asked for: acks is " SPAN_FMT "%s",
                 SPAN_ARG(setting_text(settings, PROP_ACKS)),
                 span_is(setting_text(settings, PROP_ACKS), "all") ? " and enable.idempotence false" : "");
}

/* Of a name with IPv6 and IPv4 addresses the first may be refused and the second, which librdkafka tries
 * next, not. */
static bool is_refused(const struct action_client *client)
{
    return client->state == ACTION_AWAY && strstr(client->why, "(connection refused)");
}

static bool log_in(const struct examination *to, struct action_client *client, const struct heard *heard)
{
    const int64_t began_ms = clock_mono_ms();
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};

    examining(to, "login", "");
    while ((client->state == ACTION_STARTING && clock_mono_ms() < began_ms + LOGIN_MS) ||
           (is_refused(client) && clock_mono_ms() < began_ms + REFUSED_MS)) {
        (void)poll(&wait, 1, 100);
        client_pump(client);
    }
    if (client->state == ACTION_READY)
        tell_login(to, client, heard->why);
    else if (client->state == ACTION_STARTING)
        examined(to, "login", "", ACTION_BAD, "no answer in %d s", LOGIN_MS / 1000);
    else
        examined(to, "login", "", ACTION_BAD, "%s", client->why);
    return client->state == ACTION_READY;
}

struct action_client *examine_login(const struct examination *to, const struct action_settings *in)
{
    struct heard heard = {.why = ""};
    const struct action_events events = {&heard, no_result, on_state};
    struct action_client *client = NULL;
    struct err err = {0};
    struct action_setting *items = calloc(in->count + 1, sizeof *items);

    if (!items) {
        err_memory(&err);
    } else {
        /* Of the brokers those that were reached: one whose name nobody resolves would hold us up. */
        memcpy(items, in->items, in->count * sizeof *items);
        items[in->count] =
            (struct action_setting){.name = "bootstrap.servers", .value = buf_view(&to->reached)};
        client = client_open(&(struct action_settings){items, in->count + (to->reached.size ? 1 : 0)},
                             &events, &err);
    }
    if (!client)
        examined(to, "login", "", ACTION_BAD, "%s", err.text);
    if (client && !log_in(to, client, &heard)) {
        client_close(client, 0);
        client = NULL;
    }
    free(items);
    if (client)
        client->events = &silent;
    return client;
}
