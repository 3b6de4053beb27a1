/* Secrets as JSON: names, and who uses them. Never a value: this file includes nothing that could reveal one.
 */
#include "engine/named.h"

#include "json.h"
#include "view.h"

#include <stdlib.h>

enum {
    USERS_SHOWN = 50, /* of one secret; the rest is counted */
    PATHS_MAX = 32 << 20,
};

/* One get_secret in a rule or in the configuration. */
struct user {
    const char *backend; /* NULL: it leads nowhere */
    struct span id;
    const char *rule; /* NULL: the configuration */
    const char *path;
};

struct users {
    const struct view *view;
    struct arena paths;
    struct user *items;
    size_t count, room;
    bool failed;
};

static void add_user(void *context, const struct named_secret *named)
{
    struct users *users = context;
    const char *path = arena_text(&users->paths, span_of(named->path));

    if (users->count == users->room) {
        size_t room = users->room ? users->room * 2 : 64;
        struct user *items = realloc(users->items, room * sizeof *items);

        users->failed |= !items;
        if (!items)
            return;
        users->items = items;
        users->room = room;
    }
    users->failed |= !path;
    struct user *user = &users->items[users->count++];
    *user =
        (struct user){.id = named->query->id, .rule = named->rule ? named->rule->name : NULL, .path = path};
    struct err err;
    (void)secrets_where(users->view->of->secrets, named->query->id, &user->backend, &user->id, &err);
}

static bool uses(const struct user *user, const struct view_secret *secret)
{
    return user->backend == secret->backend &&
           span_equal(user->id, secret->id); /* one name of a backend, one pointer */
}

static void put_user(struct json *json, const struct user *user)
{
    json_open(json, NULL, '{');
    json_text(json, "rule", user->rule);
    json_text(json, "field", user->path);
    json_close(json, '}');
}

static void put_secret(struct json *json, const struct users *users, const struct view_secret *secret)
{
    size_t count = 0;

    json_open(json, NULL, '{');
    json_text(json, "backend", secret->backend);
    json_span(json, "id", secret->id);
    json_span(json, "role_arn", secret->role_arn.size ? secret->role_arn : (struct span){0});
    json_text(json, "version", secret->version && *secret->version ? secret->version : NULL);
    json_seconds(json, "age_s", secret->age_ms);
    json_bool(json, "stale", secret->is_stale);
    json_count(json, "fetches", secret->fetches);
    json_count(json, "served", secret->served);
    json_text(json, "problem", secret->problem && *secret->problem ? secret->problem : NULL);
    json_open(json, "users", '[');
    for (size_t i = 0; i < users->count; i++)
        if (uses(&users->items[i], secret) && count++ < USERS_SHOWN)
            put_user(json, &users->items[i]);
    json_close(json, ']');
    json_count(json, "user_count", count);
    json_close(json, '}');
}

void secrets_json(const struct view *view, struct buf *out)
{
    struct users users = {.view = view};
    struct json json = {.out = out};

    arena_init(&users.paths, PATHS_MAX);
    named_each(view->of->config, view->of->rules, add_user, &users);
    out->failed |= users.failed;
    json_open(&json, NULL, '{');
    json_open(&json, "backends", '[');
    for (size_t i = 0; i < view->backend_count; i++) {
        json_open(&json, NULL, '{');
        json_text(&json, "name", view->backends[i].name);
        json_text(&json, "type", view->backends[i].type);
        json_bool(&json, "away", view->backends[i].is_away);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "secrets", '[');
    for (size_t i = 0; i < view->secret_count; i++)
        put_secret(&json, &users, &view->secrets[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    buf_char(out, '\n');
    free(users.items);
    arena_done(&users.paths);
}
