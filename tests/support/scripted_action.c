#include "scripted_action.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FIELD_TOPIC, FIELD_KEY };
enum { COMMANDS = 8192, COMMAND_SIZE = 80, CLIENTS = 16, DENIED = 8 };

struct scripted_record {
    struct scripted_record *next;
    void *tag;
    size_t topic_size, payload_size;
    char text[]; /* topic, payload */
};

struct action_client {
    const struct action_events *events;
    struct scripted_record *open, **open_end;
    size_t seen; /* commands carried out */
    int fd, number;
    bool dead;
};

/* The other side, the same for all clients. Commands come from any thread; the rest is the lane's. */
static struct {
    pthread_mutex_t lock;
    char commands[COMMANDS][COMMAND_SIZE];
    size_t command_count;
    struct action_client *clients[CLIENTS];
    int opened;
    long take, shut;
    bool automatic, later;
    char denied[DENIED][48], hanging[48];
    void (*watch)(const char *line);
    void (*taken)(struct span topic, struct span payload);
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .take = -1};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char line[2048];
    va_list args;

    if (!world.watch)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    world.watch(line);
}

void scripted_taken(void (*taken)(struct span topic, struct span payload))
{
    world.taken = taken;
}

void scripted_watch(void (*seen)(const char *line))
{
    world.watch = seen;
}

static void wake(const struct action_client *client)
{
    const uint64_t one = 1;

    (void)!write(client->fd, &one, sizeof one);
}

void scripted_reset(void)
{
    world.command_count = 0;
    world.opened = 0;
    world.take = -1;
    world.shut = 0;
    world.automatic = world.later = false;
    world.taken = NULL;
    memset(world.denied, 0, sizeof world.denied);
    world.hanging[0] = '\0';
}

void scripted_command(const char *line)
{
    (void)pthread_mutex_lock(&world.lock);
    if (world.command_count == COMMANDS)
        abort();
    (void)snprintf(world.commands[world.command_count++], COMMAND_SIZE, "%s", line);
    for (size_t i = 0; i < CLIENTS; i++)
        if (world.clients[i])
            wake(world.clients[i]);
    (void)pthread_mutex_unlock(&world.lock);
}

static bool hangs(const struct scripted_record *record)
{
    return world.hanging[0] && memmem(record->text + record->topic_size, record->payload_size, world.hanging,
                                      strlen(world.hanging));
}

static void answer(struct action_client *client, enum action_outcome outcome, long count, bool closing)
{
    static const char *const codes[] = {[ACTION_DELIVERED] = "",
                                        [ACTION_WAIT] = "AWAY",
                                        [ACTION_REFUSED] = "UNKNOWN_TOPIC",
                                        [ACTION_FAILED] = "TOO_LARGE"};

    struct scripted_record **link = &client->open;

    for (long i = 0; *link && (count == 0 || i < count);) {
        struct scripted_record *record = *link;

        if (hangs(record) && !closing) {
            link = &record->next;
            continue;
        }
        const struct action_result result = {
            .tag = record->tag, .outcome = outcome, .code = codes[outcome], .text = "the test says so"};

        i++;
        *link = record->next;
        if (!*link)
            client->open_end = link;
        if (outcome == ACTION_DELIVERED && world.taken)
            world.taken((struct span){record->text, record->topic_size},
                        (struct span){record->text + record->topic_size, record->payload_size});
        free(record);
        client->events->result(client->events->context, &result);
    }
}

static bool is_like(struct span topic, const char *pattern)
{
    const size_t size = strlen(pattern);

    if (size > 0 && pattern[size - 1] == '*')
        return topic.size >= size - 1 && memcmp(topic.data, pattern, size - 1) == 0;
    return size > 0 && span_is(topic, pattern);
}

static bool is_denied(struct span topic)
{
    for (size_t i = 0; i < DENIED; i++)
        if (is_like(topic, world.denied[i]))
            return true;
    return false;
}

static void set_denied(const char *topic, bool on)
{
    if (on == is_denied(span_of(topic)))
        return;
    for (size_t i = 0; i < DENIED; i++)
        if (strcmp(world.denied[i], on ? "" : topic) == 0) {
            (void)snprintf(world.denied[i], sizeof world.denied[i], "%s", on ? topic : "");
            return;
        }
}

static void tell(struct action_client *client, enum action_state state, const char *text)
{
    client->events->state(client->events->context, state, text);
}

static void carry_out(struct action_client *client, const char *line)
{
    static const char *const answers[] = {[ACTION_DELIVERED] = "deliver",
                                          [ACTION_WAIT] = "wait",
                                          [ACTION_REFUSED] = "refuse",
                                          [ACTION_FAILED] = "fail"};
    char verb[16] = "", rest[48] = "";
    int only = 0, size = 0;

    if (sscanf(line, "%d %n", &only, &size) == 1) {
        if (only != client->number)
            return;
        line += size;
    }
    (void)sscanf(line, "%15s %47s", verb, rest);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (strcmp(verb, answers[i]) == 0)
            answer(client, (enum action_outcome)i, atol(rest), false);
    if (strcmp(verb, "auto") == 0)
        world.automatic = strcmp(rest, "on") == 0;
    else if (strcmp(verb, "take") == 0)
        world.take = atol(rest);
    else if (strcmp(verb, "shut") == 0)
        world.shut = atol(rest);
    else if (strcmp(verb, "hang") == 0)
        (void)snprintf(world.hanging, sizeof world.hanging, "%s", rest);
    else if (strcmp(verb, "later") == 0)
        world.later = strcmp(rest, "on") == 0;
    else if (strcmp(verb, "deny") == 0 || strcmp(verb, "allow") == 0)
        set_denied(rest, verb[0] == 'd');
    else if (strcmp(verb, "ready") == 0)
        tell(client, ACTION_READY, "the fake is ready");
    else if (strcmp(verb, "away") == 0)
        tell(client, ACTION_AWAY, rest[0] ? rest : "the fake is away");
    else if (strcmp(verb, "die") == 0) {
        client->dead = true;
        tell(client, ACTION_DEAD, "the fake has died");
    }
    if (world.automatic)
        answer(client, ACTION_DELIVERED, 0, false);
}

static void scripted_poll(struct action_client *client)
{
    uint64_t count;

    (void)!read(client->fd, &count, sizeof count);
    if (world.automatic)
        answer(client, ACTION_DELIVERED, 0, false);
    for (;;) {
        char line[COMMAND_SIZE] = "";

        (void)pthread_mutex_lock(&world.lock);
        bool some = client->seen < world.command_count && !client->dead;
        if (some)
            memcpy(line, world.commands[client->seen++], sizeof line);
        (void)pthread_mutex_unlock(&world.lock);
        if (!some)
            return;
        carry_out(client, line);
        say("done %s", line);
    }
}

static bool have(const struct action_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->items[i].name, name) == 0)
            return true;
    return false;
}

static struct action_client *scripted_open(const struct action_settings *settings,
                                           const struct action_events *events, struct err *err)
{
    struct action_client *client = calloc(1, sizeof *client);
    size_t place = 0;

    if (!client || have(settings, "refuse.open") || (world.shut > 0 && world.shut-- > 0)) {
        free(client);
        (void)err_set(err, ERR_IO, "the settings say so");
        return NULL;
    }
    client->events = events;
    client->open_end = &client->open;
    client->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    (void)pthread_mutex_lock(&world.lock);
    client->number = ++world.opened;
    if (client->number > 1)
        client->seen = world.command_count; /* what was said to the others is done */
    while (place < CLIENTS && world.clients[place])
        place++;
    if (place == CLIENTS)
        abort();
    world.clients[place] = client;
    (void)pthread_mutex_unlock(&world.lock);
    wake(client);
    say("open %d", client->number);
    if (have(settings, "start.away"))
        tell(client, ACTION_AWAY, "the settings say so");
    else
        tell(client, ACTION_READY, "the fake is ready");
    return client;
}

static int scripted_fd(const struct action_client *client)
{
    return client->fd;
}

static enum action_send scripted_inspect(const struct action_record *record, struct err *err)
{
    if (!span_is(record->fields[FIELD_TOPIC].text, "bad"))
        return ACTION_SENT;
    (void)err_set(err, ERR_VALUE, "the topic is bad");
    return ACTION_FINAL;
}

static enum action_send scripted_send(struct action_client *client, const struct action_record *record,
                                      void *tag, struct err *err)
{
    if (scripted_inspect(record, err) == ACTION_FINAL)
        return ACTION_FINAL;
    if (client->dead || world.later) {
        (void)err_set(err, ERR_IO, "not now");
        return ACTION_NOT_YET;
    }
    if (is_denied(record->fields[FIELD_TOPIC].text)) {
        (void)err_set(err, ERR_IO, "no such topic");
        return ACTION_STREAM;
    }
    if (world.take == 0)
        return ACTION_BUSY;
    if (world.take > 0)
        world.take--;
    const struct span topic = record->fields[FIELD_TOPIC].text;
    struct scripted_record *open = malloc(sizeof *open + topic.size + record->payload.size);
    if (!open)
        return ACTION_BUSY;
    *open =
        (struct scripted_record){.tag = tag, .topic_size = topic.size, .payload_size = record->payload.size};
    if (topic.size)
        memcpy(open->text, topic.data, topic.size);
    if (record->payload.size)
        memcpy(open->text + topic.size, record->payload.data, record->payload.size);
    *client->open_end = open;
    client->open_end = &open->next;
    say("sent %d " SPAN_FMT " " SPAN_FMT " " SPAN_FMT, client->number,
        SPAN_ARG(record->fields[FIELD_TOPIC].text),
        record->fields[FIELD_KEY].absent ? 1 : (int)record->fields[FIELD_KEY].text.size,
        record->fields[FIELD_KEY].absent ? "-" : record->fields[FIELD_KEY].text.data,
        SPAN_ARG(record->payload));
    if (world.automatic)
        wake(client);
    return ACTION_SENT;
}

static struct span scripted_stream(const struct action_record *record)
{
    return record->fields[FIELD_TOPIC].text;
}

static void scripted_close(struct action_client *client, int wait_ms)
{
    (void)wait_ms;
    answer(client, ACTION_WAIT, 0, true);
    say("close %d", client->number);
    (void)pthread_mutex_lock(&world.lock);
    for (size_t i = 0; i < CLIENTS; i++)
        if (world.clients[i] == client)
            world.clients[i] = NULL;
    (void)pthread_mutex_unlock(&world.lock);
    (void)close(client->fd);
    free(client);
}

static void scripted_check(const struct span *constants, const struct action_settings *settings, bool release,
                           struct report *report)
{
    (void)constants;
    (void)settings;
    (void)release;
    (void)report;
}

static int scripted_identity(const struct action_settings *settings, struct buf *out, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < settings->count; i++)
        buf_format(out, "%s=" SPAN_FMT "\n", settings->items[i].name,
                   SPAN_ARG(settings->items[i].secret ? wiped_reveal(settings->items[i].secret)
                                                      : settings->items[i].value));
    return 0;
}

static void scripted_describe(const struct action_settings *settings, struct buf *out)
{
    (void)settings;
    buf_text(out, "{}");
}

static int scripted_update(struct action_client *client, const struct action_settings *settings)
{
    if (!have(settings, "in.place"))
        return 0;
    say("update %d", client->number);
    return 1;
}

static const struct action_field fields[] = {
    [FIELD_TOPIC] = {.name = "topic", .kind = ACTION_TEMPLATE, .required = true},
    [FIELD_KEY] = {.name = "key", .kind = ACTION_TEMPLATE, .null_if_absent = true},
    {.name = "headers", .kind = ACTION_PAIRS},
    {.name = "clientProperties", .kind = ACTION_SETTINGS},
    {.name = "destinationArn", .kind = ACTION_TEXT},
    {0},
};

const struct action_type scripted_action_type = {
    .name = "kafka",
    .fields = fields,
    .check = scripted_check,
    .describe = scripted_describe,
    .identity = scripted_identity,
    .open = scripted_open,
    .fd = scripted_fd,
    .poll = scripted_poll,
    .inspect = scripted_inspect,
    .send = scripted_send,
    .stream = scripted_stream,
    .update = scripted_update,
    .close = scripted_close,
};
