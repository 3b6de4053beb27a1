/* topicrule demo: everything embedded. A mosquitto of its own, a Kafka inside this process, the example
 * rules, the real daemon between them, and some readings. Leaves nothing behind. */
#include "base/clock.h"
#include "command.h"
#include "demo.h"
#include "options.h"
#include "paint.h"
#include "process.h"

#include <errno.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_KEEP };

static const struct option_row rows[] = {
    [OPT_KEEP] = {"keep", 'k', NULL, "stay until Ctrl-C, for readings of your own"},
    {0},
};

static const struct usage usage = {
    .command = "demo",
    .synopsis = "[--keep]",
    .text = "See it run: starts mosquitto and a Kafka of its own on free loopback ports, loads the example\n"
            "rules, publishes readings, and prints each record as it arrives in Kafka: its value as one\n"
            "line of JSON on standard output, or a table on a terminal. Leaves nothing behind.\n\n"
            "exit status: 0 every record arrived, 2 something went wrong\n",
    .rows = rows,
};

enum {
    BROKER_WAIT_MS = 10000,
    READY_WAIT_MS = 20000,
    RECORD_WAIT_MS = 30000, /* since the last record */
    PACE_MS = 350,          /* between readings, when a person watches */
};

struct demo {
    char folder[DEMO_PATH], rules[DEMO_PATH + 16];
    int port, notify;
    pid_t broker, daemon;
    struct demo_kafka *kafka;
    struct mosquitto *publisher;
    size_t expected, arrived;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* ---- what is seen ---- */

/* The story; a pipe on standard output gets the values alone. */
#define TELL(...) ((void)fprintf(stderr, __VA_ARGS__))

static void show_record(void *context, const struct demo_record *record)
{
    struct demo *demo = context;
    struct span value = {record->value, record->value_size};

    demo->arrived++;
    if (paint_terminal(stdout)) {
        (void)printf("%s%-16s%s %s%-14.*s%s " SPAN_FMT "\n", paint_on(stdout, PAINT_CYAN), record->topic,
                     paint_off(stdout), paint_on(stdout, PAINT_YELLOW),
                     record->key ? (int)record->key_size : 1, record->key ? record->key : "-",
                     paint_off(stdout), SPAN_ARG(value));
    } else {
        (void)fwrite(value.data, 1, value.size, stdout);
        (void)putchar('\n');
    }
    (void)fflush(stdout);
}

static void show_head(void)
{
    TELL("\n");
    if (paint_terminal(stdout))
        (void)printf("%s%-16s %-14s %s%s\n", paint_on(stdout, PAINT_BOLD), "Kafka topic", "key", "value",
                     paint_off(stdout));
}

static void show_next(const struct demo *demo, bool keep)
{
    if (keep) {
        TELL("\nStaying. Publish readings of your own from another terminal, Ctrl-C ends:\n"
             "  mosquitto_pub -h 127.0.0.1 -p %d -q 1 -t plant/9/temp -m '{\"temp\":72}'\n"
             "The rules are in %s, the daemon's log beside them.\n\n",
             demo->port, demo->rules);
        return;
    }
    const char *self = program_invocation_name; /* as it was called here */
    TELL("\nThree things to try next:\n"
         "  a statement of your own on a message of your own\n"
         "    %s eval --topic plant/7/temp --payload '{\"temp\":61}' \\\n"
         "      --sql \"SELECT temp AS celsius FROM 'plant/+/temp' WHERE temp > 50\"\n"
         "  what is said about rules; then about yours\n"
         "    %s check rules/examples\n"
         "  the demo again, and it stays for readings of your own\n"
         "    %s demo --keep\n",
         self, self, self);
}

/* ---- the pieces ---- */

static int write_files(struct demo *demo, struct err *err)
{
    char text[1024];

    (void)snprintf(demo->rules, sizeof demo->rules, "%s/rules", demo->folder);
    if (mkdir(demo->rules, 0700))
        return err_set(err, ERR_IO, "%s cannot be made", demo->rules);
    for (const struct demo_file *file = demo_files; file->name; file++)
        if (demo_write(demo->rules, file->name, file->bytes, file->size, err))
            return -1;
    int size =
        snprintf(text, sizeof text,
                 "mqtt: {url: \"mqtt://127.0.0.1:%d\", client_id: topicrule-demo}\n"
                 "rules: rules\n"
                 "kafka:\n"
                 "  destinations:\n"
                 "    \"" DEMO_DESTINATION "\": {bootstrap.servers: \"%s\", security.protocol: PLAINTEXT}\n",
                 demo->port, demo_kafka_servers(demo->kafka));
    return demo_write(demo->folder, "topicrule.yaml", text, (size_t)size, err);
}

/* In $PATH, and where a plain user's does not lead. False: nowhere. */
static bool find_mosquitto(char *out, size_t room)
{
    char places[4096];
    const char *path = getenv("PATH");
    char *rest = NULL;

    (void)snprintf(places, sizeof places, "%s:/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin",
                   path ? path : "");
    for (char *place = strtok_r(places, ":", &rest); place; place = strtok_r(NULL, ":", &rest)) {
        (void)snprintf(out, room, "%s/mosquitto", place);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

static int start_broker(struct demo *demo, struct err *err)
{
    char port[16], program[4096];
    const char *argv[] = {program, "-p", port, NULL}; /* without a configuration: loopback, for anybody */

    if (!find_mosquitto(program, sizeof program))
        return err_set(err, ERR_IO,
                       "the MQTT broker mosquitto is not installed here; on Debian: apt install mosquitto");
    (void)snprintf(port, sizeof port, "%d", demo->port);
    if (demo_start(argv, demo->folder, "mosquitto.log", NULL, &demo->broker, err))
        return -1;
    for (int64_t until = clock_mono_ms() + BROKER_WAIT_MS; clock_mono_ms() < until && !interrupted;) {
        if (demo_connects(demo->port))
            return 0;
        if (!demo_runs(&demo->broker))
            break;
        (void)poll(NULL, 0, 20);
    }
    demo_show_log(demo->folder, "mosquitto.log");
    return err_set(err, ERR_IO, "mosquitto did not start on 127.0.0.1:%d", demo->port);
}

static int start_daemon(struct demo *demo, struct err *err)
{
    char conf[DEMO_PATH + 32], notify[DEMO_PATH + 32];
    const char *argv[] = {"/proc/self/exe", "run", "-c", conf, NULL};

    (void)snprintf(conf, sizeof conf, "%s/topicrule.yaml", demo->folder);
    (void)snprintf(notify, sizeof notify, "%s/notify", demo->folder);
    demo->notify = demo_notify_open(demo->folder, err);
    if (demo->notify < 0 || demo_start(argv, demo->folder, "topicrule.log", notify, &demo->daemon, err))
        return -1;
    for (int64_t until = clock_mono_ms() + READY_WAIT_MS; clock_mono_ms() < until && !interrupted;) {
        if (demo_notify_ready(demo->notify, 50))
            return 0;
        if (!demo_runs(&demo->daemon))
            break;
    }
    demo_show_log(demo->folder, "topicrule.log");
    return err_set(err, ERR_IO, "the daemon did not get ready");
}

static int start(struct demo *demo, struct err *err)
{
    if (demo_folder_make(demo->folder, err))
        return -1;
    demo->port = demo_free_port();
    demo->kafka = demo_kafka_new(err);
    if (!demo->kafka || write_files(demo, err) || demo_expect(demo->rules, &demo->expected, err))
        return -1;
    if (start_broker(demo, err))
        return -1;
    TELL("MQTT   mosquitto on 127.0.0.1:%d\nKafka  embedded, on %s\n", demo->port,
         demo_kafka_servers(demo->kafka));
    if (start_daemon(demo, err))
        return -1;
    TELL("rules ");
    for (const struct demo_file *file = demo_files; file->name; file++)
        TELL(" %s", file->name);
    TELL("\n");
    (void)mosquitto_lib_init();
    demo->publisher = mosquitto_new(NULL, true, NULL);
    int code =
        demo->publisher ? mosquitto_connect(demo->publisher, "127.0.0.1", demo->port, 60) : MOSQ_ERR_NOMEM;
    return code == MOSQ_ERR_SUCCESS ? 0 : err_set(err, ERR_IO, "mosquitto: %s", mosquitto_strerror(code));
}

static void stop(struct demo *demo)
{
    if (demo->publisher) {
        (void)mosquitto_disconnect(demo->publisher);
        mosquitto_destroy(demo->publisher);
        (void)mosquitto_lib_cleanup();
    }
    demo_stop(&demo->daemon);
    demo_stop(&demo->broker);
    demo_kafka_free(demo->kafka);
    if (demo->notify >= 0)
        (void)close(demo->notify);
    demo_folder_remove(demo->folder);
}

/* ---- the play ---- */

/* Show what arrives and keep the publisher's session alive, for a while. */
static void watch(struct demo *demo, int for_ms)
{
    int64_t until = clock_mono_ms() + for_ms;

    do {
        (void)mosquitto_loop(demo->publisher, 0, 1);
        (void)demo_kafka_next(demo->kafka, 20, show_record, demo);
    } while (clock_mono_ms() < until && !interrupted);
}

static int publish(struct demo *demo, struct err *err)
{
    bool people = paint_terminal(stdout) && paint_terminal(stderr);

    for (const struct demo_sample *sample = demo_samples; sample->topic && !interrupted; sample++) {
        int code = mosquitto_publish(demo->publisher, NULL, sample->topic, (int)strlen(sample->payload),
                                     sample->payload, 1, false);

        if (code != MOSQ_ERR_SUCCESS)
            return err_set(err, ERR_IO, "mosquitto: %s", mosquitto_strerror(code));
        TELL("%s> %s %s%s\n", paint_on(stderr, PAINT_DIM), sample->topic, sample->payload, paint_off(stderr));
        watch(demo, people ? PACE_MS : 0);
    }
    return 0;
}

static int play(struct demo *demo, bool keep, struct err *err)
{
    show_head();
    if (publish(demo, err))
        return -1;
    size_t before = demo->arrived;
    for (int64_t since = clock_mono_ms(); demo->arrived < demo->expected && !interrupted;) {
        watch(demo, 0);
        if (demo->arrived != before || !demo_runs(&demo->daemon)) {
            before = demo->arrived;
            since = clock_mono_ms();
        }
        if (demo->daemon == 0 || clock_mono_ms() - since > RECORD_WAIT_MS) {
            demo_show_log(demo->folder, "topicrule.log");
            return err_set(err, ERR_IO, "%zu of %zu records arrived", demo->arrived, demo->expected);
        }
    }
    if (!interrupted)
        show_next(demo, keep);
    while (keep && !interrupted && demo_runs(&demo->daemon))
        watch(demo, 200);
    return 0;
}

int cmd_demo(int argc, char **argv)
{
    struct demo demo = {.notify = -1};
    struct sigaction action = {.sa_handler = on_interrupt};
    struct options options = options_begin(&usage, argc, argv);
    struct err err = {0};
    bool keep = false;

    while (options_next(&options))
        keep = true; /* the only option */
    if (options.ended)
        return options.status;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);

    int status =
        process_init(&err) || start(&demo, &err) || play(&demo, keep, &err) ? STATUS_BAD : STATUS_FINE;
    bool ended_by_user = interrupted && keep;
    stop(&demo);
    if (interrupted)
        return ended_by_user ? STATUS_FINE : STATUS_BAD;
    if (status != STATUS_FINE)
        paint_err(&err, stderr);
    return status;
}
