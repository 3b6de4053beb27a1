/* A lane led through random lives: partial answers, full disks, reconnects, failures, crashes, reloads. All
 * arrive, once where that can be, and in order. */
#include "session_state.h"
#include "small_spool.h"

/* ---- at random ---- */

enum { TOPICS = 4, PARTITIONS = 10, NUMBERS = 4000, UNACKED = 8192 };

/* What may happen in a life, beside what always does. */
enum {
    SOME_COME_BACK = 1, /* and are overtaken by those in the client's hands beside them */
    FULL_DISK = 2,
    RECONNECTS = 4,
    FAILURES = 8,
    REPORTS = 16,
    CRASHES = 32,    /* between two turns, whatever is under way */
    HANGS = 64,      /* records of one partition or another have no answer for a while */
    RELOADS = 128,   /* other lanes on the same store, while clients have something */
    TWO_RULES = 256, /* for each topic, so that a stream has two queues */
    ALL_TRAITS = 511,
};

static const char *const rules[] = {
    RULE(""),
    "{\"sql\": \"SELECT 1 AS second, n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": "
    "[{\"kafka\": {\"topic\": \"${topic(2)}\", \"clientProperties\": {}}}]}"};

static struct {
    int seen[2][TOPICS][NUMBERS], last[2][TOPICS][PARTITIONS]; /* of either rule */
    uint64_t reported;
    bool ordered, between, partitions; /* `between`: the rules' records among each other, too */
} world;

struct life {
    struct small_lane *small;
    unsigned seed, traits;
    int next[TOPICS];
    /* The broker: what it has no acknowledgement for; what of that it sends again. */
    struct sent_message {
        int topic, n;
    } unacked[UNACKED], again[UNACKED];
    size_t unacked_count, again_count;
};

static void on_taken(struct span topic, struct span payload)
{
    int t = topic.data[0] - 'p', n = 0;

    if (span_is(topic, "errors")) {
        world.reported++;
        return;
    }
    const char *number = memmem(payload.data, payload.size, "\"n\":", 4);
    if (!number || sscanf(number, "\"n\":%d", &n) != 1 || t < 0 || t >= TOPICS || n >= NUMBERS)
        abort();
    const int rule = memmem(payload.data, payload.size, "second", 6) != NULL;
    if (world.seen[rule][t][n]++ == 0) {
        const int lane = world.partitions ? n % PARTITIONS : 0, other = world.last[!rule][t][lane];
        int *last = &world.last[rule][t][lane];

        world.ordered = world.ordered && n > *last;
        world.between = world.between && n >= other;
        *last = n;
    }
}

static unsigned dice(struct life *life, unsigned sides)
{
    return (unsigned)rand_r(&life->seed) % sides;
}

static const char *const *rules_of(const struct life *life)
{
    return life->traits & TWO_RULES ? rules : life->traits & REPORTS ? reporting : plain;
}

static size_t rule_count(const struct life *life)
{
    return life->traits & TWO_RULES ? 2 : 1;
}

static void limit_queues(struct life *life)
{
    if (life->traits & FAILURES) /* too few for all, now and then */
        life->small->lane->spool.queues_most = 1 + life->seed % 8;
}

static void begin_life(struct life *life)
{
    life->small = small_lane_on(rules_of(life), rule_count(life), NULL, disk.store);
    scripted_taken(on_taken);
    limit_queues(life);
}

/* As the session does it. */
static void publish(struct life *life, struct sent_message sent, bool dup)
{
    struct lane *lane = life->small->lane;
    char topic[8], text[32];
    uint32_t epoch;

    (void)snprintf(topic, sizeof topic, "a/%c", 'p' + sent.topic);
    (void)snprintf(text, sizeof text, "{\"n\":%d}", sent.n);
    struct message message = {
        .sql = {.topic = span_of(topic), .payload = span_of(text), .payload_format = -1}, .qos = 1};
    assert_true(life->unacked_count < UNACKED);
    life->unacked[life->unacked_count++] = sent;
    if (redelivery_read(lane->session->redelivery, &message, (uint16_t)life->unacked_count, dup,
                        &message.place) != REDELIVERY_EVALUATE)
        return;
    epoch = hold_take(&lane->hold);
    evaluate(lane, &message);
    hold_release(&lane->hold, epoch);
}

static void read_messages(struct life *life)
{
    const struct lane *lane = life->small->lane;
    const int t = (int)dice(life, TOPICS);

    if (lane->hold.orphans > 0)
        return;
    for (size_t i = 0; i < life->again_count; i++)
        publish(life, life->again[i], true);
    life->again_count = 0;
    for (unsigned n = dice(life, 8); n > 0 && lane_has_room(lane); n--)
        if (life->next[t] + 1 < NUMBERS)
            publish(life, (struct sent_message){t, ++life->next[t]}, false);
}

static void acknowledge(struct life *life)
{
    struct lane *lane = life->small->lane;

    if (lane->hold.unsettled > 0 || lane->hold.orphans > 0 || life->again_count > 0)
        return;
    redelivery_flushing(lane->session->redelivery, 0);
    life->unacked_count = 0;
}

static void reconnect(struct life *life)
{
    struct lane *lane = life->small->lane;
    const bool resumed = life->traits & CRASHES || dice(life, 4) > 0;

    if (life->again_count > 0 || lane->hold.orphans > 0)
        return; /* what is not met again on the next connection may come twice: see redelivery.h */
    redelivery_lost(lane->session->redelivery, REDELIVERY_LOST, lane->hold.epoch);
    hold_drop(&lane->hold);
    redelivery_connected(lane->session->redelivery, resumed, 0, true);
    if (resumed) {
        memcpy(life->again, life->unacked, life->unacked_count * sizeof life->unacked[0]);
        life->again_count = life->unacked_count;
        lane->resent_before = lane->hold.epoch;
        dispatch_forget_resent(lane);
    } else {
        lane->session_since = lane->hold.epoch;
    }
    life->unacked_count = 0;
}

static void crash(struct life *life)
{
    memcpy(life->again + life->again_count, life->unacked, life->unacked_count * sizeof life->unacked[0]);
    life->again_count += life->unacked_count;
    life->unacked_count = 0;
    small_lane_free(life->small);
    begin_life(life);
}

/* What a lane cannot bring to its end in time stays unacknowledged, and its connection goes with it: as after
 * a crash, but for the counters. */
static void reload(struct life *life)
{
    const struct lane *lane = life->small->lane;
    const bool parts = lane->hold.unsettled == 0 && lane->hold.orphans == 0;

    if (!parts && !(life->traits & CRASHES))
        return;
    if (parts) {
        acknowledge(life);
    } else {
        memcpy(life->again + life->again_count, life->unacked, life->unacked_count * sizeof life->unacked[0]);
        life->again_count += life->unacked_count;
        life->unacked_count = 0;
    }
    life->small = small_lane_succeed(life->small, rules_of(life), rule_count(life), disk.store);
    limit_queues(life);
    client_work(life->small->lane);
}

static void kafka_does_something(struct life *life)
{
    const unsigned some = life->traits & SOME_COME_BACK ? dice(life, 9) : 0;
    char line[32];

    if (life->traits & HANGS && dice(life, 15) == 0) {
        (void)snprintf(line, sizeof line, "hang %u}",
                       dice(life, 2) ? dice(life, PARTITIONS) : PARTITIONS * 2000);
        scripted_command(line);
    }
    switch (dice(life, 12)) {
    case 0: (void)snprintf(line, sizeof line, "wait %u", some); break;
    case 1: (void)snprintf(line, sizeof line, "refuse %u", some); break;
    case 2:
        (void)snprintf(line, sizeof line, "%s %c", dice(life, 2) ? "deny" : "allow",
                       'p' + (int)dice(life, TOPICS));
        break;
    case 3: (void)snprintf(line, sizeof line, "later %s", dice(life, 3) ? "off" : "on"); break;
    case 4: (void)snprintf(line, sizeof line, "take %d", dice(life, 3) ? -1 : (int)dice(life, 9)); break;
    case 5: (void)snprintf(line, sizeof line, "die"); break;
    case 6:
        (void)snprintf(line, sizeof line, "%s %u", life->traits & FAILURES ? "fail" : "deliver",
                       1 + dice(life, 3));
        break;
    default: (void)snprintf(line, sizeof line, "deliver %u", dice(life, 20)); break;
    }
    scripted_command(line);
}

static bool is_all_safe(const struct life *life)
{
    const struct lane *lane = life->small->lane;

    return life->unacked_count == 0 && life->again_count == 0 && lane->unsafe_count == 0 && !lane->reports &&
           spool_is_quiet(lane);
}

static void one_step(struct life *life)
{
    kafka_does_something(life);
    read_messages(life);
    small_turn(life->small, dice(life, 700));
    if (dice(life, 3) == 0)
        small_disk(life->small);
    else
        spool_poll(life->small->lane);
    acknowledge(life);
    if (life->traits & RECONNECTS && dice(life, 20) == 0)
        reconnect(life);
    if (life->traits & CRASHES && dice(life, 60) == 0)
        crash(life);
    if (life->traits & RELOADS && dice(life, 25) == 0)
        reload(life);
    if (dice(life, 100) == 0) {
        small_disk(life->small);
        acknowledge(life);
        if (is_all_safe(life)) { /* an end here neither loses nor doubles anything */
            small_lane_free(life->small);
            begin_life(life);
        }
    }
    small_seen.count = 0;
}

/* A message that one rule has given up comes again for both. */
static bool may_come_twice(const struct life *life)
{
    return life->traits & CRASHES || (life->traits & TWO_RULES && life->traits & RECONNECTS);
}

static void assert_one_arrived(const struct life *life, int rule, int topic, int n)
{
    const int times = world.seen[rule][topic][n];

    if (times > 1 && !may_come_twice(life))
        fail_msg("%c%d was delivered %d times", 'p' + topic, n, times);
    if (times == 0 && !(life->traits & FAILURES))
        fail_msg("%c%d was not delivered", 'p' + topic, n);
}

static void assert_all_arrived(const struct life *life, uint64_t letters)
{
    const int count = (int)rule_count(life);
    uint64_t sent = 0, seen = 0;

    for (int rule = 0; rule < count; rule++)
        for (int t = 0; t < TOPICS; t++)
            for (int n = 1; n <= life->next[t]; n++) {
                sent++;
                seen += world.seen[rule][t][n] > 0;
                assert_one_arrived(life, rule, t, n);
            }
    if (may_come_twice(life))
        assert_true(seen + world.reported + letters >= sent);
    else
        assert_int_equal(seen + world.reported + letters, sent);
    if (!(life->traits & (SOME_COME_BACK | RECONNECTS | CRASHES)))
        assert_true(world.ordered);
    /* With too few queues, what one rule has on the disk goes before what the other must keep in memory. */
    if (!(life->traits & (SOME_COME_BACK | RECONNECTS | CRASHES | FAILURES)))
        assert_true(world.between);
}

static void random_life(unsigned seed, unsigned traits)
{
    struct life *life = calloc(1, sizeof *life);

    assert_non_null(life);
    life->seed = seed;
    life->traits = traits;
    memset(&world, 0, sizeof world);
    world.ordered = world.between = true;
    world.partitions = traits & HANGS;
    store_close(disk.store);
    disk.max_bytes = traits & FULL_DISK ? 500 : 1 << 30;
    open_store();
    const uint64_t letters = figures().letters;
    begin_life(life);
    for (int step = 0; step < 400; step++)
        one_step(life);
    scripted_command("hang");
    scripted_command("later off");
    scripted_command("take -1");
    for (int t = 0; t < TOPICS; t++) {
        char line[16];

        (void)snprintf(line, sizeof line, "allow %c", 'p' + t);
        scripted_command(line);
    }
    deliver_all(life->small);
    for (size_t i = 0; i < life->again_count; i++)
        publish(life, life->again[i], true);
    deliver_all(life->small);
    assert_all_arrived(life, figures().letters - letters);
    assert_nothing_is_left(life->small);
    small_lane_free(life->small);
    free(life);
}

/* TOPICRULE_LIVES: how many, when more are wanted than a test should take time for; or from which to which,
 * "1001-2000", because they mostly wait for the disk, and several can run side by side. */
static void whatever_happens_all_arrive_once_and_in_order(void **state)
{
    const char *wanted = getenv("TOPICRULE_LIVES"), *last = wanted ? strchr(wanted, '-') : NULL;
    const unsigned from = last ? (unsigned)strtoul(wanted, NULL, 10) : 1;
    const unsigned to = last     ? (unsigned)strtoul(last + 1, NULL, 10)
                        : wanted ? (unsigned)strtoul(wanted, NULL, 10)
                                 : 40;

    (void)state;
    for (unsigned seed = from; seed <= to; seed++) {
        print_message("life %u\n", seed);
        random_life(seed, seed * 37 & ALL_TRAITS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_happens_all_arrive_once_and_in_order, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("spool, random lives", tests, NULL, NULL);
}
