/* topicrule secrets: what the daemon knows of secrets, never a value. */
#include "ask.h"
#include "base/auto.h"
#include "command.h"
#include "paint.h"

static const struct usage usage = {
    .command = "secrets",
    .synopsis = "[-c FILE] [--admin ADDRESS] [--json]",
    .text =
        "Ask the daemon that runs which secrets it has been asked for: backend and id, version, age,\n"
        "who uses them, and why one cannot be had. A value is never shown: the daemon does not tell it.\n\n"
        "exit status: 0 all are here and fresh; 1 one is missing or stale, or a backend is away;\n"
        "2 wrong usage or configuration; 3 no daemon answers\n",
    .rows = ask_rows,
};

enum { USERS_SHOWN = 5, WIDEST = 60 };

DEFINE_DROP(json, json_t *, json_decref)

static bool is_stale(const json_t *secret)
{
    return json_is_true(json_object_get(secret, "stale"));
}

static bool is_missing(const json_t *secret)
{
    return !json_is_number(json_object_get(secret, "age_s"));
}

static int judge(const json_t *root)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(root, "backends"), i,
                       each) if (json_is_true(json_object_get(each, "away"))) return STATUS_NOT;
    json_array_foreach(json_object_get(root, "secrets"), i,
                       each) if (is_missing(each) || is_stale(each) ||
                                 *ask_text(each, "problem")) return STATUS_NOT;
    return STATUS_FINE;
}

static size_t width_of(const json_t *secret)
{
    return strlen(ask_text(secret, "backend")) + 1 + strlen(ask_text(secret, "id"));
}

static void show(const json_t *secret, size_t width)
{
    const char *state = is_missing(secret) ? "missing" : is_stale(secret) ? "stale" : "fresh";
    const json_t *users = json_object_get(secret, "users"), *user;
    const size_t own = width_of(secret);
    char age[32];
    size_t i;

    (void)printf("%s%-8s%s ",
                 paint_on(stdout, *state == 'f'   ? PAINT_GREEN
                                  : *state == 's' ? PAINT_YELLOW
                                                  : PAINT_RED),
                 state, paint_off(stdout));
    paint_put(ask_text(secret, "backend"), stdout);
    (void)putchar(':');
    paint_put(ask_text(secret, "id"), stdout);
    (void)printf("%*s  age %-8s version ", own < width ? (int)(width - own) : 0, "",
                 ask_age(secret, "age_s", age));
    paint_put(*ask_text(secret, "version") ? ask_text(secret, "version") : "-", stdout);
    (void)putchar('\n');
    if (*ask_text(secret, "problem")) {
        (void)printf("         problem: ");
        paint_put(ask_text(secret, "problem"), stdout);
        (void)putchar('\n');
    }
    json_array_foreach(users, i, user)
    {
        if (i == USERS_SHOWN)
            break;
        (void)printf("         used by %s", *ask_text(user, "rule") ? "rule " : "the configuration");
        paint_put(ask_text(user, "rule"), stdout);
        (void)printf(": ");
        paint_put(ask_text(user, "field"), stdout);
        (void)putchar('\n');
    }
    if (ask_count(secret, "user_count") > USERS_SHOWN)
        (void)printf("         and %lld more\n", ask_count(secret, "user_count") - USERS_SHOWN);
}

int cmd_secrets(int argc, char **argv)
{
    const json_t *secrets, *each;
    size_t i, width = 0;
    struct ask ask;
    int status;

    if (!ask_begin(&usage, argc, argv, &ask, &status))
        return status;
    AUTO(json_drop) json_t *root = ask_json(&ask, "/secrets", judge, &status);
    if (!root)
        return status;
    json_array_foreach(json_object_get(root, "backends"), i,
                       each) if (json_is_true(json_object_get(each, "away")))
    {
        (void)printf("%saway%s     backend ", paint_on(stdout, PAINT_RED), paint_off(stdout));
        paint_put(ask_text(each, "name"), stdout);
        (void)printf(" does not answer; last good values are used\n");
    }
    secrets = json_object_get(root, "secrets");
    json_array_foreach(secrets, i, each) if (width_of(each) > width && width_of(each) <= WIDEST) width =
        width_of(each);
    json_array_foreach(secrets, i, each) show(each, width);
    if (json_array_size(secrets) == 0)
        (void)printf("no secret has been asked for\n");
    return status;
}
