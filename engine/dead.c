/* Dead letters from outside the daemon: a connection of its own to the store's database. */
#include "engine/dead.h"

#include "row.h"
#include "store_base.h"

#include "base/auto.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    BUSY_MS = 10000,
    CHUNK = 200,           /* letters at a time */
    CHUNK_BYTES = 4 << 20, /* and about that many bytes of them */
};

/* ?1 is where to go on; the filter is ?2 to ?5. Marked letters (retry) are on their way. */
#define LETTERS                                                                                              \
    "FROM dead WHERE id > ?1 AND NOT retry AND (?2 = 0 OR id = ?2) AND (?3 IS NULL OR rule = ?3) "           \
    "AND (?4 IS NULL OR code = ?4) AND (?5 = 0 OR at < ?5) "
/* Rows of the queue ?6. */
#define ROWS                                                                                                 \
    "FROM spool WHERE queue = ?6 AND number > ?1 AND (?2 = 0 OR number = ?2) AND (?5 = 0 OR at < ?5) "

struct dead {
    sqlite3 *db;
    char *path;
};

DEFINE_DROP(dead, struct dead *, dead_close)

static int fail(const struct dead *dead, int code, struct err *err)
{
    switch (code & 0xff) {
    case SQLITE_NOMEM: return err_memory(err);
    case SQLITE_BUSY:
        return err_set(err, ERR_IO, "%s: another process keeps it locked; try again", dead->path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return err_set(err, ERR_IO,
                       "%s: no right to it, or to its folder; be root, or the user of the service",
                       dead->path);
    case SQLITE_FULL: return err_set(err, ERR_IO, "%s: the disk is full", dead->path);
    case SQLITE_NOTADB: return err_set(err, ERR_VALUE, "%s: this is no store of topicrule", dead->path);
    default: return err_set(err, ERR_IO, "%s: %s", dead->path, sqlite3_errmsg(dead->db));
    }
}

static void statement_drop(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement);
}

static sqlite3_stmt *prepare(const struct dead *dead, const char *sql, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    const int code = sqlite3_prepare_v2(dead->db, sql, -1, &statement, NULL);

    if (code != SQLITE_OK)
        (void)fail(dead, code, err);
    return statement;
}

static int execute(const struct dead *dead, const char *sql, struct err *err)
{
    const int code = sqlite3_exec(dead->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : fail(dead, code, err);
}

/* ---- open ---- */

static int check(const struct dead *dead, struct err *err)
{
    AUTO(statement_drop)
    sqlite3_stmt *statement = prepare(dead, "SELECT * FROM pragma_application_id, pragma_user_version", err);

    if (!statement)
        return -1;
    const int code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        return fail(dead, code, err);
    if (sqlite3_column_int(statement, 0) != STORE_APPLICATION_ID)
        return err_set(err, ERR_VALUE, "%s: this is no store of topicrule", dead->path);
    if (sqlite3_column_int(statement, 1) != STORE_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: made by another version of topicrule (its format is %d, ours %d)", dead->path,
                       sqlite3_column_int(statement, 1), STORE_VERSION);
    return 0;
}

struct dead *dead_open(const char *path, struct err *err)
{
    AUTO(dead_drop) struct dead *dead = calloc(1, sizeof *dead);

    if (!dead || !(dead->path = strdup(path))) {
        err_memory(err);
        return NULL;
    }
    if (access(path, R_OK | W_OK) != 0) {
        const int error = errno;

        (void)err_set(err, ERR_IO,
                      error == ENOENT ? "%s: there is no store; a daemon makes it when it first runs%s%s"
                                      : "%s: cannot be opened%s%s",
                      path, error == ENOENT ? "" : ": ", error == ENOENT ? "" : strerror(error));
        return NULL;
    }
    int code = sqlite3_open_v2(path, &dead->db, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(dead->db, BUSY_MS);
    if (code == SQLITE_OK)
        code = sqlite3_exec(dead->db, "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF", NULL, NULL,
                            NULL);
    if (code != SQLITE_OK) {
        (void)fail(dead, code, err);
        return NULL;
    }
    return check(dead, err) == 0 ? TAKE(dead) : NULL;
}

void dead_close(struct dead *dead)
{
    if (!dead)
        return;
    (void)sqlite3_close(dead->db);
    free(dead->path);
    free(dead);
}

/* ---- which ---- */

static int bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    return text ? sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC)
                : sqlite3_bind_null(statement, at);
}

static void bind(sqlite3_stmt *statement, const struct dead_filter *filter, int64_t after, int64_t queue)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_bind_int64(statement, 1, after);
    (void)sqlite3_bind_int64(statement, 2, filter->id);
    (void)bind_text(statement, 3, filter->rule);
    (void)bind_text(statement, 4, filter->code);
    (void)sqlite3_bind_int64(statement, 5, filter->before_ms);
    if (filter->waiting)
        (void)sqlite3_bind_int64(statement, 6, queue);
}

/* Does the filter want rows of this queue? */
static bool wants(const struct dead_filter *filter, const struct dead_letter *queue)
{
    return (!filter->rule || span_is(queue->rule, filter->rule)) && !filter->code &&
           (!filter->exists || !filter->exists(filter->context, queue->rule, queue->action));
}

/* Keys of the queues whose rows the filter wants; `*count` of them. */
static int queues_of(const struct dead *dead, const struct dead_filter *filter, int64_t **keys, size_t *count,
                     struct err *err)
{
    AUTO(statement_drop)
    sqlite3_stmt *statement =
        prepare(dead, "SELECT id, rule, action FROM queue WHERE rows > 0 ORDER BY id", err);
    AUTO(free_drop) int64_t *found = NULL;
    int code = SQLITE_DONE;

    if (!statement)
        return -1;
    for (*count = 0; (code = sqlite3_step(statement)) == SQLITE_ROW;) {
        const struct dead_letter queue = {.rule = base_column(statement, 1),
                                          .action = sqlite3_column_int(statement, 2)};

        if (!wants(filter, &queue))
            continue;
        int64_t *grown = reallocarray(found, *count + 1, sizeof *grown);
        if (!grown)
            return err_memory(err);
        found = grown;
        found[(*count)++] = sqlite3_column_int64(statement, 0);
    }
    if (code != SQLITE_DONE)
        return fail(dead, code, err);
    *keys = TAKE(found);
    return 0;
}

/* ---- one after the other ---- */

/* Copies, so that no read transaction is open while somebody looks at them: it would keep the daemon's log
 * from being emptied. */
struct chunk {
    struct dead_letter letters[CHUNK];
    size_t count;
    struct buf bytes;
};

static void chunk_done(struct chunk **chunk)
{
    if (*chunk)
        buf_done(&(*chunk)->bytes);
    free(*chunk);
}

static void each_text(struct dead_letter *letter, void (*what)(void *context, struct span *text),
                      void *context)
{
    struct span *const texts[] = {&letter->rule,   &letter->type,   &letter->stream, &letter->code,
                                  &letter->reason, &letter->record, &letter->origin};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        what(context, texts[i]);
}

static void keep_text(void *context, struct span *text)
{
    buf_span(context, *text);
}

static void place_text(void *context, struct span *text)
{
    const char **at = context;

    if (text->data)
        text->data = *at;
    *at += text->size;
}

static int read_chunk(const struct dead *dead, sqlite3_stmt *statement, struct chunk *chunk, struct err *err)
{
    int code;

    chunk->count = chunk->bytes.size = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct dead_letter *letter = &chunk->letters[chunk->count++];

        *letter = (struct dead_letter){.id = sqlite3_column_int64(statement, 0),
                                       .at_ms = sqlite3_column_int64(statement, 1),
                                       .rule = base_column(statement, 2),
                                       .action = sqlite3_column_int(statement, 3),
                                       .type = base_column(statement, 4),
                                       .stream = base_column(statement, 5),
                                       .code = base_column(statement, 6),
                                       .reason = base_column(statement, 7),
                                       .record = base_column(statement, 8),
                                       .origin = base_column(statement, 9)};
        each_text(letter, keep_text, &chunk->bytes);
        if (chunk->count == CHUNK || chunk->bytes.size >= CHUNK_BYTES)
            break;
    }
    (void)sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fail(dead, code, err);
    if (chunk->bytes.failed)
        return err_memory(err);
    const char *at = chunk->bytes.data ? chunk->bytes.data : "";
    for (size_t i = 0; i < chunk->count; i++)
        each_text(&chunk->letters[i], place_text, &at);
    return 0;
}

struct walk {
    bool (*seen)(void *context, const struct dead_letter *letter);
    void *context;
    bool ended;
};

static int walk(const struct dead *dead, sqlite3_stmt *statement, const struct dead_filter *filter,
                int64_t queue, struct walk *walk, struct err *err)
{
    AUTO(chunk_done) struct chunk *chunk = calloc(1, sizeof *chunk);
    int64_t after = INT64_MIN;

    if (!chunk)
        return err_memory(err);
    chunk->bytes = BUF_INIT;
    do {
        bind(statement, filter, after, queue);
        if (read_chunk(dead, statement, chunk, err) != 0)
            return -1;
        for (size_t i = 0; i < chunk->count && !walk->ended; i++)
            walk->ended = !walk->seen(walk->context, &chunk->letters[i]);
        after = chunk->count ? chunk->letters[chunk->count - 1].id : after;
    } while (chunk->count > 0 && !walk->ended);
    return 0;
}

int dead_each(struct dead *dead, const struct dead_filter *filter,
              bool (*seen)(void *context, const struct dead_letter *letter), void *context, struct err *err)
{
    AUTO(statement_drop)
    sqlite3_stmt *statement = prepare(
        dead,
        filter->waiting ? "SELECT number, at, (SELECT rule FROM queue WHERE id = ?6), "
                          "(SELECT action FROM queue WHERE id = ?6), (SELECT type FROM queue WHERE id = ?6), "
                          "(SELECT stream FROM queue WHERE id = ?6), '', '', record, origin " ROWS
                          "ORDER BY number"
                        : "SELECT id, at, rule, action, type, stream, code, reason, record, origin " LETTERS
                          "ORDER BY id",
        err);
    struct walk all = {seen, context, false};
    AUTO(free_drop) int64_t *keys = NULL;
    size_t count = 0;

    if (!statement)
        return -1;
    if (!filter->waiting)
        return walk(dead, statement, filter, 0, &all, err);
    if (queues_of(dead, filter, &keys, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count && !all.ended; i++)
        if (walk(dead, statement, filter, keys[i], &all, err) != 0)
            return -1;
    return 0;
}

/* ---- for people ---- */

static void print_member(struct buf *out, const char *name, struct span value)
{
    buf_format(out, ",\"%s\":", name);
    buf_json(out, value);
}

int dead_print(const struct dead_letter *letter, struct buf *out, struct err *err)
{
    const time_t seconds = (time_t)(letter->at_ms / 1000);
    char text[32] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_format(out, "{\"id\":%" PRId64 ",\"time\":\"%s.%03dZ\"", letter->id, text,
               (int)(letter->at_ms % 1000 < 0 ? 0 : letter->at_ms % 1000));
    print_member(out, "rule", letter->rule);
    buf_format(out, letter->action < 0 ? ",\"action\":\"errorAction\"" : ",\"action\":%d", letter->action);
    print_member(out, "type", letter->type);
    print_member(out, "stream", letter->stream);
    if (letter->code.size > 0) {
        print_member(out, "code", letter->code);
        print_member(out, "reason", letter->reason);
    }
    const size_t before = out->size;
    if (row_print(letter->record, letter->origin, out, err) != 0)
        return -1;
    if (out->failed)
        return err_memory(err);
    if (out->size - before > 2) { /* its members become ours */
        out->data[before] = ',';
    } else {
        out->size = before;
        buf_char(out, '}');
    }
    return out->failed ? err_memory(err) : 0;
}

/* ---- changes ---- */

static int count_rows(const struct dead *dead, int64_t queue, int64_t rows, int64_t bytes, bool waiting,
                      struct err *err)
{
    char sql[256];

    if (waiting)
        (void)snprintf(sql, sizeof sql,
                       "UPDATE queue SET rows = rows - %" PRId64 ", bytes = bytes - %" PRId64
                       " WHERE id = %" PRId64,
                       rows, bytes, queue);
    else
        (void)snprintf(sql, sizeof sql,
                       "UPDATE meta SET letters = letters - %" PRId64
                       ", letter_bytes = letter_bytes - %" PRId64,
                       rows, bytes);
    return execute(dead, sql, err);
}

static int step_all(const struct dead *dead, sqlite3_stmt *statement, int64_t *rows, int64_t *bytes,
                    struct err *err)
{
    int code;

    *rows = *bytes = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        *bytes += sqlite3_column_int64(statement, 0);
        ++*rows;
    }
    (void)sqlite3_reset(statement);
    return code == SQLITE_DONE ? 0 : fail(dead, code, err);
}

/* What a change does once; how many it did it to, 0 when there are none left; -1 with `err`. */
struct task {
    const struct dead *dead;
    const struct dead_filter *filter;
    sqlite3_stmt *copy, *change; /* `copy` may be NULL */
    bool counted;                /* what is changed is not there any more */
};

static int64_t some(const struct task *task, int64_t queue, struct err *err)
{
    const struct dead *dead = task->dead;
    int64_t copied = 0, copied_bytes = 0, rows = 0, bytes = 0;

    if (execute(dead, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    bool fine = true;
    if (task->copy) {
        bind(task->copy, task->filter, INT64_MIN, queue);
        fine = step_all(dead, task->copy, &copied, &copied_bytes, err) == 0 &&
               count_rows(dead, 0, -copied, -copied_bytes, false, err) == 0;
    }
    bind(task->change, task->filter, INT64_MIN, queue);
    fine = fine && step_all(dead, task->change, &rows, &bytes, err) == 0 &&
           (!task->counted || count_rows(dead, queue, rows, bytes, task->filter->waiting, err) == 0) &&
           execute(dead, "COMMIT", err) == 0;
    if (fine)
        return rows;
    (void)sqlite3_exec(dead->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

static int64_t all_of(const struct task *task, struct err *err)
{
    AUTO(free_drop) int64_t *keys = NULL;
    size_t count = 1;
    int64_t total = 0;

    if (task->filter->waiting && queues_of(task->dead, task->filter, &keys, &count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        for (int64_t done = 1; done > 0; total += done) {
            done = some(task, keys ? keys[i] : 0, err);
            if (done < 0)
                return -1;
        }
    return total;
}

#define SOME_ROWS    "WHERE number IN (SELECT number " ROWS "ORDER BY number LIMIT 200)"
#define SOME_LETTERS "WHERE id IN (SELECT id " LETTERS

int64_t dead_purge(struct dead *dead, const struct dead_filter *filter, struct err *err)
{
    AUTO(statement_drop)
    sqlite3_stmt *change =
        prepare(dead,
                filter->waiting ? "DELETE FROM spool " SOME_ROWS " RETURNING bytes"
                                : "DELETE FROM dead " SOME_LETTERS "ORDER BY id LIMIT 200) RETURNING bytes",
                err);
    const struct task task = {dead, filter, NULL, change, true};

    return change ? all_of(&task, err) : -1;
}

static int64_t count_left(const struct dead *dead, const struct dead_filter *filter, struct err *err)
{
    AUTO(statement_drop)
    sqlite3_stmt *statement = prepare(dead, "SELECT count(*) " LETTERS "AND record IS NULL", err);

    if (!statement)
        return -1;
    bind(statement, filter, INT64_MIN, 0);
    const int code = sqlite3_step(statement);
    return code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : fail(dead, code, err);
}

int64_t dead_retry(struct dead *dead, const struct dead_filter *filter, const char *to, int64_t *left,
                   struct err *err)
{
    AUTO(statement_drop) sqlite3_stmt *copy = NULL;
    AUTO(statement_drop) sqlite3_stmt *change = NULL;

    *left = 0;
    if (filter->waiting) {
        copy = prepare(
            dead,
            "INSERT INTO dead(retry, at, rule, action, type, stream, code, reason, bytes, record, origin) "
            "SELECT 1, s.at, coalesce(?7, q.rule), q.action, q.type, q.stream, '', '', s.bytes, s.record, "
            "s.origin FROM spool s JOIN queue q ON q.id = s.queue " SOME_ROWS
            " ORDER BY s.number RETURNING bytes",
            err);
        change = copy ? prepare(dead, "DELETE FROM spool " SOME_ROWS " RETURNING bytes", err) : NULL;
    } else {
        change = prepare(dead,
                         "UPDATE dead SET retry = 1, rule = coalesce(?7, rule) " SOME_LETTERS
                         "AND record IS NOT NULL ORDER BY id LIMIT 200) RETURNING 0",
                         err);
        *left = count_left(dead, filter, err);
    }
    const struct task task = {dead, filter, copy, change, filter->waiting};
    if (!change || *left < 0)
        return -1;
    (void)bind_text(copy ? copy : change, 7, to);
    return all_of(&task, err);
}
