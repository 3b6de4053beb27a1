/* topicrule status: how the daemon that runs is doing. */
#include "ask.h"
#include "base/auto.h"
#include "command.h"
#include "paint.h"

#include <ctype.h>

static const struct usage usage = {
    .command = "status",
    .synopsis = "[-c FILE] [--admin ADDRESS] [--json]",
    .text = "Ask the daemon that runs how it is doing: the MQTT connection, what became of messages,\n"
            "the connections to Kafka, secrets that are missing, the process.\n\n"
            "exit status: 0 ready; 1 it runs, and what is published is not heard yet, or not any more;\n"
            "2 wrong usage or configuration; 3 no daemon answers\n",
    .rows = ask_rows,
};

enum { NAME_WIDTH = 14, QUEUES_SHOWN = 20 };

DEFINE_DROP(json, json_t *, json_decref)

static int judge(const json_t *root)
{
    return json_is_true(json_object_get(root, "ready")) ? STATUS_FINE : STATUS_NOT;
}

static void name(const char *text)
{
    (void)printf("%s%-*s%s ", paint_on(stdout, PAINT_BOLD), NAME_WIDTH, text, paint_off(stdout));
}

static void head(const json_t *root)
{
    const json_t *process = json_object_get(root, "process");
    const bool ready = judge(root) == STATUS_FINE;
    char age[32], size[32];

    (void)printf("topicrule %s, process %lld, up %s: %s%s%s\n", ask_text(root, "version"),
                 ask_count(process, "pid"), ask_age(process, "uptime_s", age),
                 paint_on(stdout, ready ? PAINT_GREEN : PAINT_RED), ready ? "ready" : "not ready",
                 paint_off(stdout));
    if (!ready) {
        name("not ready");
        paint_put(ask_text(root, "problem"), stdout);
        (void)putchar('\n');
    }
    name("mqtt");
    paint_put(ask_text(json_object_get(root, "mqtt"), "text"), stdout);
    (void)putchar('\n');
    name("rules");
    (void)printf("%lld loaded, %lld disabled\n", ask_count(json_object_get(root, "rules"), "enabled"),
                 ask_count(json_object_get(root, "rules"), "disabled"));
    name("process");
    (void)printf("%s of memory, %lld open files, %lld threads, %.1f s of CPU\n",
                 ask_size(ask_count(process, "rss_bytes"), size), ask_count(process, "open_files"),
                 ask_count(process, "threads"), json_number_value(json_object_get(process, "cpu_s")));
}

/* Whatever the daemon counts, those that are not 0. */
static void counters(const json_t *root)
{
    const json_t *all = json_object_get(root, "counters"), *value;
    const char *key, *word = "counted";

    json_object_foreach((json_t *)(uintptr_t)all, key, value)
    {
        char shown[64];
        size_t i = 0;

        if (json_integer_value(value) == 0)
            continue;
        for (; key[i] && i < sizeof shown - 1; i++)
            shown[i] = (char)(key[i] == '_' ? ' ' : isprint((unsigned char)key[i]) ? key[i] : '?');
        shown[i] = '\0';
        name(word);
        (void)printf("%-20s %12lld\n", shown, (long long)json_integer_value(value));
        word = "";
    }
    name("now");
    (void)printf("%-20s %12lld\n", "records in flight", ask_count(root, "in_flight"));
    if (ask_count(root, "held") > 0)
        (void)printf("%*s %-20s %12lld\n", NAME_WIDTH, "", "matches held", ask_count(root, "held"));
}

static enum paint state_paint(const char *state)
{
    if (strcmp(state, "ready") == 0)
        return PAINT_GREEN;
    return strcmp(state, "starting") == 0 ? PAINT_YELLOW : PAINT_RED;
}

static void clients(const json_t *root)
{
    const json_t *client;
    size_t i;

    json_array_foreach(json_object_get(root, "clients"), i, client)
    {
        const char *state = ask_text(client, "state");

        name(i ? "" : "clients");
        (void)printf("%s%-8s%s ", paint_on(stdout, state_paint(state)), state, paint_off(stdout));
        paint_put(ask_text(client, "type"), stdout);
        (void)printf(" of rule ");
        paint_put(ask_text(client, "rule"), stdout);
        (void)putchar(' ');
        paint_put(ask_text(client, "action"), stdout);
        (void)printf(": ");
        paint_put(ask_text(client, "text"), stdout);
        (void)putchar('\n');
    }
}

static void queues(const json_t *store)
{
    const json_t *queue;
    char age[32];
    size_t i;

    json_array_foreach(json_object_get(store, "queues"), i, queue)
    {
        const bool gone = json_is_true(json_object_get(queue, "gone"));

        if (i == QUEUES_SHOWN) {
            (void)printf("%*s and %zu more: --json\n", NAME_WIDTH, "",
                         json_array_size(json_object_get(store, "queues")) - i +
                             (size_t)ask_count(store, "queues_left_out"));
            return;
        }
        name(i ? "" : "waiting");
        (void)printf("%s%10lld%s for '", paint_on(stdout, gone ? PAINT_RED : PAINT_YELLOW),
                     ask_count(queue, "rows"), paint_off(stdout));
        paint_put(ask_text(queue, "stream"), stdout);
        (void)printf("' of rule ");
        paint_put(ask_text(queue, "rule"), stdout);
        (void)printf(", the oldest for %s%s\n", ask_age(queue, "oldest_s", age),
                     gone ? ": no rule has this action any more; `topicrule dead` sends or drops them" : "");
    }
}

static void store(const json_t *root)
{
    const json_t *store = json_object_get(root, "store");
    const bool fine = strcmp(ask_text(store, "state"), "fine") == 0;
    char size[32], file[32], dead[32];

    if (!json_is_object(store))
        return;
    name("store");
    (void)printf("%s%-8s%s %lld waiting (%s), %s on disk\n", paint_on(stdout, fine ? PAINT_GREEN : PAINT_RED),
                 ask_text(store, "state"), paint_off(stdout), ask_count(store, "rows"),
                 ask_size(ask_count(store, "bytes"), size), ask_size(ask_count(store, "file_bytes"), file));
    queues(store);
    if (ask_count(store, "letters") || ask_count(store, "letters_dropped")) {
        name("dead letters");
        (void)printf("%lld (%s), %lld dropped for want of room\n", ask_count(store, "letters"),
                     ask_size(ask_count(store, "letter_bytes"), dead), ask_count(store, "letters_dropped"));
    }
}

static void secrets(const json_t *root)
{
    const json_t *backend;
    char age[32];
    size_t i;

    json_array_foreach(json_object_get(root, "secrets"), i, backend)
    {
        const bool away = json_is_true(json_object_get(backend, "away"));

        name(i ? "" : "secrets");
        (void)printf("%s%-8s%s ", paint_on(stdout, away ? PAINT_RED : PAINT_GREEN), away ? "away" : "answers",
                     paint_off(stdout));
        paint_put(ask_text(backend, "backend"), stdout);
        (void)printf(" (");
        paint_put(ask_text(backend, "type"), stdout);
        (void)printf("): %lld kept, %lld missing, %lld stale, the oldest %s", ask_count(backend, "kept"),
                     ask_count(backend, "missing"), ask_count(backend, "stale"),
                     ask_age(backend, "oldest_s", age));
        if (ask_text(backend, "problem")[0]) {
            (void)printf("; ");
            paint_put(ask_text(backend, "problem"), stdout);
        }
        (void)putchar('\n');
    }
}

int cmd_status(int argc, char **argv)
{
    struct ask ask;
    int status;

    if (!ask_begin(&usage, argc, argv, &ask, &status))
        return status;
    AUTO(json_drop) json_t *root = ask_json(&ask, "/status", judge, &status);
    if (!root)
        return status;
    head(root);
    clients(root);
    store(root);
    secrets(root);
    counters(root);
    return status;
}
