/* topicrule run: the daemon, in the foreground. */
#include "base/auto.h"
#include "base/log.h"
#include "command.h"
#include "engine/engine.h"
#include "engine/store_path.h"
#include "load.h"
#include "options.h"
#include "paint.h"
#include "process.h"

#include <signal.h>
#include <stdlib.h>

enum { OPT_CONFIG };

static const struct option_row rows[] = {
    [OPT_CONFIG] = {"config", 'c', "FILE", "the configuration; default\n" CONFIG_FILE},
    {0},
};

static const struct usage usage = {
    .command = "run",
    .synopsis = "[-c FILE]",
    .text = "Run the rules: subscribe to their topics, evaluate, produce to Kafka, acknowledge.\n"
            "Stays in the foreground and logs to standard error. SIGTERM and SIGINT settle what is in\n"
            "flight and stop; a second one stops at once. A rule that is refused is logged and left out.\n"
            "SIGHUP is `topicrule reload`.\n\n"
            "exit status: 0 stopped as asked, 2 could not start or go on\n",
    .rows = rows,
};

DEFINE_DROP(config, struct config *, config_free)
DEFINE_DROP(secrets, struct secrets *, secrets_free)
DEFINE_DROP(rule_set, struct rule_set *, rule_set_free)
DEFINE_DROP(text, char *, free)

static struct engine *running; /* for the signal handler alone: set before it is installed */

static void on_stop(int signal)
{
    (void)signal;
    engine_stop(running);
}

/* Until there is an engine to tell, SIGHUP waits, because it would end the process. */
static void hold_reload(int how)
{
    sigset_t reload;

    (void)sigemptyset(&reload);
    (void)sigaddset(&reload, SIGHUP);
    (void)pthread_sigmask(how, &reload, NULL);
}

static void on_reload(int signal)
{
    (void)signal;
    engine_reload(running);
}

static void heed_signals(struct engine *engine)
{
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    struct sigaction reload = {.sa_handler = on_reload, .sa_flags = SA_RESTART};

    running = engine;
    (void)sigemptyset(&stop.sa_mask);
    (void)sigemptyset(&reload.sa_mask);
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGHUP, &reload, NULL);
    hold_reload(SIG_UNBLOCK); /* what was asked for meanwhile comes now */
}

static void log_report(const struct report *report, const char *topic)
{
    for (size_t i = 0; i < report->count; i++)
        log_err(report->findings[i].severity == SEVERITY_ERROR ? LOG_ERROR : LOG_WARN, topic,
                &report->findings[i].err);
}

/* The set, with what is wrong logged; NULL when there is nothing to run. */
static struct rule_set *take_rules(const struct config *config)
{
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(rule_set_drop) struct rule_set *set = load_rules(config->rules_path, config, true, &report);

    log_report(&report, "rule");
    if (!set)
        return NULL;
    if (load_runnable(set) == 0) {
        log_error("rule", "%s: no rule is left to run; `topicrule check` says more", config->rules_path);
        return NULL;
    }
    return TAKE(set);
}

/* ---- a reload ---- */

static void say_report(const struct report *report, struct buf *said)
{
    char text[1024];

    for (size_t i = 0; i < report->count; i++) {
        (void)err_print(&report->findings[i].err, text, sizeof text);
        buf_format(said, "%s: %s\n", report->findings[i].severity == SEVERITY_ERROR ? "error" : "warning",
                   text);
    }
}

/* Stricter than a start, which leaves out what is refused: here there is something that works already. */
static int load_again(void *context, struct config **config, struct rule_set **rules, struct buf *said)
{
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(config_drop) struct config *read = config_load(context, &report);
    AUTO(rule_set_drop) struct rule_set *set = NULL;

    if (read)
        set = load_rules(read->rules_path, read, true, &report);
    if (set && load_runnable(set) == 0 && report.errors == 0)
        report_error(&report, read->rules_path, NULL, (struct pos){0, 0}, "no rule is left to run");
    log_report(&report, "reload");
    say_report(&report, said);
    if (!set || report.errors > 0)
        return -1;
    *config = TAKE(read);
    *rules = TAKE(set);
    return 0;
}

static int give_up(const char *topic, const struct err *err)
{
    log_err(LOG_ERROR, topic, err);
    return STATUS_BAD;
}

static int run(const struct config *config)
{
    AUTO(secrets_drop) struct secrets *secrets = NULL;
    struct err err = {0};

    if (load_secrets(config, &secrets, &err)) {
        err_in(&err, config->file, NULL);
        return give_up("secrets", &err);
    }
    AUTO(rule_set_drop) struct rule_set *set = take_rules(config);
    if (!set)
        return STATUS_BAD;

    AUTO(text_drop) char *store = engine_store_path(config, &err);
    if (!store)
        return give_up("store", &err);
    const struct engine_options options = {.config = config,
                                           .rules = set,
                                           .secrets = secrets,
                                           .version = TOPICRULE_VERSION,
                                           .store_path = store,
                                           .source = {(void *)(uintptr_t)config->file, load_again}};
    struct engine *engine = engine_new(&options, &err);
    if (!engine)
        return give_up("engine", &err);
    log_info("engine", "topicrule %s, %zu %s from %s", TOPICRULE_VERSION, load_runnable(set),
             load_runnable(set) == 1 ? "rule" : "rules", config->rules_path);
    heed_signals(engine);
    int status = engine_run(engine, &err);
    /* A handler may still be called while the engine goes away. */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_IGN);
    engine_free(engine);
    return status ? give_up("engine", &err) : STATUS_FINE;
}

int cmd_run(int argc, char **argv)
{
    const char *file = CONFIG_FILE;
    AUTO(report_done) struct report report = REPORT_INIT;
    AUTO(config_drop) struct config *config = NULL;
    struct err err;
    struct options options = options_begin(&usage, argc, argv);

    while (options_next(&options))
        file = options.value; /* the only option */
    if (options.ended)
        return options.status;
    hold_reload(SIG_BLOCK);
    if (process_init(&err)) {
        paint_err(&err, stderr);
        return STATUS_BAD;
    }
    config = config_load(file, &report);
    if (!config) {
        paint_report(&report, stderr);
        return STATUS_BAD;
    }
    log_setup(config->log.format, config->log.level);
    log_report(&report, "config");
    return run(config);
}
