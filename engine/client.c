/* A lane's clients: opened, watched, replaced when they die. */
#include "lane.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/epoll.h>

enum { OPEN_LEAST_MS = 500, OPEN_MOST_MS = 30000, NO_SETTINGS_MS = 500 };

static void on_state(void *context, enum action_state state, const char *text)
{
    struct client *client = context;
    const char *topic = client->target->type->name;

    /* Away, told again, is for another reason. */
    if (state == client->state && state != ACTION_DEAD && state != ACTION_AWAY)
        return;
    client->state = state;
    glance_write(&client->seen, state, text);
    switch (state) {
    case ACTION_STARTING: break;
    case ACTION_READY:
        client->attempts = 0;
        log_info(topic, "%s", text);
        break;
    case ACTION_AWAY: log_warn(topic, "%s", text); break;
    case ACTION_DEAD: log_warn(topic, "%s; opening another", text); break;
    }
}

static int64_t back_off(struct client *client)
{
    int64_t wait = OPEN_LEAST_MS;

    for (unsigned i = 0; i < client->attempts && wait < OPEN_MOST_MS; i++)
        wait *= 2;
    client->attempts++;
    return wait < OPEN_MOST_MS ? wait : OPEN_MOST_MS;
}

static void open_one(struct lane *lane, struct client *client)
{
    const struct target *target = client->target;
    const struct render_settings *settings = atomic_load_explicit(&target->settings, memory_order_acquire);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = client->epoll_data};

    if (!settings) { /* a secret is missing, and being fetched */
        glance_write(&client->seen, ACTION_STARTING, "waits for a secret");
        client->due_ms = lane->now_ms + NO_SETTINGS_MS;
        return;
    }
    client->events = (struct action_events){client, settle_result, on_state};
    client->state = ACTION_STARTING;
    glance_write(&client->seen, ACTION_STARTING, "starting");
    client->handle = target->type->open(&settings->settings, &client->events, &lane->err);
    if (!client->handle) {
        client->due_ms = lane->now_ms + back_off(client);
        glance_write(&client->seen, ACTION_DEAD, lane->err.text);
        if ((client->attempts & (client->attempts - 1)) == 0) /* ever more seldom */
            log_error(target->type->name, "rule %s: %s; what is for it waits, and this is tried again",
                      target->rule->name, lane->err.text);
        return;
    }
    if (epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, target->type->fd(client->handle), &event) != 0)
        lane_out_of_memory(); /* ENOMEM, or the limit on watches */
    dispatch_client_opened(lane, client);
}

void client_open_due(struct lane *lane)
{
    for (size_t i = 0; i < lane->options.target_count; i++)
        if (!lane->clients[i].handle && lane->clients[i].due_ms <= lane->now_ms)
            open_one(lane, &lane->clients[i]);
}

int64_t client_next_due(const struct lane *lane)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < lane->options.target_count; i++)
        if (!lane->clients[i].handle && lane->clients[i].due_ms < due)
            due = lane->clients[i].due_ms;
    return due;
}

bool client_all_ready(const struct lane *lane)
{
    for (size_t i = 0; i < lane->options.target_count; i++)
        if (!lane->clients[i].handle || lane->clients[i].state != ACTION_READY)
            return false;
    return true;
}

static void close_one(struct lane *lane, struct client *client, int wait_ms)
{
    struct action_client *handle = client->handle;

    if (!handle)
        return;
    (void)epoll_ctl(lane->epoll_fd, EPOLL_CTL_DEL, client->target->type->fd(handle), NULL);
    client->handle = NULL; /* what comes back now stands in line */
    client->target->type->close(handle, wait_ms);
}

/* Every record the dead one had comes back as `wait`, with its copy still here: it is sent again by the next
 * client, in its old order, and the MQTT connection need not be dropped for it. */
void client_replace_dead(struct lane *lane)
{
    for (size_t i = 0; i < lane->options.target_count; i++) {
        struct client *client = &lane->clients[i];

        if (!client->handle || client->state != ACTION_DEAD)
            continue;
        close_one(lane, client, 0);
        /* At once, unless the last one died before it was ever ready. */
        client->due_ms = lane->now_ms + (client->attempts > 0 ? back_off(client) : 0);
        if (client->attempts == 0)
            client->attempts = 1;
    }
}

void client_poll(struct client *client)
{
    if (client->handle)
        client->target->type->poll(client->handle);
}

void client_close_all(struct lane *lane, int64_t until_ms)
{
    for (size_t i = 0; i < lane->options.target_count; i++) {
        int64_t left = until_ms - lane->now_ms;

        close_one(lane, &lane->clients[i], left > 0 ? (int)left : 0);
    }
}
