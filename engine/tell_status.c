/* The daemon as JSON: what `topicrule status` shows, and the rules with their counters. */
#include "json.h"
#include "view.h"

#include <unistd.h>

static void put_counters(struct json *json, const struct view *view)
{
    static const char *const names[] = {
#define X(name) #name,
        COUNTERS(X)
#undef X
    };

    json_open(json, "counters", '{');
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        json_count(json, names[i], view->count[i]);
    json_close(json, '}');
}

static void put_clients(struct json *json, const struct view *view)
{
    json_open(json, "clients", '[');
    for (size_t i = 0; i < view->client_count; i++) {
        const struct view_client *client = &view->clients[i];

        json_open(json, NULL, '{');
        json_text(json, "type", client->type);
        json_text(json, "rule", client->rule);
        json_text(json, "action", client->action);
        json_text(json, "state", view_state_name(client->state));
        json_text(json, "text", client->text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_backends(struct json *json, const struct view *view)
{
    json_open(json, "secrets", '[');
    for (size_t i = 0; i < view->backend_count; i++) {
        const struct view_backend *backend = &view->backends[i];

        json_open(json, NULL, '{');
        json_text(json, "backend", backend->name);
        json_text(json, "type", backend->type);
        json_bool(json, "away", backend->is_away);
        json_text(json, "problem", backend->problem);
        json_count(json, "kept", backend->kept);
        json_count(json, "missing", backend->missing);
        json_count(json, "stale", backend->stale);
        json_seconds(json, "oldest_s", backend->oldest_ms);
        json_close(json, '}');
    }
    json_close(json, ']');
}

enum { QUEUES_SHOWN = 200 };

static void put_queues(struct json *json, const struct view *view)
{
    const size_t shown = view->queue_count < QUEUES_SHOWN ? view->queue_count : QUEUES_SHOWN;

    json_open(json, "queues", '[');
    for (size_t i = 0; i < shown; i++) {
        const struct view_queue *queue = &view->queues[i];

        json_open(json, NULL, '{');
        json_text(json, "rule", queue->rule);
        json_text(json, "type", queue->type);
        json_text(json, "stream", queue->stream);
        if (queue->action == STORE_ERROR_ACTION)
            json_text(json, "action", "errorAction");
        else
            json_count(json, "action", (uint64_t)queue->action);
        json_count(json, "rows", queue->rows);
        json_count(json, "bytes", queue->bytes);
        json_seconds(json, "oldest_s", queue->oldest_ms);
        json_bool(json, "gone", queue->is_gone);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_count(json, "queues_left_out", view->queue_count - shown + view->queues_left_out);
}

static void put_store(struct json *json, const struct view *view)
{
    const struct store_figures *store = &view->store;

    if (!view->has_store) {
        json_null(json, "store");
        return;
    }
    json_open(json, "store", '{');
    json_text(json, "state", view_store_state(view));
    json_count(json, "rows", store->rows);
    json_count(json, "bytes", store->bytes);
    json_seconds(json, "oldest_s", view->queue_count ? view->oldest_ms : -1);
    json_count(json, "gone_rows", view->gone_rows);
    json_count(json, "gone_bytes", view->gone_bytes);
    json_count(json, "letters", store->letters);
    json_count(json, "letter_bytes", store->letter_bytes);
    json_count(json, "letters_dropped", store->letters_dropped);
    json_count(json, "commits", store->commits);
    json_count(json, "failures", store->failures);
    json_count(json, "file_bytes", store->file_bytes);
    put_queues(json, view);
    json_close(json, '}');
}

static void put_process(struct json *json, const struct view_process *process)
{
    json_open(json, "process", '{');
    json_count(json, "pid", (uint64_t)getpid());
    json_seconds(json, "uptime_s", process->uptime_ms);
    json_seconds(json, "cpu_s", process->cpu_ms);
    json_count(json, "rss_bytes", process->rss_bytes);
    json_count(json, "open_files", process->fds);
    json_count(json, "threads", process->threads);
    json_close(json, '}');
}

void status_json(const struct view *view, struct buf *out)
{
    struct json json = {.out = out};

    json_open(&json, NULL, '{');
    json_text(&json, "version", view->of->version);
    json_bool(&json, "ready", !view->problem);
    json_text(&json, "problem", view->problem);
    json_open(&json, "mqtt", '{');
    json_bool(&json, "subscribed", view->subscribed);
    json_text(&json, "text", view->mqtt);
    json_close(&json, '}');
    json_open(&json, "rules", '{');
    json_count(&json, "enabled", view->enabled_count);
    json_count(&json, "disabled", view->rule_count - view->enabled_count);
    json_close(&json, '}');
    put_counters(&json, view);
    json_count(&json, "in_flight", view->in_flight);
    json_count(&json, "held", view->held);
    put_clients(&json, view);
    put_store(&json, view);
    put_backends(&json, view);
    put_process(&json, &view->process);
    json_close(&json, '}');
    buf_char(out, '\n');
}

/* ---- rules ---- */

static void put_action(struct json *json, const struct rule_action *action)
{
    json_open(json, NULL, '{');
    json_text(json, "type", action->type_name);
    json_bool(json, "skipped", !action->type);
    json_close(json, '}');
}

static void put_rule(struct json *json, const struct view_rule *of)
{
    static const char *const names[] = {
#define X(name) #name,
        RULE_COUNTERS(X)
#undef X
    };
    const struct rule *rule = of->rule;

    json_open(json, NULL, '{');
    json_text(json, "name", rule->name);
    json_text(json, "file", rule->file);
    json_text(json, "description", rule->description);
    json_bool(json, "disabled", rule->disabled);
    json_span(json, "filter", rule->filter);
    json_open(json, "actions", '[');
    for (size_t i = 0; i < rule->action_count; i++)
        put_action(json, &rule->actions[i]);
    json_close(json, ']');
    json_text(json, "error_action", rule->error_action ? rule->error_action->type_name : NULL);
    json_open(json, "counters", '{');
    for (size_t i = 0; i < RULE_COUNTER_COUNT; i++)
        json_count(json, names[i], of->count[i]);
    json_close(json, '}');
    json_close(json, '}');
}

void rule_json(const struct view_rule *rule, struct buf *out)
{
    struct json json = {.out = out};

    put_rule(&json, rule);
    buf_char(out, '\n');
}

void rules_json(const struct view *view, struct buf *out)
{
    struct json json = {.out = out};

    json_open(&json, NULL, '[');
    for (size_t i = 0; i < view->rule_count; i++)
        put_rule(&json, &view->rules[i]);
    json_close(&json, ']');
    buf_char(out, '\n');
}
