/* tools/demo.h - the parts of `topicrule demo`: a folder, two processes, an embedded Kafka, and the readings.
 */
#ifndef TOOLS_DEMO_H
#define TOOLS_DEMO_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The ARN that rules/examples/ name; the demo's configuration puts the embedded Kafka behind it. */
#define DEMO_DESTINATION "arn:aws:iot:eu-central-1:123456789012:ruledestination/vpc/demo"

/* ---- the examples, built in (tools/cmake/embed.cmake) ---- */

struct demo_file {
    const char *name;
    const unsigned char *bytes;
    size_t size;
};
extern const struct demo_file demo_files[]; /* ended by a NULL name */

struct demo_sample {
    const char *topic, *payload;
};
extern const struct demo_sample demo_samples[]; /* ended by a NULL topic */

/* How many records the rules of this folder make of the samples. 0 with `*count`, or -1 with `err`. */
int demo_expect(const char *rules, size_t *count, struct err *err);

/* ---- folder and processes (demo_process.c) ---- */

enum { DEMO_PATH = 256 };

/* A new private folder under $TMPDIR or /tmp. */
int demo_folder_make(char path[DEMO_PATH], struct err *err);
void demo_folder_remove(const char *path);
int demo_write(const char *folder, const char *name, const void *bytes, size_t size, struct err *err);
/* Copy a file to standard error: a child's log, when it has failed. */
void demo_show_log(const char *folder, const char *name);

int demo_free_port(void); /* on loopback, free a moment ago; 0: none */
bool demo_connects(int port);

/* Start a program in a process group of its own; it ends when we do, however we end. Its output goes to the
 * file `log` in `folder`. `notify` is its NOTIFY_SOCKET; NULL: none, and it gives up being root. */
int demo_start(const char *const *argv, const char *folder, const char *log, const char *notify, pid_t *pid,
               struct err *err);
bool demo_runs(pid_t *pid); /* sets it to 0 when it has ended */
void demo_stop(pid_t *pid); /* SIGTERM, then SIGKILL; waits; 0 is a no-op */

/* The socket on which a daemon says READY=1 (sd_notify(3)). */
int demo_notify_open(const char *folder, struct err *err);
bool demo_notify_ready(int fd, int wait_ms);

/* ---- the embedded Kafka (demo_kafka.c) ---- */

struct demo_kafka;

struct demo_record {
    const char *topic;
    const char *key, *value; /* key NULL: none; not terminated */
    size_t key_size, value_size;
};

struct demo_kafka *demo_kafka_new(struct err *err);
void demo_kafka_free(struct demo_kafka *kafka);
const char *demo_kafka_servers(const struct demo_kafka *kafka);
/* Wait for one record of any topic. True: `seen` was called with it. */
bool demo_kafka_next(struct demo_kafka *kafka, int wait_ms,
                     void (*seen)(void *context, const struct demo_record *record), void *context);

#endif
