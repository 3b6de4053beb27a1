/* Identifiers of subscriptions: given once, and to nobody else afterwards. */
#include "store_state.h"
#include "trie.h"

#include "base/auto.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    LAST_ID = 268435455, /* MQTT 5.0, section 3.8.2.1.2 */
    TRIES = 100,         /* even with half of all given, this many are taken by chance once in 2^100 */
};

struct filter_ids {
    struct store_call call;
    const char *const *filters;
    size_t count;
    uint32_t *ids;
    bool used_up;
};

static int id_of(struct store *store, const char *filter, int64_t *id, bool *forgotten)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_FILTER);

    *id = 0;
    *forgotten = false;
    (void)base_bind_text(statement, 1, span_of(filter));
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *id = sqlite3_column_int64(statement, 0);
        *forgotten = sqlite3_column_int(statement, 1) != 0;
    }
    base_end(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int keep(struct store *store, const char *filter, bool forgotten)
{
    sqlite3_stmt *statement = base_sql(&store->base, SQL_KEEP_FILTER);

    (void)base_bind_text(statement, 1, span_of(filter));
    (void)sqlite3_bind_int(statement, 2, forgotten);
    return base_do(&store->base, SQL_KEEP_FILTER);
}

/* From the filter's hash, like those of a daemon without a store (route.c). A database that is lost may have
 * left subscriptions and messages at the broker: a filter of then has the identifier of then once more, and
 * two that differ meet by chance alone. Whoever finds its own taken goes on to another. */
static int new_id(struct store *store, const char *filter, int64_t *id)
{
    uint64_t hash = trie_hash(span_of(filter));

    for (int i = 0; i < TRIES; i++) {
        int64_t taken = 0;

        *id = trie_identifier(&hash);
        if (*id < STORE_FIRST_ID || *id > LAST_ID)
            continue;
        (void)sqlite3_bind_int64(base_sql(&store->base, SQL_FILTER_OF), 1, *id);
        const int code = base_number(&store->base, SQL_FILTER_OF, &taken);
        if (code != SQLITE_OK)
            return code;
        if (taken)
            continue;
        sqlite3_stmt *statement = base_sql(&store->base, SQL_NEW_FILTER);
        (void)sqlite3_bind_int64(statement, 1, *id);
        (void)base_bind_text(statement, 2, span_of(filter));
        return base_do(&store->base, SQL_NEW_FILTER);
    }
    return SQLITE_TOOBIG;
}

static int give_ids(struct store *store, struct store_call *call)
{
    struct filter_ids *wanted = (struct filter_ids *)call;
    int code = SQLITE_OK;

    for (size_t i = 0; i < wanted->count && code == SQLITE_OK; i++) {
        int64_t id;
        bool forgotten;

        code = id_of(store, wanted->filters[i], &id, &forgotten);
        if (code == SQLITE_OK && id == 0)
            code = new_id(store, wanted->filters[i], &id);
        else if (code == SQLITE_OK && forgotten) /* else there is nothing to write, and a full disk is none */
            code = keep(store, wanted->filters[i], false);
        wanted->used_up = code == SQLITE_TOOBIG;
        wanted->ids[i] = (uint32_t)id;
    }
    return code;
}

int store_filter_ids(struct store *store, const char *const *filters, size_t count, uint32_t *ids,
                     struct err *err)
{
    struct filter_ids wanted = {.call = {.run = give_ids}, .filters = filters, .count = count, .ids = ids};

    if (store_wait(store, &wanted.call, err) == 0)
        return 0;
    if (wanted.used_up)
        return err_set(err, ERR_LIMIT, "%s: no identifier for a subscription is free", store->path);
    return -1;
}

/* ---- those that are known ---- */

struct known {
    struct store_call call;
    struct buf texts; /* identifier, then the filter with its terminator */
};

static int list(struct store *store, struct store_call *call)
{
    struct known *known = (struct known *)call;
    sqlite3_stmt *statement = base_sql(&store->base, SQL_FILTERS);
    int code;

    known->texts.size = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const uint32_t id = (uint32_t)sqlite3_column_int64(statement, 0);

        buf_add(&known->texts, &id, sizeof id);
        buf_span(&known->texts, base_column(statement, 1));
        buf_char(&known->texts, '\0');
    }
    base_end(statement);
    if (known->texts.failed)
        return SQLITE_NOMEM;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int store_each_filter(struct store *store, void (*seen)(void *context, const char *filter, uint32_t id),
                      void *context, struct err *err)
{
    struct known known = {.call = {.run = list}, .texts = BUF_INIT};
    const int result = store_wait(store, &known.call, err);

    for (size_t at = 0; result == 0 && at < known.texts.size;) {
        uint32_t id;

        memcpy(&id, known.texts.data + at, sizeof id);
        at += sizeof id;
        const char *filter = known.texts.data + at;
        at += strlen(filter) + 1;
        seen(context, filter, id);
    }
    buf_done(&known.texts);
    return result;
}

/* ---- those that are not wanted any more ---- */

struct forgotten {
    struct store_call call;
    const char *const *filters;
    size_t count;
};

static int forget(struct store *store, struct store_call *call)
{
    const struct forgotten *forgotten = (struct forgotten *)call;
    int code = SQLITE_OK;

    for (size_t i = 0; i < forgotten->count && code == SQLITE_OK; i++)
        code = keep(store, forgotten->filters[i], true);
    return code;
}

int store_forget_filters(struct store *store, const char *const *filters, size_t count, struct err *err)
{
    struct forgotten forgotten = {.call = {.run = forget}, .filters = filters, .count = count};

    return store_wait(store, &forgotten.call, err);
}
