/* Metrics for Prometheus, text format 0.0.4: HELP and TYPE once for each name, then its samples. Counters are
 * by cause, so that sums close; docs/operations.md says which. No label holds what a device or a secret store
 * could choose. */
#include "view.h"

#include "base/clock.h"
#include "base/wiped.h"

#include <inttypes.h>
#include <sys/resource.h>

/* ---- the format ---- */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline escaped. */
static void label(struct buf *out, const char *name, const char *value, bool first)
{
    buf_format(out, "%s%s=\"", first ? "{" : ",", name);
    for (; *value; value++)
        switch (*value) {
        case '\\': buf_text(out, "\\\\"); break;
        case '"': buf_text(out, "\\\""); break;
        case '\n': buf_text(out, "\\n"); break;
        default: buf_char(out, *value); break;
        }
    buf_char(out, '"');
}

static void count(struct buf *out, uint64_t value)
{
    buf_format(out, " %" PRIu64 "\n", value);
}

static void seconds(struct buf *out, int64_t ms)
{
    buf_format(out, " %" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

static void single(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    buf_text(out, name);
    count(out, value);
}

/* ---- counters ---- */

/* Rows of one name stand together. Every counter has a row: a test looks. */
static const struct row {
    enum counter counter;
    const char *name;
    const char *label, *value; /* NULL: the name says all */
    const char *help;          /* NULL: as the row before */
} rows[] = {
    {COUNT_received, "topicrule_mqtt_messages_total", NULL, NULL,
     "MQTT messages received, without replays of retained ones."},
    {COUNT_bytes, "topicrule_mqtt_payload_bytes_total", NULL, NULL, "Bytes of their payloads."},
    {COUNT_acknowledged, "topicrule_mqtt_acknowledged_total", NULL, NULL,
     "QoS 1 messages acknowledged to the broker: all they caused is safe."},
    {COUNT_reconnects, "topicrule_mqtt_reconnects_total", NULL, NULL, "Connections after the first."},
    {COUNT_duplicates, "topicrule_mqtt_duplicates_total", NULL, NULL,
     "Messages that came again, were safe already, and were passed over."},
    {COUNT_retained_ignored, "topicrule_mqtt_retained_ignored_total", NULL, NULL,
     "Replays of retained messages, which rules do not see."},
    {COUNT_too_large, "topicrule_mqtt_too_large_total", NULL, NULL, "Messages over limits.payload, dropped."},
    {COUNT_unmatched, "topicrule_mqtt_unmatched_total", NULL, NULL, "Messages that no rule hears."},
    {COUNT_not_json, "topicrule_mqtt_not_json_total", NULL, NULL,
     "Messages that a rule hears and that are no JSON object or array."},
    {COUNT_evaluated, "topicrule_evaluations_total", NULL, NULL,
     "Times that a rule looked at a message; the sum of topicrule_evaluation_results_total."},
    {COUNT_matched, "topicrule_evaluation_results_total", "result", "matched",
     "What came of it: WHERE was true, was not, or the statement failed."},
    {COUNT_filtered, "topicrule_evaluation_results_total", "result", "filtered", NULL},
    {COUNT_failed, "topicrule_evaluation_results_total", "result", "failed", NULL},
    {COUNT_begun, "topicrule_actions_begun_total", NULL, NULL,
     "Actions begun; a failed statement counts as one. The sum of topicrule_actions_total, what is stored "
     "and what is "
     "in flight."},
    {COUNT_delivered, "topicrule_actions_total", "outcome", "delivered",
     "How actions ended; abandoned: the broker sends the message again."},
    {COUNT_error_action, "topicrule_actions_total", "outcome", "error_action", NULL},
    {COUNT_dead, "topicrule_actions_total", "outcome", "dead", NULL},
    {COUNT_dropped, "topicrule_actions_total", "outcome", "dropped", NULL},
    {COUNT_abandoned, "topicrule_actions_total", "outcome", "abandoned", NULL},
    {COUNT_retried, "topicrule_records_retried_total", NULL, NULL,
     "Records sent again after an answer that was not final."},
    {COUNT_stored, "topicrule_records_stored_total", NULL, NULL,
     "Records put on the disk because their cluster did not confirm them in time, or refused their topic."},
    {COUNT_recovered, "topicrule_records_recovered_total", NULL, NULL,
     "Records that waited on the disk when the daemon started, and dead letters that are sent again."},
    {COUNT_withdrawn, "topicrule_records_withdrawn_total", NULL, NULL,
     "Records that `topicrule dead` took off the disk, where they waited for a rule that is gone."},
};

static void tell_counters(const struct view *view, struct buf *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];

        if (row->help)
            head(out, row->name, "counter", row->help);
        buf_text(out, row->name);
        if (row->label) {
            label(out, row->label, row->value, true);
            buf_char(out, '}');
        }
        count(out, view->count[row->counter]);
    }
    single(out, "topicrule_records_in_flight", "gauge",
           "Records without a final answer, those that wait included.", view->in_flight);
    single(out, "topicrule_matches_held", "gauge",
           "Matches of rules that are not safe yet, so that their messages are not acknowledged.",
           view->held);
}

/* ---- rules ---- */

static const struct {
    enum rule_counter counter;
    const char *value;
} results[] = {{RULE_matched, "matched"}, {RULE_filtered, "filtered"}, {RULE_failed, "failed"}},
  outcomes[] = {{RULE_delivered, "delivered"},
                {RULE_error_action, "error_action"},
                {RULE_dead, "dead"},
                {RULE_dropped, "dropped"},
                {RULE_abandoned, "abandoned"}};

static void tell_of_each_rule(const struct view *view, struct buf *out, const char *name,
                              enum rule_counter counter)
{
    head(out, name, "counter", "The same for each rule.");
    for (size_t i = 0; i < view->rule_count; i++) {
        buf_text(out, name);
        label(out, "rule", view->rules[i].rule->name, true);
        buf_char(out, '}');
        count(out, view->rules[i].count[counter]);
    }
}

static void tell_rule_counters(const struct view *view, struct buf *out)
{
    head(out, "topicrule_rule_evaluation_results_total", "counter", "The same for each rule.");
    for (size_t i = 0; i < view->rule_count; i++)
        for (size_t r = 0; r < sizeof results / sizeof *results; r++) {
            buf_text(out, "topicrule_rule_evaluation_results_total");
            label(out, "rule", view->rules[i].rule->name, true);
            label(out, "result", results[r].value, false);
            buf_char(out, '}');
            count(out, view->rules[i].count[results[r].counter]);
        }
    tell_of_each_rule(view, out, "topicrule_rule_actions_begun_total", RULE_begun);
    tell_of_each_rule(view, out, "topicrule_rule_records_stored_total", RULE_stored);
    head(out, "topicrule_rule_actions_total", "counter", "The same for each rule.");
    for (size_t i = 0; i < view->rule_count; i++)
        for (size_t o = 0; o < sizeof outcomes / sizeof *outcomes; o++) {
            buf_text(out, "topicrule_rule_actions_total");
            label(out, "rule", view->rules[i].rule->name, true);
            label(out, "outcome", outcomes[o].value, false);
            buf_char(out, '}');
            count(out, view->rules[i].count[outcomes[o].counter]);
        }
}

/* ---- what waits on disk ---- */

static void tell_store(const struct view *view, struct buf *out)
{
    const struct store_figures *store = &view->store;

    if (view->has_store || view->of->opening.problem[0])
        single(
            out, "topicrule_store_healthy", "gauge",
            "1 if the last that was to be put is on the disk; 0 when that is full or fails, and messages are "
            "held, or when it cannot be opened.",
            view->has_store && store->state == STORE_DONE);
    if (!view->has_store)
        return;
    single(out, "topicrule_store_rows", "gauge", "Records that wait on disk.", store->rows);
    single(out, "topicrule_store_bytes", "gauge", "Their bytes; delivery.store.max is the limit.",
           store->bytes);
    single(out, "topicrule_store_gone_rows", "gauge",
           "Those of them whose rule or action is gone: they wait for one, or for `topicrule dead`.",
           view->gone_rows);
    head(out, "topicrule_store_oldest_seconds", "gauge", "The age of the oldest record that waits.");
    buf_text(out, "topicrule_store_oldest_seconds");
    seconds(out, view->oldest_ms);
    single(out, "topicrule_store_file_bytes", "gauge", "The database and its log on disk.",
           store->file_bytes);
    single(out, "topicrule_store_commits_total", "counter", "Transactions.", store->commits);
    single(out, "topicrule_store_failures_total", "counter", "Transactions that failed.", store->failures);
    single(out, "topicrule_dead_letters", "gauge", "Dead letters: what failed for good.", store->letters);
    single(out, "topicrule_dead_letter_bytes", "gauge", "Their bytes; delivery.dead.max is the limit.",
           store->letter_bytes);
    single(out, "topicrule_dead_letters_dropped_total", "counter", "Dead letters that went over that limit.",
           store->letters_dropped);
}

/* ---- clients and secrets ---- */

static void tell_clients(const struct view *view, struct buf *out)
{
    head(out, "topicrule_client_ready", "gauge",
         "1 if the client delivers; named after the first action that uses it.");
    for (size_t i = 0; i < view->client_count; i++) {
        const struct view_client *client = &view->clients[i];

        buf_text(out, "topicrule_client_ready");
        label(out, "type", client->type, true);
        label(out, "rule", client->rule, false);
        label(out, "action", client->action, false);
        buf_char(out, '}');
        count(out, client->state == ACTION_READY);
    }
}

static void backend_line(struct buf *out, const char *name, const struct view_backend *backend)
{
    buf_text(out, name);
    label(out, "backend", backend->name, true);
    label(out, "type", backend->type, false);
    buf_char(out, '}');
}

static void tell_backends(const struct view *view, struct buf *out)
{
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } lines[] = {
        {"topicrule_secrets_kept", "gauge", "Secrets of which there is a value.",
         offsetof(struct view_backend, kept)},
        {"topicrule_secrets_missing", "gauge", "Secrets that were asked for and of which there is none.",
         offsetof(struct view_backend, missing)},
        {"topicrule_secrets_stale", "gauge",
         "Secrets whose last good value is used, because it cannot be refreshed.",
         offsetof(struct view_backend, stale)},
        {"topicrule_secrets_fetches", "gauge", "How often those that are known were fetched.",
         offsetof(struct view_backend, fetches)},
    };

    for (size_t l = 0; l < sizeof lines / sizeof *lines; l++) {
        head(out, lines[l].name, lines[l].type, lines[l].help);
        for (size_t i = 0; i < view->backend_count; i++) {
            uint64_t value;

            memcpy(&value, (const char *)&view->backends[i] + lines[l].offset, sizeof value);
            backend_line(out, lines[l].name, &view->backends[i]);
            count(out, value);
        }
    }
    head(out, "topicrule_secrets_oldest_seconds", "gauge",
         "The age of the value that was confirmed longest ago.");
    for (size_t i = 0; i < view->backend_count; i++) {
        backend_line(out, "topicrule_secrets_oldest_seconds", &view->backends[i]);
        seconds(out, view->backends[i].oldest_ms);
    }
    head(out, "topicrule_secrets_backend_away", "gauge",
         "1 while the backend does not answer, or not usefully.");
    for (size_t i = 0; i < view->backend_count; i++) {
        backend_line(out, "topicrule_secrets_backend_away", &view->backends[i]);
        count(out, view->backends[i].is_away);
    }
    single(out, "topicrule_secrets_unlocked_total", "counter",
           "Secrets that could not be locked in memory: LimitMEMLOCK is too low.", wiped_unlocked());
}

/* ---- the process: names as Prometheus's own client libraries have them ---- */

static void tell_process(const struct view *view, struct buf *out)
{
    const struct view_process *process = &view->process;
    struct rlimit files = {0};

    head(out, "process_cpu_seconds_total", "counter", "User and system time.");
    buf_text(out, "process_cpu_seconds_total");
    seconds(out, process->cpu_ms);
    single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", process->rss_bytes);
    single(out, "process_open_fds", "gauge", "Open file descriptors.", process->fds);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        single(out, "process_max_fds", "gauge", "As many may be open.", files.rlim_cur);
    single(out, "process_threads", "gauge", "Threads.", process->threads);
    head(out, "process_start_time_seconds", "gauge", "When it was started, since 1970.");
    buf_text(out, "process_start_time_seconds");
    seconds(out, view->of->started_ms);
    head(out, "topicrule_uptime_seconds", "gauge", "Since then.");
    buf_text(out, "topicrule_uptime_seconds");
    seconds(out, process->uptime_ms);
}

void metrics_text(const struct view *view, struct buf *out)
{
    head(out, "topicrule_build_info", "gauge", "The version that runs; always 1.");
    buf_text(out, "topicrule_build_info");
    label(out, "version", view->of->version ? view->of->version : "", true);
    buf_text(out, "} 1\n");
    single(out, "topicrule_ready", "gauge",
           "1 when every subscription is confirmed, so that what is published is heard; as /readyz.",
           !view->problem);
    single(out, "topicrule_rules", "gauge", "Rules that are loaded and not disabled.", view->enabled_count);
    tell_counters(view, out);
    tell_rule_counters(view, out);
    tell_store(view, out);
    tell_clients(view, out);
    tell_backends(view, out);
    tell_process(view, out);
}
