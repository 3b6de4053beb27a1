/* A lane's clients: opened, watched, replaced when they die or when their settings change.
 *
 * New settings. What the action can take in place it takes. For the rest a second connection is opened beside
 * the one in use, and takes over once it is ready: so settings that do not work change nothing, for as long
 * as the former ones do, and whichever works first is used. To switch over, records stand in line; the old
 * connection has `delivery.hold` to deliver what it has, and then is closed. What it still had comes back as
 * `wait` and goes first over the new one, so streams keep their order. */
#include "lane.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OPEN_LEAST_MS = 500, OPEN_MOST_MS = 30000 };

static void on_result(void *context, const struct action_result *result)
{
    const struct connection *connection = context;

    settle_result(connection->client, result);
}

static void say_state(struct client *client, enum action_state state, const char *text)
{
    const char *topic = client->target->type->name, *rule = client->target->rule->name;

    glance_write(&client->seen, state, text);
    switch (state) {
    case ACTION_STARTING: break;
    case ACTION_READY: log_info(topic, "rule %s: %s", rule, text); break;
    case ACTION_AWAY: log_warn(topic, "rule %s: %s", rule, text); break;
    case ACTION_DEAD: log_warn(topic, "rule %s: %s; opening another", rule, text); break;
    }
}

/* Of the connection that is to take over. */
static void say_next(const struct client *client, enum action_state state, const char *text)
{
    const char *topic = client->target->type->name, *rule = client->target->rule->name;

    if (state != ACTION_AWAY && state != ACTION_DEAD)
        return;
    if (client->current && client->current->state == ACTION_READY)
        log_warn(topic,
                 "rule %s: its new settings do not work: %s; the connection made with the former ones is "
                 "kept, and the new ones are tried again",
                 rule, text);
    else
        log_warn(topic, "rule %s: with its new settings: %s; the former and the new ones are tried", rule,
                 text);
}

static void on_state(void *context, enum action_state state, const char *text)
{
    struct connection *connection = context;
    struct client *client = connection->client;

    /* Away, told again, is for another reason. */
    if (state == connection->state && state != ACTION_DEAD && state != ACTION_AWAY)
        return;
    connection->state = state;
    if (state == ACTION_READY) {
        connection->was_ready = true;
        client->attempts = 0;
    }
    if (connection == client->next)
        say_next(client, state, text);
    else
        say_state(client, state, text);
}

static int64_t back_off(struct client *client)
{
    int64_t wait = OPEN_LEAST_MS;

    for (unsigned i = 0; i < client->attempts && wait < OPEN_MOST_MS; i++)
        wait *= 2;
    client->attempts++;
    return wait < OPEN_MOST_MS ? wait : OPEN_MOST_MS;
}

/* Records go to the connection in use, if there is one. */
static void use_current(struct lane *lane, struct client *client)
{
    client->handle = client->current ? client->current->handle : NULL;
    if (client->handle)
        dispatch_client_opened(lane, client);
}

/* ---- one connection ---- */

static void open_one(struct lane *lane, struct client *client, struct connection **place,
                     const struct render_settings *settings)
{
    const struct target *target = client->target;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = client->epoll_data};
    struct connection *made = calloc(1, sizeof *made);

    if (!made)
        lane_out_of_memory();
    *made = (struct connection){
        .client = client, .events = {made, on_result, on_state}, .state = ACTION_STARTING};
    *place = made; /* from here on it may tell its state */
    if (place == &client->current)
        glance_write(&client->seen, ACTION_STARTING, "starting");
    made->handle = target->type->open(&settings->settings, &made->events, &lane->err);
    if (!made->handle) {
        *place = NULL;
        free(made);
        client->due_ms = lane->now_ms + back_off(client);
        if (place == &client->current)
            glance_write(&client->seen, ACTION_DEAD, lane->err.text);
        if ((client->attempts & (client->attempts - 1)) == 0) /* ever more seldom */
            log_error(target->type->name, "rule %s: %s; %s, and this is tried again", target->rule->name,
                      lane->err.text,
                      client->current ? "the connection made with the former settings is kept"
                                      : "what is for it waits");
        return;
    }
    if (epoll_ctl(lane->epoll_fd, EPOLL_CTL_ADD, target->type->fd(made->handle), &event) != 0)
        lane_out_of_memory(); /* ENOMEM, or the limit on watches */
}

static void close_one(struct lane *lane, struct connection **place, int wait_ms)
{
    struct connection *connection = *place;

    if (!connection)
        return;
    const struct action_type *type = connection->client->target->type;
    (void)epoll_ctl(lane->epoll_fd, EPOLL_CTL_DEL, type->fd(connection->handle), NULL);
    if (connection->client->handle == connection->handle)
        connection->client->handle = NULL; /* what comes back now stands in line */
    type->close(connection->handle, wait_ms);
    free(connection);
    *place = NULL;
}

/* ---- new settings ---- */

static void replace(struct render_settings **place, struct render_settings *settings)
{
    render_settings_free(*place);
    *place = settings;
}

void lane_give_settings(struct lane *lane, size_t target, struct render_settings *settings)
{
    const uint64_t one = 1;

    render_settings_free(atomic_exchange(&lane->clients[target].fresh, settings));
    (void)!write(lane->wake_fd, &one, sizeof one);
}

static void take_settings(struct lane *lane, struct client *client)
{
    const struct target *target = client->target;
    struct render_settings *fresh;

    if (!atomic_load_explicit(&client->fresh, memory_order_relaxed) ||
        !(fresh = atomic_exchange(&client->fresh, NULL)))
        return;
    close_one(lane, &client->next, 0);
    replace(&client->wanted, NULL);
    client->attempts = 0;
    client->due_ms = lane->now_ms;
    if (!client->current) {
        replace(&client->settings, fresh);
        return;
    }
    if (target->type->update(client->current->handle, &fresh->settings)) {
        replace(&client->settings, fresh);
        log_info(target->type->name, "rule %s: its new password is used whenever it logs in from now on",
                 target->rule->name);
    } else {
        client->wanted = fresh;
        log_info(target->type->name,
                 "rule %s: its settings have changed; connecting with the new ones, beside the connection "
                 "in use",
                 target->rule->name);
    }
}

static void switch_over(struct lane *lane, struct client *client)
{
    if (client->handle) {
        client->handle = NULL; /* from here on there is no way back */
        client->switch_ms = lane->now_ms + lane_hold_ms(lane);
    }
    if (client->current && client->current->state == ACTION_READY && lane->now_ms < client->switch_ms &&
        client->in_flight > 0)
        return;
    close_one(lane, &client->current, 0);
    client->current = client->next;
    client->next = NULL;
    replace(&client->settings, client->wanted);
    client->wanted = NULL;
    glance_write(&client->seen, client->current->state,
                 client->current->state == ACTION_READY ? "connected with new settings" : "starting");
    log_info(client->target->type->name, "rule %s: the connection made with its new settings is in use",
             client->target->rule->name);
    use_current(lane, client);
}

/* ---- a lane's ---- */

/* Every record the dead one had comes back as `wait`, with its copy still here: it is sent again by the next
 * client, in its old order, and the MQTT connection need not be dropped for it. */
static void replace_dead(struct lane *lane, struct client *client, struct connection **place)
{
    if (!*place || (*place)->state != ACTION_DEAD)
        return;
    const bool was_ready = (*place)->was_ready; /* else another may die as fast */
    close_one(lane, place, 0);
    client->due_ms = lane->now_ms + (was_ready ? 0 : back_off(client));
}

static bool is_missing(const struct client *client)
{
    return client->current ? client->wanted && !client->next : client->settings && !client->next;
}

/* One that is away may be refused with a secret that has been changed, and a next one with one that has not.
 */
static void look_for_doubt(struct client *client)
{
    const bool in_doubt = (client->current && client->current->state == ACTION_AWAY) ||
                          (client->next && client->next->state == ACTION_AWAY);

    if (in_doubt != atomic_load_explicit(&client->in_doubt, memory_order_relaxed))
        atomic_store_explicit(&client->in_doubt, in_doubt, memory_order_relaxed);
}

bool client_any_in_doubt(const struct lane *lane)
{
    for (size_t i = 0; i < lane->options.target_count; i++)
        if (lane->clients[i].target->has_secrets &&
            atomic_load_explicit(&lane->clients[i].in_doubt, memory_order_relaxed))
            return true;
    return false;
}

static void work(struct lane *lane, struct client *client)
{
    look_for_doubt(client);
    take_settings(lane, client);
    replace_dead(lane, client, &client->next);
    replace_dead(lane, client, &client->current);
    if (client->current && !client->handle && !client->next)
        use_current(lane, client); /* it was about to be left, and what was to come after it is gone */
    if (client->next && (!client->handle || client->next->state == ACTION_READY))
        switch_over(lane, client);
    if (!is_missing(client) || client->due_ms > lane->now_ms)
        return;
    if (client->current) {
        open_one(lane, client, &client->next, client->wanted);
    } else {
        open_one(lane, client, &client->current, client->settings);
        use_current(lane, client);
    }
}

void client_work(struct lane *lane)
{
    for (size_t i = 0; i < lane->options.target_count; i++)
        work(lane, &lane->clients[i]);
}

int64_t client_next_due(const struct lane *lane)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < lane->options.target_count; i++) {
        const struct client *client = &lane->clients[i];
        int64_t own = is_missing(client) ? client->due_ms : INT64_MAX;

        if (client->next && client->current && !client->handle)
            own = client->switch_ms;
        if (own < due)
            due = own;
    }
    return due;
}

bool client_all_ready(const struct lane *lane)
{
    for (size_t i = 0; i < lane->options.target_count; i++)
        if (!lane->clients[i].current || lane->clients[i].current->state != ACTION_READY)
            return false;
    return true;
}

void client_poll(struct client *client)
{
    const struct action_type *type = client->target->type;

    if (client->current)
        type->poll(client->current->handle);
    if (client->next)
        type->poll(client->next->handle);
}

int client_init(struct lane *lane, uint64_t first_epoll_data)
{
    const struct lane_options *options = &lane->options;

    lane->clients = calloc(options->target_count + 1, sizeof *lane->clients);
    if (!lane->clients)
        return -1;
    for (size_t i = 0; i < options->target_count; i++) {
        struct client *client = &lane->clients[i];

        *client =
            (struct client){.lane = lane, .target = &options->targets[i], .epoll_data = first_epoll_data + i};
        atomic_init(&client->fresh, render_settings_ref(options->targets[i].settings));
        if (!options->targets[i].settings)
            glance_write(&client->seen, ACTION_STARTING, "waits for a secret");
    }
    return 0;
}

void client_close_all(struct lane *lane, int64_t until_ms)
{
    for (size_t i = 0; i < lane->options.target_count; i++) {
        int64_t left = until_ms - lane->now_ms;

        close_one(lane, &lane->clients[i].next, 0);
        close_one(lane, &lane->clients[i].current, left > 0 ? (int)left : 0);
    }
}

void client_done(struct lane *lane)
{
    if (!lane->clients)
        return;
    client_close_all(lane, lane->now_ms);
    for (size_t i = 0; i < lane->options.target_count; i++) {
        render_settings_free(lane->clients[i].settings);
        render_settings_free(lane->clients[i].wanted);
        render_settings_free(atomic_load(&lane->clients[i].fresh));
    }
    free(lane->clients);
}
