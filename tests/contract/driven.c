/* driven - the engine with the fake action: `topicrule run`, with a Kafka that does what standard input says.
 *
 *     driven CONFIGURATION      commands of scripted_action.h on standard input; what the fake sees on
 * standard output
 *
 * Without delivery.store.path there is no store: what is not safe is held. The log goes to standard error.
 * SIGTERM stops it as it stops the program. */
#include "scripted_action.h"

#include "base/log.h"
#include "engine/engine.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct engine *engine;
static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER; /* orders may come while it is freed */

/* libmosquitto calls this one. With SEND_BUFFER=bytes the kernel takes no more than that, so that a script
 * can see acknowledgements leave in parts. */
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    const char *wanted = getenv("SEND_BUFFER");
    const int bytes = wanted ? atoi(wanted) : 0;

    if (bytes > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return (int)syscall(SYS_connect, fd, address, size);
}

/* libmosquitto calls this one, and waits. With NO_NAMES set nobody answers: a script sees that it is not
 * called for a name that does not resolve. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (getenv("NO_NAMES")) {
        (void)puts("the lane waits for a name server");
        (void)fflush(stdout);
        (void)sleep(20);
        return EAI_AGAIN;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(host, port, hints, found);
}

static void on_stop(int number)
{
    (void)number;
    if (engine)
        engine_stop(engine);
}

static void show(const char *line)
{
    (void)puts(line);
    (void)fflush(stdout);
}

static void show_counters(void)
{
    struct engine_counters c = {0};

    (void)pthread_mutex_lock(&engine_lock);
    if (engine)
        engine_counters(engine, &c);
    (void)pthread_mutex_unlock(&engine_lock);
    (void)printf(
        "counters received=%llu matched=%llu filtered=%llu failed=%llu begun=%llu delivered=%llu "
        "error_action=%llu "
        "dropped=%llu abandoned=%llu retried=%llu acknowledged=%llu reconnects=%llu unmatched=%llu "
        "retained_ignored=%llu not_json=%llu too_large=%llu duplicates=%llu\n",
        (unsigned long long)c.received, (unsigned long long)c.matched, (unsigned long long)c.filtered,
        (unsigned long long)c.failed, (unsigned long long)c.begun, (unsigned long long)c.delivered,
        (unsigned long long)c.error_action, (unsigned long long)c.dropped, (unsigned long long)c.abandoned,
        (unsigned long long)c.retried, (unsigned long long)c.acknowledged, (unsigned long long)c.reconnects,
        (unsigned long long)c.unmatched, (unsigned long long)c.retained_ignored,
        (unsigned long long)c.not_json, (unsigned long long)c.too_large, (unsigned long long)c.duplicates);
    (void)fflush(stdout);
}

/* Without stdio: since glibc 2.41 exit waits for who reads a stream. False at the end. */
static bool read_order(char *line, size_t room)
{
    size_t used = 0;
    ssize_t got;

    while ((got = read(STDIN_FILENO, &line[used], 1)) == 1 && line[used] != '\n')
        used += used < room - 1;
    line[used] = '\0';
    return got == 1;
}

static void *listen_to_orders(void *context)
{
    char line[80];

    while (read_order(line, sizeof line)) {
        if (strcmp(line, "counters") == 0)
            show_counters();
        else
            scripted_command(line);
    }
    return context;
}

/* NULL: the configuration has no backends. */
static struct secrets *open_secrets(const struct config *config, struct err *err)
{
    const struct secrets_config wanted = {.base_directory = config->directory,
                                          .default_backend = config->secrets.default_backend,
                                          .backends = config->secrets.backends,
                                          .backend_count = config->secrets.backend_count,
                                          .cache_ms = config->secrets.cache_ms,
                                          .stale_limit_ms = config->secrets.stale_limit_ms};

    return wanted.backend_count ? secrets_new(&wanted, err) : NULL;
}

int main(int argc, char **argv)
{
    const struct action_type *const types[] = {&scripted_action_type, NULL};
    struct report report = REPORT_INIT;
    struct err err = {0};
    pthread_t thread;
    sigset_t stop;

    struct config *config = argc == 2 ? config_load(argv[1], &report) : NULL;
    const struct rule_options options = {.types = types, .basic_ingest = config && config->mqtt.basic_ingest};
    struct rule_set *rules = config ? rule_set_load(config->rules_path, &options, &report) : NULL;
    report_print(&report, stderr);
    report_done(&report);
    if (!rules)
        return 2;
    log_setup(LOG_TEXT, LOG_DEBUG);
    scripted_watch(show);
    struct secrets *secrets = open_secrets(config, &err);
    const struct engine_options engine_options = {
        .config = config, .rules = rules, .secrets = secrets, .store_path = config->delivery.store_path};
    engine = engine_new(&engine_options, &err);
    if (!engine)
        return 2;

    /* Orders are read by a thread that takes no signals. */
    (void)sigfillset(&stop);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
    (void)pthread_create(&thread, NULL, listen_to_orders, NULL);
    (void)pthread_detach(thread);
    (void)pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_stop}, NULL);

    int status = engine_run(engine, &err);
    if (status != 0)
        log_err(LOG_ERROR, "engine", &err);
    show_counters();
    (void)signal(SIGTERM, SIG_IGN); /* asked twice: it is ending */
    (void)pthread_mutex_lock(&engine_lock);
    engine_free(engine);
    engine = NULL;
    (void)pthread_mutex_unlock(&engine_lock);
    rule_set_free(rules);
    secrets_free(secrets);
    config_free(config);
    return status != 0;
}
