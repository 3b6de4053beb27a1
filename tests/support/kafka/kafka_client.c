/* kafka_client - the Kafka action by itself, driven by lines on standard input; for the scenarios of that
 * room.
 *
 *   set NAME BASE64 [secret]          a setting for the next open or update; without BASE64 it is taken away
 *   open ID                           open client ID (0 to 9)
 *   send ID TOPIC COUNT SIZE [KEY|-] [PARTITION|-] [HEADERS]
 *                                     COUNT records {"n":1}.., padded to SIZE; they go on from the last
 * number again ID on|off                   as the engine: what may be delivered later is sent again, a dead
 * client replaced update ID                         give it the settings as they are now close ID MS check
 * what `check` finds in the settings
 *
 * Answers, a line each: `state ID STATE text`, `sum ID delivered wait refused failed open`, `said ID OUTCOME
 * CODE text` (the first of equal ones), `refused ID HOW text` (send), `error ID
 * text` (open), `updated ID 0|1`, `closed ID`, `finding SEVERITY text`, `checked`,
 * `step WHAT GOOD|DOUBT|BAD|SKIPPED WHOM: text`, `examined`. */
#include "kafka/kafka.h"

#include "base/clock.h"

#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLIENTS = 10, SETTINGS = 40, FIELDS = 16, AGAIN_MS = 500 };

struct row {
    struct row *next;
    struct client *client;
    int64_t due_ms;
    int number, size, headers;
    char topic[256], key[64], partition[16];
};

struct client {
    struct action_client *client;
    struct action_events events;
    struct row *waiting, **waiting_end; /* to be sent, now or when due */
    size_t sums[4], open;
    int last_number;
    bool again, dead, changed;
    char said[4][256];
};

static struct client clients[CLIENTS];
static struct action_setting items[SETTINGS];
static size_t item_count;
static const char *const outcomes[] = {"DELIVERED", "WAIT", "REFUSED", "FAILED"};
static const char *const states[] = {"STARTING", "READY", "AWAY", "DEAD"};

static int id_of(const struct client *client)
{
    return (int)(client - clients);
}

static void append(struct row *row)
{
    row->next = NULL;
    *row->client->waiting_end = row;
    row->client->waiting_end = &row->next;
}

static void on_result(void *context, const struct action_result *result)
{
    struct client *client = context;
    struct row *row = result->tag;

    client->sums[result->outcome]++;
    client->open--;
    client->changed = true;
    if (result->outcome != ACTION_DELIVERED &&
        strncmp(client->said[result->outcome], result->text, 255) != 0) {
        (void)snprintf(client->said[result->outcome], sizeof client->said[0], "%s", result->text);
        printf("said %d %s %s %s\n", id_of(client), outcomes[result->outcome], result->code, result->text);
    }
    if (client->again && (result->outcome == ACTION_WAIT || result->outcome == ACTION_REFUSED)) {
        client->sums[result->outcome]--;
        row->due_ms = clock_mono_ms() + AGAIN_MS;
        append(row);
        return;
    }
    free(row);
}

static void on_state(void *context, enum action_state state, const char *text)
{
    struct client *client = context;

    printf("state %d %s %s\n", id_of(client), states[state], text);
    client->dead = state == ACTION_DEAD;
}

static void open_client(struct client *client)
{
    struct err err = {0};
    struct action_settings settings = {items, item_count};

    client->events = (struct action_events){client, on_result, on_state};
    client->dead = false;
    client->client = kafka_action_type.open(&settings, &client->events, &err);
    if (!client->client)
        printf("error %d %s\n", id_of(client), err.text);
}

/* The record of a row, valid until the next call. */
static const struct action_record *record_of(const struct row *row)
{
    static struct action_value fields[FIELDS];
    static struct action_record record;
    static struct action_pair pairs[100];
    static char *payload;
    char number[32];
    int written = snprintf(number, sizeof number, "{\"n\":%d}", row->number);
    size_t size = row->size > written ? (size_t)row->size : (size_t)written;

    payload = realloc(payload, size + 1);
    if (!payload)
        abort();
    memset(payload, ' ', size);
    memcpy(payload, number, (size_t)written);
    record = (struct action_record){.payload = {payload, size}, .fields = fields};
    for (size_t i = 0; kafka_action_type.fields[i].name; i++) {
        const char *name = kafka_action_type.fields[i].name;
        const char *text = strcmp(name, "topic") == 0       ? row->topic
                           : strcmp(name, "key") == 0       ? row->key
                           : strcmp(name, "partition") == 0 ? row->partition
                                                            : "-";
        fields[i] = (struct action_value){.text = span_of(text), .absent = strcmp(text, "-") == 0};
    }
    for (int i = 0; i < row->headers && i < 100; i++)
        pairs[i] = (struct action_pair){SPAN("h"), (struct span){payload, 3}};
    record.pairs = pairs;
    record.pair_count = (size_t)row->headers;
    return &record;
}

static void send_due(struct client *client)
{
    int64_t now = clock_mono_ms();
    struct row *row, *rest = client->waiting;
    static const char *const hows[] = {"SENT", "BUSY", "NOT_YET", "STREAM", "FINAL"};

    client->waiting = NULL;
    client->waiting_end = &client->waiting;
    while ((row = rest)) {
        struct err err = {0};

        rest = row->next;
        if (row->due_ms > now || !client->client || client->dead) {
            append(row);
            continue;
        }
        enum action_send how = kafka_action_type.send(client->client, record_of(row), row, &err);
        if (how == ACTION_SENT) {
            client->open++;
        } else if (how == ACTION_BUSY || client->again) {
            row->due_ms = now + (how == ACTION_BUSY ? 10 : AGAIN_MS);
            append(row);
        } else {
            printf("refused %d %s %s\n", id_of(client), hows[how], err.text);
            free(row);
        }
    }
}

/* ---- commands ---- */

static int digit(int c)
{
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
               *at = strchr(alphabet, c);

    return c && at ? (int)(at - alphabet) : -1;
}

static size_t decode(char *text)
{
    size_t size = 0, digits = 0;
    unsigned bits = 0;

    for (char *at = text; *at && digit(*at) >= 0; at++) {
        bits = bits << 6 | (unsigned)digit(*at);
        if (++digits % 4 != 1)
            text[size++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)));
    }
    text[size] = '\0';
    return size;
}

static void set(char *name, char *base64, const char *secret)
{
    size_t i = 0;

    while (i < item_count && strcmp(items[i].name, name) != 0)
        i++;
    if (i < item_count) {
        wiped_free(items[i].secret);
        wipe((char *)(uintptr_t)items[i].value.data, items[i].value.size);
        free((char *)(uintptr_t)items[i].name);
        free((char *)(uintptr_t)items[i].value.data);
        items[i] = items[--item_count];
    }
    if (!base64 || item_count == SETTINGS)
        return;
    size_t size = decode(base64);
    struct action_setting *item = &items[item_count++];
    *item = (struct action_setting){.name = strdup(name)};
    if (secret)
        item->secret = wiped_new((struct span){base64, size});
    else
        item->value = (struct span){memcpy(malloc(size + 1), base64, size + 1), size};
}

static void queue(struct client *client, char **words, int count)
{
    for (int i = 0; i < atoi(words[3]); i++) {
        struct row *row = calloc(1, sizeof *row);

        if (!row)
            abort();
        row->client = client;
        row->number = ++client->last_number;
        row->size = count > 4 ? atoi(words[4]) : 0;
        row->headers = count > 7 ? atoi(words[7]) : 0;
        (void)snprintf(row->topic, sizeof row->topic, "%s", words[2]);
        (void)snprintf(row->key, sizeof row->key, "%s", count > 5 ? words[5] : "-");
        (void)snprintf(row->partition, sizeof row->partition, "%s", count > 6 ? words[6] : "-");
        append(row);
    }
}

static void check(void)
{
    struct span constants[FIELDS] = {0};
    struct action_settings settings = {items, item_count};
    struct report report = REPORT_INIT;

    kafka_action_type.check(constants, &settings, true, &report);
    for (size_t i = 0; i < report.count; i++)
        printf("finding %s %s\n", report.findings[i].severity == SEVERITY_ERROR ? "error" : "warning",
               report.findings[i].err.text);
    printf("checked\n");
    report_done(&report);
}

static void on_step(void *context, const struct action_step *step)
{
    static const char *const findings[] = {"GOOD", "DOUBT", "BAD", "SKIPPED"};

    (void)context;
    if (step->finding == ACTION_BEGUN)
        return;
    printf("step %s %s %s: %s\n", step->what, findings[step->finding], step->whom, step->text);
}

static void examine(const char *topic)
{
    struct span constants[FIELDS] = {0};
    struct action_settings settings = {items, item_count};

    for (size_t i = 0; topic && kafka_action_type.fields[i].name; i++)
        if (strcmp(kafka_action_type.fields[i].name, "topic") == 0)
            constants[i] = span_of(topic);
    kafka_action_type.examine(&(const struct span *){constants}, 1, &settings, on_step, NULL);
    printf("examined\n");
}

static void close_client(struct client *client, int wait_ms)
{
    struct row *next;

    if (client->client)
        kafka_action_type.close(client->client, wait_ms);
    client->client = NULL;
    if (client->again)
        return;
    for (struct row *row = client->waiting; row; row = next) {
        next = row->next;
        free(row);
    }
    client->waiting = NULL;
    client->waiting_end = &client->waiting;
}

static void obey(char *line)
{
    char *words[9] = {NULL};
    int count = 0;

    for (char *word = strtok(line, " \n"); word && count < 8; word = strtok(NULL, " \n"))
        words[count++] = word;
    if (count == 0)
        return;
    struct client *client =
        count > 1 && isdigit((unsigned char)words[1][0]) ? &clients[words[1][0] - '0'] : NULL;
    struct action_settings settings = {items, item_count};

    if (strcmp(words[0], "set") == 0 && count > 1) {
        set(words[1], words[2], words[3]);
    } else if (strcmp(words[0], "examine") == 0) {
        examine(words[1]);
    } else if (strcmp(words[0], "check") == 0) {
        check();
    } else if (!client) {
        printf("unknown %s\n", words[0]);
    } else if (strcmp(words[0], "open") == 0) {
        open_client(client);
    } else if (strcmp(words[0], "send") == 0 && count > 3) {
        queue(client, words, count);
        send_due(client);
    } else if (strcmp(words[0], "again") == 0) {
        client->again = words[2] && strcmp(words[2], "on") == 0;
    } else if (strcmp(words[0], "update") == 0 && client->client) {
        printf("updated %d %d\n", id_of(client), kafka_action_type.update(client->client, &settings));
    } else if (strcmp(words[0], "close") == 0) {
        client->again = false;
        close_client(client, words[2] ? atoi(words[2]) : 0);
        client->changed = true;
        printf("closed %d\n", id_of(client));
    }
}

static void serve(struct client *client)
{
    if (client->client)
        kafka_action_type.poll(client->client);
    if (client->dead && client->again) {
        close_client(client, 0);
        open_client(client);
    }
    send_due(client);
    if (client->changed)
        printf("sum %d %zu %zu %zu %zu %zu\n", id_of(client), client->sums[0], client->sums[1],
               client->sums[2], client->sums[3], client->open);
    client->changed = false;
}

int main(void)
{
    static char lines[1 << 20];
    size_t have = 0;
    struct err err = {0};

    (void)signal(SIGPIPE,
                 SIG_IGN); /* as main of the program does: a broker may hang up while OpenSSL writes */
    kafka_process_wipes();
    if (kafka_process_init(&err) != 0)
        printf("error - %s\n", err.text);
    for (int i = 0; i < CLIENTS; i++)
        clients[i].waiting_end = &clients[i].waiting;
    for (;;) {
        struct pollfd fds[CLIENTS + 1] = {{.fd = 0, .events = POLLIN}};

        for (int i = 0; i < CLIENTS; i++)
            fds[i + 1] = (struct pollfd){
                .fd = clients[i].client ? kafka_action_type.fd(clients[i].client) : -1, .events = POLLIN};
        (void)fflush(stdout);
        (void)poll(fds, CLIENTS + 1, 20);
        if (fds[0].revents) {
            ssize_t got = read(0, lines + have, sizeof lines - 1 - have);
            char *end;

            if (got <= 0)
                break;
            have += (size_t)got;
            while ((end = memchr(lines, '\n', have))) {
                size_t size = (size_t)(end + 1 - lines);

                *end = '\0';
                obey(lines);
                have -= size;
                memmove(lines, lines + size, have);
                wipe(lines + have, size); /* a scenario looks for secrets in what is left of them */
            }
        }
        for (int i = 0; i < CLIENTS; i++)
            serve(&clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].again = false;
        close_client(&clients[i], 0);
    }
    while (item_count)
        set((char *)(uintptr_t)items[0].name, NULL, NULL);
    return 0;
}
