#include "gather.h"

#include "engine/named.h"

struct walk {
    const struct gathering *gathering;
    struct gathered found;
};

static void fetch(void *context, const struct named_secret *named)
{
    struct walk *walk = context;
    const struct gathering *gathering = walk->gathering;
    const struct secret_query query = named_ask(named->query);
    struct wiped *value = NULL;
    struct err err = {0};

    walk->found.gave_up = walk->found.gave_up || !gathering->go_on(gathering->context);
    if (walk->found.gave_up)
        return;
    const char *backend;
    struct span there;
    enum secrets_answer answer = SECRETS_REFUSED;
    if (secrets_where(gathering->secrets, query.id, &backend, &there, &err) == 0)
        answer = secrets_ask(gathering->secrets, &query, true, &value, &err);
    wiped_free(value);
    if (answer == SECRETS_HERE)
        return;
    const bool is_away = answer == SECRETS_UNREACHED;
    *(is_away ? &walk->found.away : &walk->found.refused) += 1;
    err.pos = named->pos;
    err_in(&err, named->file, named->path);
    gathering->missing(gathering->context, &err, is_away);
}

struct gathered gather(const struct gathering *gathering)
{
    struct walk walk = {.gathering = gathering};

    named_each(gathering->config, gathering->rules, fetch, &walk);
    return walk.found;
}
