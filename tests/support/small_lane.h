/* small_lane.h - a lane from texts, without its thread and without a broker: messages are put in by hand. */
#ifndef TESTS_SMALL_LANE_H
#define TESTS_SMALL_LANE_H

#include "lane.h"
#include "plan.h"
#include "scripted_action.h"

#include "base/clock.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct small_lane {
    struct config *config;
    struct rule_set set;
    struct plan plan;
    struct lane *lane;
};

enum { SMALL_SEEN = 4096 };
static struct {
    char lines[SMALL_SEEN][96]; /* what the scripted action saw */
    size_t count;
} small_seen;

static inline void small_watch(const char *line)
{
    if (small_seen.count < SMALL_SEEN)
        (void)snprintf(small_seen.lines[small_seen.count++], sizeof small_seen.lines[0], "%s", line);
}

static inline struct rule *small_rule(const char *name, const char *text)
{
    static const struct action_type *const types[] = {&scripted_action_type, NULL};
    const struct rule_options options = {.types = types, .release = true};
    struct report report = REPORT_INIT;
    char file[64];

    (void)snprintf(file, sizeof file, "%s.json", name);
    struct rule *rule = rule_read(span_of(text), file, &options, &report);
    if (!rule)
        report_print(&report, stderr);
    report_done(&report);
    return rule;
}

/* `texts`: rule documents, which get the names r0, r1, ... */
static inline struct small_lane *small_lane_build(const char *const *texts, size_t count,
                                                  const char *config_text, struct secrets *secrets,
                                                  struct store *store, bool is_heir)
{
    struct small_lane *small = calloc(1, sizeof *small);
    struct report report = REPORT_INIT;
    struct err err = {0};
    char whole[512];

    (void)snprintf(
        whole, sizeof whole, "%srules: r\n%s",
        config_text && strncmp(config_text, "mqtt:", 5) == 0 ? "" : "mqtt: {url: 'mqtt://127.0.0.1:1'}\n",
        config_text ? config_text : "");
    small->config = config_read(span_of(whole), "topicrule.yaml", &report);
    report_print(&report, stderr);
    report_done(&report);
    small->set = (struct rule_set){calloc(count, sizeof(struct rule *)), count};
    if (!small->set.rules)
        abort();
    for (size_t i = 0; i < count; i++) {
        char name[24];

        (void)snprintf(name, sizeof name, "r%zu", i);
        small->set.rules[i] = small_rule(name, texts[i]);
        if (!small->set.rules[i])
            abort();
    }
    if (plan_make(&small->plan, small->config, &small->set, secrets, &err) != 0) {
        (void)fprintf(stderr, "plan: %s\n", err.text);
        abort();
    }
    const struct lane_options options = {
        .config = small->config,
        .rules = &small->set,
        .route = small->plan.route,
        .login = small->plan.login,
        .targets = small->plan.targets,
        .target_count = small->plan.target_count,
        .store = store,
        .target_of = (const size_t *const *)small->plan.target_of,
        .is_heir = is_heir,
    };
    small->lane = lane_new(&options, &err);
    if (!small->lane)
        abort();
    small->lane->now_ms = clock_mono_ms();
    return small;
}

static inline struct small_lane *small_lane_make(const char *const *texts, size_t count,
                                                 const char *config_text, struct secrets *secrets,
                                                 struct store *store)
{
    scripted_reset();
    scripted_watch(small_watch);
    small_seen.count = 0;
    struct small_lane *small = small_lane_build(texts, count, config_text, secrets, store, false);
    spool_begin(small->lane);
    client_work(small->lane);
    return small;
}

static inline struct small_lane *small_lane_new(const char *const *texts, size_t count,
                                                const char *config_text)
{
    return small_lane_make(texts, count, config_text, NULL, NULL);
}

static inline struct small_lane *small_lane_with(const char *const *texts, size_t count,
                                                 const char *config_text, struct secrets *secrets)
{
    return small_lane_make(texts, count, config_text, secrets, NULL);
}

static inline struct small_lane *small_lane_on(const char *const *texts, size_t count,
                                               const char *config_text, struct store *store)
{
    return small_lane_make(texts, count, config_text, NULL, store);
}

static inline void small_lane_free(struct small_lane *small)
{
    lane_free(small->lane);
    plan_done(&small->plan);
    for (size_t i = 0; i < small->set.count; i++)
        rule_free(small->set.rules[i]);
    free(small->set.rules);
    config_free(small->config);
    free(small);
}

/* A reload, as the threads of the two lanes do it: other rules in place of those of `former`, which goes. It
 * parts when nothing of it is held. */
static inline struct small_lane *small_lane_succeed(struct small_lane *former, const char *const *texts,
                                                    size_t count, struct store *store)
{
    struct small_lane *small = small_lane_build(texts, count, NULL, NULL, store, true);
    struct lane *lane = small->lane;

    client_work(lane);
    former->lane->parted = former->lane->hold.unsettled == 0 && former->lane->hold.orphans == 0;
    client_close_all(former->lane, former->lane->now_ms);
    lane_succeed(lane, former->lane);
    if (lane->now_ms < former->lane->now_ms) /* tests go ahead of the clock */
        lane->now_ms = former->lane->now_ms;
    spool_begin(lane);
    session_go_on(lane->session);
    small_lane_free(former);
    return small;
}

/* As the session does it: a guard around the message. */
static inline void small_publish(struct small_lane *small, const char *topic, struct span payload, int qos)
{
    struct lane *lane = small->lane;
    const struct message message = {
        .sql = {.topic = span_of(topic), .payload = payload, .payload_format = -1}, .qos = qos};
    uint32_t epoch = qos > 0 ? hold_take(&lane->hold) : 0;

    evaluate(lane, &message);
    if (qos > 0)
        hold_release(&lane->hold, epoch);
}

/* {"n": N}, with QoS 1. */
static inline void small_publish_n(struct small_lane *small, const char *topic, int n)
{
    char text[32];

    (void)snprintf(text, sizeof text, "{\"n\":%d}", n);
    small_publish(small, topic, span_of(text), 1);
}

/* The lines "sent ..." since the last call, without client and key, joined by blanks: "x1 x2". */
static inline const char *small_sent(void)
{
    static char text[65536];
    size_t size = 0;

    text[0] = '\0';
    for (size_t i = 0; i < small_seen.count; i++) {
        char topic[32], payload[48];

        if (sscanf(small_seen.lines[i], "sent %*d %31s %*s {\"n\":%47[0-9]", topic, payload) == 2)
            size +=
                (size_t)snprintf(text + size, sizeof text - size, "%s%s%s", size ? " " : "", topic, payload);
    }
    small_seen.count = 0;
    return text;
}

/* One turn of the loop after `ms`, with the scripted action's answers. */
static inline void small_turn(struct small_lane *small, int64_t ms)
{
    struct lane *lane = small->lane;

    lane->now_ms += ms;
    for (size_t i = 0; i < lane->options.target_count; i++)
        client_poll(&lane->clients[i]);
    client_work(lane);
    spool_overdue(lane);
    dispatch_waiting(lane);
    settle_reports(lane);
    (void)spool_work(lane);
    if (lane->hold.unsettled == 0)
        batch_turn(lane);
}

/* Turns until the disk has answered everything. */
static inline void small_disk(struct small_lane *small)
{
    struct pollfd disk = {.fd = spool_fd(small->lane), .events = POLLIN};

    for (int quiet = 0; quiet < 2;) {
        small_turn(small, 0);
        if (spool_is_quiet(small->lane)) {
            quiet++;
            continue;
        }
        quiet = 0;
        (void)poll(&disk, 1, 100);
        spool_poll(small->lane);
        if (small->lane->spool.put_answer != STORE_DONE ||
            small->lane->spool.failed_errands) /* the next try is a second away */
            return;
    }
}

static inline uint64_t small_count(const struct small_lane *small, enum counter counter)
{
    return atomic_load(&small->lane->counters.value[counter]);
}

#endif
