/* Random lives of a session: a broker that numbers its messages in one way or another, loses acknowledgements
 * with its receive buffer, sends again, and a client that believes redelivery.h. No message may be
 * acknowledged that was never evaluated. $LIVES: how many (6), $SEED: of the first. */
#include "redelivery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 1 << 20, IDS = 65535, MOST_AT_ONCE = 12000 };

enum numbers { COUNTING, LOWEST_FREE, ONE_OF_THE_FREE, AFRESH };
enum contents { SAME, FEW, PERIODIC, UNLIKE };

struct life {
    uint64_t random;
    enum numbers numbers;
    enum contents contents;
    uint32_t period;
    struct redelivery *redelivery;

    /* The broker. Messages are numbered in the order in which they are sent for the first time. */
    uint16_t *ids;    /* of each */
    bool *evaluated;  /* by the client, ever */
    uint32_t sent;    /* for the first time */
    uint32_t unacked; /* the oldest; those up to `sent` are in flight */
    uint16_t last_id;
    uint8_t *in_use; /* for each identifier */

    /* One connection. */
    uint32_t epoch;
    uint32_t wire, wire_end; /* on its way to the client */
    uint32_t again_end;      /* what comes before has been sent on another connection */
    uint32_t flushed;        /* all before has its PUBACK on its way or at the broker */

    uint32_t passed, twice, proven_by_counting;
};

static uint32_t random_below(struct life *life, uint32_t end)
{
    life->random ^= life->random << 13;
    life->random ^= life->random >> 7;
    life->random ^= life->random << 17;
    return (uint32_t)(life->random >> 20) % end;
}

/* ---- the broker ---- */

static uint16_t next_id(struct life *life)
{
    uint32_t id = 1;

    switch (life->numbers) {
    case COUNTING:
        if (random_below(life, 200000) == 0) /* some were dropped for want of room */
            life->last_id = (uint16_t)((life->last_id + random_below(life, 5000)) % IDS);
        return life->last_id = (uint16_t)(life->last_id % IDS + 1);
    case AFRESH: return life->last_id = (uint16_t)(life->last_id % IDS + 1);
    case ONE_OF_THE_FREE: id = 1 + random_below(life, IDS); break;
    case LOWEST_FREE: break;
    }
    while (life->in_use[id])
        id = id % IDS + 1;
    return (uint16_t)id;
}

static void send_new(struct life *life, uint32_t count)
{
    for (; count > 0 && life->sent < MESSAGES && life->sent - life->unacked < REDELIVERY_RECEIVE_MAXIMUM;
         count--) {
        const uint16_t id = next_id(life);

        if (life->in_use[id])
            return;
        life->in_use[id] = 1;
        life->ids[life->sent++] = id;
    }
    life->wire_end = life->sent;
}

static void take_pubacks(struct life *life, uint32_t count)
{
    for (; count > 0 && life->unacked < life->flushed; count--)
        life->in_use[life->ids[life->unacked++]] = 0;
}

/* ---- the client ---- */

static void content_of(const struct life *life, uint32_t number, char text[static 24])
{
    const uint32_t content = life->contents == SAME       ? 0
                             : life->contents == FEW      ? number * 2654435761u >> 30
                             : life->contents == PERIODIC ? number % life->period
                                                          : number;

    (void)snprintf(text, 24, "%u", content);
}

enum { GO_ON, DROP };

static int client_reads(struct life *life, uint32_t count, bool evaluate)
{
    for (; count > 0 && life->wire < life->wire_end; count--) {
        const uint32_t number = life->wire++;
        const bool dup = number < life->again_end;
        char text[24];
        uint32_t place;

        content_of(life, number, text);
        const struct message message = {
            .sql = {.topic = SPAN("a"), .payload = span_of(text), .payload_format = -1}, .qos = 1};
        if (!evaluate) {
            redelivery_left(life->redelivery, &message, life->ids[number], dup);
            continue;
        }
        switch (redelivery_read(life->redelivery, &message, life->ids[number], dup, &place)) {
        case REDELIVERY_PASS_OVER: life->passed++; break;
        case REDELIVERY_BROKEN: return DROP;
        case REDELIVERY_EVALUATE:
            life->twice += life->evaluated[number];
            life->evaluated[number] = true;
            break;
        }
    }
    return GO_ON;
}

static void client_flushes(struct life *life)
{
    if (redelivery_in_doubt(life->redelivery))
        return;
    const bool looks = life->wire < life->wire_end && random_below(life, 2) == 0;

    redelivery_flushing(life->redelivery, looks ? life->ids[life->wire] : 0);
    for (; life->flushed < life->wire; life->flushed++)
        if (!life->evaluated[life->flushed])
            fail_msg("message %u of %u, identifier %u, is acknowledged and was never evaluated",
                     life->flushed, life->sent, life->ids[life->flushed]);
}

/* As RabbitMQ does: the first message of a connection has identifier 1, whatever it had before. */
static void number_afresh(struct life *life)
{
    for (uint32_t i = life->unacked; i < life->sent; i++)
        life->in_use[life->ids[i]] = 0;
    life->last_id = 0;
    for (uint32_t i = life->unacked; i < life->sent; i++)
        life->in_use[life->ids[i] = next_id(life)] = 1;
}

static void connection_ends(struct life *life)
{
    take_pubacks(life, random_below(life, 3) ? random_below(life, MOST_AT_ONCE) : 0);
    if (random_below(life, 2))
        (void)client_reads(life, random_below(life, 3000), false);
    if (life->numbers == AFRESH)
        number_afresh(life);
    redelivery_lost(life->redelivery, REDELIVERY_LOST, ++life->epoch);
    redelivery_connected(life->redelivery, true, 0, true);
    life->wire = life->flushed = life->unacked;
    life->wire_end = life->again_end = life->sent;
}

static void one_life(uint64_t seed, struct life *total)
{
    struct life life = {.random = seed * 0x9e3779b97f4a7c15u + 1};

    life.numbers = (enum numbers)random_below(&life, 4);
    life.contents = (enum contents)random_below(&life, 4);
    life.period = 1 + random_below(&life, random_below(&life, 2) ? 20 : 20000);
    life.redelivery = redelivery_new();
    life.ids = calloc(MESSAGES, sizeof *life.ids);
    life.evaluated = calloc(MESSAGES, sizeof *life.evaluated);
    life.in_use = calloc(IDS + 1, 1);
    assert_true(life.redelivery && life.ids && life.evaluated && life.in_use);
    redelivery_connected(life.redelivery, false, 0, true);
    /* Small steps find what small numbers hide; in large ones identifiers go round. */
    const uint32_t step = random_below(&life, 2) ? MOST_AT_ONCE : 30, turns = step > 30 ? 150 : 20000;
    for (uint32_t turn = 0; turn < turns && life.sent < MESSAGES; turn++) {
        int then = GO_ON;

        switch (random_below(&life, 8)) {
        case 0:
        case 1: send_new(&life, random_below(&life, step)); break;
        case 2:
        case 3:
        case 4: then = client_reads(&life, random_below(&life, 4 * step), true); break;
        case 5: client_flushes(&life); break;
        case 6: take_pubacks(&life, random_below(&life, 4 * step)); break;
        default: then = random_below(&life, 3) ? GO_ON : DROP; break;
        }
        if (then == DROP)
            connection_ends(&life);
    }
    total->passed += life.passed;
    total->twice += life.twice;
    total->sent += life.sent;
    redelivery_free(life.redelivery);
    free(life.ids);
    free(life.evaluated);
    free(life.in_use);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void nothing_new_is_passed_over(void **state)
{
    const uint64_t first = number_of("SEED", 7), count = number_of("LIVES", 6);
    struct life total = {0};

    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("seed %llu\r", (unsigned long long)seed);
        one_life(seed, &total);
    }
    print_message("%u messages, %u passed over, %u evaluated twice\n", total.sent, total.passed, total.twice);
    assert_true(total.passed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_new_is_passed_over)};

    return cmocka_run_group_tests_name("lives of a session", tests, NULL, NULL);
}
