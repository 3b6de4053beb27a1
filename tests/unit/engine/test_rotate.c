/* Settings that change under a running lane: which connection takes records, and in which order. */
#include "small_lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RULE(properties)                                                                                     \
    "{\"sql\": \"SELECT n FROM 'a/#'\", \"awsIotSqlVersion\": \"2016-03-23\", \"actions\": [{\"kafka\": "    \
    "{\"topic\": \"${topic(2)}\", \"clientProperties\": {" properties "}}}]}"

static const char *const plain[] = {RULE("")};

static void put(struct small_lane *small, const char *topic, int n)
{
    char text[32];

    (void)snprintf(text, sizeof text, "{\"n\":%d}", n);
    small_publish(small, topic, span_of(text), 1);
}

/* As the engine's thread gives them. `name` NULL: settings that mean nothing. */
static void give(struct small_lane *small, const char *name)
{
    struct render_settings *settings = calloc(1, sizeof *settings);

    assert_non_null(settings);
    assert_non_null(settings->settings.items = calloc(1, sizeof *settings->settings.items));
    atomic_init(&settings->references, 1);
    settings->settings.items[0] =
        (struct action_setting){.name = name ? name : "other", .value = {strdup("yes"), 3}};
    settings->settings.count = 1;
    lane_give_settings(small->lane, 0, settings);
}

static void say(struct small_lane *small, const char *command, int64_t ms)
{
    scripted_command(command);
    small_turn(small, ms);
}

/* What the fake saw since the last call: "open2", "close1", "1:x7" for record 7 to topic x by client 1. */
static const char *seen(void)
{
    static char text[8192];
    size_t size = 0;

    text[0] = '\0';
    for (size_t i = 0; i < small_seen.count; i++) {
        char verb[16], topic[32], payload[48], word[100] = "";
        int client;

        if (sscanf(small_seen.lines[i], "sent %d %31s %*s {\"n\":%47[0-9]", &client, topic, payload) == 3)
            (void)snprintf(word, sizeof word, "%d:%s%s", client, topic, payload);
        else if (sscanf(small_seen.lines[i], "%15s %d", verb, &client) == 2 && strcmp(verb, "done") != 0)
            (void)snprintf(word, sizeof word, "%s%d", verb, client);
        else
            continue;
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", size ? " " : "", word);
    }
    small_seen.count = 0;
    return text;
}

static struct small_lane *start(void)
{
    struct small_lane *small = small_lane_new(plain, 1, NULL);

    assert_string_equal(seen(), "open1");
    return small;
}

static void end(struct small_lane *small)
{
    scripted_command("deliver 0");
    small_turn(small, 60000);
    small_turn(small, 60000);
    assert_int_equal(small->lane->hold.unsettled, 0);
    assert_int_equal(small->lane->deliveries.used, 0);
    assert_int_equal(small->lane->streams.waiting_count, 0);
    small_lane_free(small);
}

static void a_new_connection_takes_over_once_it_is_ready(void **state)
{
    struct small_lane *small = start();

    (void)state;
    put(small, "a/x", 1);
    give(small, "start.away");
    small_turn(small, 0);
    small_turn(small, 0);
    put(small, "a/x", 2);
    assert_string_equal(seen(), "1:x1 open2 1:x2");
    say(small, "2 ready", 0);
    put(small, "a/x", 3);
    put(small, "a/y", 4);
    assert_string_equal(seen(), ""); /* they stand in line: what the old one has comes first */
    say(small, "1 deliver 1", 0);
    assert_string_equal(seen(), "");
    say(small, "1 deliver 1", 0);
    assert_string_equal(seen(), "close1 2:x3 2:y4"); /* two streams, in no order among each other */
    put(small, "a/x", 5);
    assert_string_equal(seen(), "2:x5");
    assert_int_equal(small_count(small, COUNT_retried), 0);
    end(small);
}

static void what_the_old_one_does_not_deliver_goes_first_over_the_new_one(void **state)
{
    struct small_lane *small = start();

    (void)state;
    for (int n = 1; n <= 3; n++)
        put(small, "a/x", n);
    (void)seen();
    give(small, NULL);
    small_turn(small, 0);
    small_turn(small, 0);
    put(small, "a/x", 4);
    small_turn(small, 999);
    assert_string_equal(seen(), "open2");
    small_turn(small, 2); /* delivery.hold has passed */
    assert_string_equal(seen(), "close1 2:x1 2:x2 2:x3 2:x4");
    end(small);
}

static void an_old_one_that_is_away_is_left_at_once(void **state)
{
    struct small_lane *small = start();

    (void)state;
    put(small, "a/x", 1);
    give(small, "start.away");
    small_turn(small, 0);
    say(small, "1 away", 0);
    put(small, "a/x", 2); /* the old one may come back first */
    assert_string_equal(seen(), "1:x1 open2 1:x2");
    say(small, "2 ready", 0);
    assert_string_equal(seen(), "close1 2:x1 2:x2");
    end(small);
}

static void settings_that_make_no_connection_change_nothing(void **state)
{
    struct small_lane *small = start();

    (void)state;
    give(small, "refuse.open");
    for (int i = 0; i < 5; i++)
        small_turn(small, 40000);
    put(small, "a/x", 1);
    assert_string_equal(seen(), "1:x1");
    say(small, "1 die", 0); /* not even then */
    small_turn(small, 0);
    assert_string_equal(seen(), "close1 open2 2:x1");
    give(small, NULL);
    say(small, "2 deliver 0", 0);
    small_turn(small, 0);
    assert_string_equal(seen(), "open3 close2");
    end(small);
}

static void one_that_dies_is_replaced_by_the_next_ready_or_not(void **state)
{
    struct small_lane *small = start();

    (void)state;
    put(small, "a/x", 1);
    give(small, "start.away");
    small_turn(small, 0);
    say(small, "1 die", 0);
    assert_string_equal(seen(), "1:x1 open2 close1 2:x1");
    end(small);
}

static void a_next_one_that_dies_is_opened_again(void **state)
{
    struct small_lane *small = start();

    (void)state;
    give(small, "start.away");
    small_turn(small, 0);
    say(small, "2 die", 0);
    put(small, "a/x", 1);
    assert_string_equal(seen(), "open2 close2 1:x1"); /* later: it was never ready */
    small_turn(small, 60000);
    assert_string_equal(seen(), "open3");
    say(small, "1 deliver 0", 0);
    say(small, "3 ready", 0);
    assert_string_equal(seen(), "close1");
    end(small);
}

static void the_newest_settings_win(void **state)
{
    struct small_lane *small = start();

    (void)state;
    put(small, "a/x", 1);
    give(small, NULL);
    small_turn(small, 0);
    small_turn(small, 0); /* switching over, once 1 is delivered */
    put(small, "a/x", 2);
    assert_string_equal(seen(), "1:x1 open2");
    give(small, "start.away");
    small_turn(small, 0);
    assert_string_equal(seen(), "close2 open3 1:x2"); /* not to the one that is outdated */
    give(small, "in.place");
    small_turn(small, 0);
    assert_string_equal(seen(), "close3 update1");
    put(small, "a/x", 3);
    assert_string_equal(seen(), "1:x3");
    end(small);
}

static void a_next_one_that_dies_at_the_switch_gives_back_the_old_one(void **state)
{
    struct small_lane *small = start();

    (void)state;
    put(small, "a/x", 1);
    give(small, NULL);
    small_turn(small, 0);
    small_turn(small, 0);
    put(small, "a/x", 2);
    assert_string_equal(seen(), "1:x1 open2");
    say(small, "2 die", 0);
    assert_string_equal(seen(), "close2 open3 1:x2");
    end(small);
}

static void a_lane_ends_in_the_middle_of_it(void **state)
{
    struct small_lane *small = start();

    (void)state;
    put(small, "a/x", 1);
    give(small, "start.away");
    small_turn(small, 0);
    give(small, NULL);
    scripted_command("deliver 0");
    client_poll(&small->lane->clients[0]);
    small_lane_free(small);
    assert_string_equal(seen(), "1:x1 open2 close2 close1");
}

/* ---- from a secret to the lane ---- */

static char folder[64];

static void write_secret(const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static struct secrets *open_secrets(void)
{
    const struct option_pair option = {.name = "path", .value = folder};
    const struct option_group backend = {
        .name = "files", .type = "directory", .options = &option, .option_count = 1};
    const struct secrets_config config = {
        .base_directory = "/", .default_backend = "files", .backends = &backend, .backend_count = 1};
    struct err err = {0};

    (void)snprintf(folder, sizeof folder, "/tmp/topicrule-rotate-XXXXXX");
    assert_non_null(mkdtemp(folder));
    struct secrets *secrets = secrets_new(&config, &err);
    if (!secrets)
        fail_msg("%s", err.text);
    return secrets;
}

static void remove_secrets(const char *const *names)
{
    char path[128];

    for (; *names; names++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, *names);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

#define SECRET(id) "\"password\": \"${get_secret('" id "', 'SecretString', 'p', '')}\""

static void a_changed_secret_reaches_those_that_name_it(void **state)
{
    static const char *const texts[] = {RULE(SECRET("a")), RULE(SECRET("b")), RULE(SECRET("a")), RULE("")},
                             *const names[] = {"a", "b", NULL};
    struct secrets *secrets = open_secrets();

    (void)state;
    write_secret("a", "{\"p\": \"one\"}");
    write_secret("b", "{\"p\": \"one\"}"); /* equal now, and need not stay so */
    struct small_lane *small = small_lane_with(texts, 4, NULL, secrets);
    assert_int_equal(small->plan.target_count, 3);
    assert_string_equal(seen(), "open1 open2 open3");

    plan_refresh(&small->plan, small->lane, true);
    small_turn(small, 0);
    assert_string_equal(seen(), "");

    write_secret("b", "{\"p\": \"two\"}");
    plan_refresh(&small->plan, small->lane, false);
    small_turn(small, 0);
    assert_string_equal(seen(), "");
    plan_refresh(&small->plan, small->lane, true);
    small_turn(small, 0);
    small_turn(small, 0);
    assert_string_equal(seen(), "open4 close2");

    write_secret("a", "{\"q\": \"no such member\"}");
    plan_refresh(&small->plan, small->lane, true);
    assert_true(plan_is_behind(&small->plan));
    small_turn(small, 0);
    assert_string_equal(seen(), "");
    write_secret("a", "{\"p\": \"three\"}");
    plan_refresh(&small->plan, small->lane, false); /* what failed is tried again without a word of change */
    assert_false(plan_is_behind(&small->plan));
    small_turn(small, 0);
    small_turn(small, 0);
    assert_string_equal(seen(), "open5 close1");
    small_lane_free(small);
    secrets_free(secrets);
    remove_secrets(names);
}

static void a_secret_may_come_after_the_start(void **state)
{
    static const char *const texts[] = {RULE(SECRET("late"))}, *const names[] = {"late", NULL};
    struct secrets *secrets = open_secrets();
    struct small_lane *small = small_lane_with(texts, 1, NULL, secrets);

    (void)state;
    assert_true(plan_is_behind(&small->plan));
    put(small, "a/x", 1);
    small_turn(small, 60000);
    assert_string_equal(seen(), "");
    assert_int_equal(client_next_due(small->lane), INT64_MAX);
    write_secret("late", "{\"p\": \"one\"}");
    plan_refresh(&small->plan, small->lane, false);
    assert_false(plan_is_behind(&small->plan));
    small_turn(small, 0);
    assert_string_equal(seen(), "open1 1:x1");
    scripted_command("deliver 0");
    small_turn(small, 0);
    assert_int_equal(small->lane->hold.unsettled, 0);
    small_lane_free(small);
    secrets_free(secrets);
    remove_secrets(names);
}

static void the_login_to_the_broker_changes_too(void **state)
{
    static const char *const names[] = {"login", NULL};
    struct secrets *secrets = open_secrets();

    (void)state;
    write_secret("login", "{\"p\": \"one\", \"id\": \"first\"}");
    struct small_lane *small =
        small_lane_with(plain, 1,
                        "mqtt: {url: 'mqtt://127.0.0.1:1', username: u, "
                        "password: \"${get_secret('login', 'SecretString', 'p', '')}\", "
                        "client_id: \"${get_secret('login', 'SecretString', 'id', '')}\"}",
                        secrets);
    struct session_login *before = small->plan.login;
    plan_refresh(&small->plan, small->lane, true);
    assert_ptr_equal(small->plan.login, before);
    write_secret("login", "{\"p\": \"two\", \"id\": \"second\"}");
    plan_refresh(&small->plan, small->lane, true);
    assert_true(span_is(wiped_reveal(small->plan.login->password), "two"));
    assert_string_equal(small->plan.login->client_id, "first"); /* our messages wait under it */
    write_secret("login", "{}");
    plan_refresh(&small->plan, small->lane, true);
    assert_true(plan_is_behind(&small->plan));
    assert_true(span_is(wiped_reveal(small->plan.login->password), "two"));
    small_lane_free(small);
    secrets_free(secrets);
    remove_secrets(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_connection_takes_over_once_it_is_ready),
        cmocka_unit_test(what_the_old_one_does_not_deliver_goes_first_over_the_new_one),
        cmocka_unit_test(an_old_one_that_is_away_is_left_at_once),
        cmocka_unit_test(settings_that_make_no_connection_change_nothing),
        cmocka_unit_test(one_that_dies_is_replaced_by_the_next_ready_or_not),
        cmocka_unit_test(a_next_one_that_dies_is_opened_again),
        cmocka_unit_test(the_newest_settings_win),
        cmocka_unit_test(a_next_one_that_dies_at_the_switch_gives_back_the_old_one),
        cmocka_unit_test(a_lane_ends_in_the_middle_of_it),
        cmocka_unit_test(a_changed_secret_reaches_those_that_name_it),
        cmocka_unit_test(a_secret_may_come_after_the_start),
        cmocka_unit_test(the_login_to_the_broker_changes_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
