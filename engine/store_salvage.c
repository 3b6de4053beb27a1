/* A damaged database: what can be read of it goes into a new one, row by row; the old one is put aside.
 *
 * The new one is made under another name, and takes its place only when it is whole:
 *
 *   store.db.salvaging   being filled; a crash leaves it, and the next salvage begins anew
 *   store.db.salvaged    whole; from here on the exchange goes on, after a crash too
 *   store.db.damaged-*   what was there */
#include "store_base.h"

#include "base/auto.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IN_ONE = 1000 }; /* rows in a transaction of the new one */

/* A table with an integer key, ?1: row after row from there on. What reads does not use an index, which may
 * be damaged while the table is not. */
static const struct table {
    const char *name, *read, *write;
    int columns;
} tables[] = {
    {"queue", "SELECT id, rule, action, type, stream FROM queue NOT INDEXED WHERE id > ?1 ORDER BY id",
     "INSERT INTO queue VALUES(?1, ?2, ?3, ?4, ?5, 0, 0)", 5},
    {"filter", "SELECT id, filter, forgotten FROM filter NOT INDEXED WHERE id > ?1 ORDER BY id",
     "INSERT INTO filter VALUES(?1, ?2, ?3)", 3},
    {"dead",
     "SELECT id, retry, at, rule, action, type, stream, code, reason, bytes, record, origin FROM dead NOT "
     "INDEXED "
     "WHERE id > ?1 ORDER BY id",
     "INSERT INTO dead VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)", 12},
    {"spool",
     "SELECT number, queue, at, bytes, record, origin FROM spool NOT INDEXED WHERE number > ?1 ORDER BY "
     "number",
     "INSERT INTO spool VALUES(?1, ?2, ?3, ?4, ?5, ?6)", 6},
};

/* Rows whose queue could not be read have nowhere to go: they become letters. Then all is counted. */
static const char finish[] =
    "INSERT INTO dead(at, rule, action, type, stream, code, reason, bytes, record, origin) "
    "SELECT at, '', 0, '', '', 'STORE_DAMAGED', 'where this record was to go could not be read', bytes, "
    "record, "
    "origin FROM spool WHERE queue NOT IN (SELECT id FROM queue);"
    "DELETE FROM spool WHERE queue NOT IN (SELECT id FROM queue);"
    "UPDATE spool SET bytes = length(record) + coalesce(length(origin), 0) "
    "WHERE bytes <> length(record) + coalesce(length(origin), 0);"
    "UPDATE queue SET rows = n, bytes = b FROM "
    "(SELECT queue AS q, count(*) AS n, sum(bytes) AS b FROM spool GROUP BY queue) WHERE q = id;"
    "UPDATE meta SET letters = (SELECT count(*) FROM dead), "
    "letter_bytes = (SELECT coalesce(sum(bytes), 0) FROM dead),"
    "generation = max(generation, (SELECT coalesce(max(number), 0) >> 40 FROM spool));";

struct salvage {
    sqlite3 *from, *to;
    int64_t rows, lost; /* lost: places where something could not be read */
};

static void statement_drop(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement);
}

static void database_drop(sqlite3 **db)
{
    (void)sqlite3_close(*db);
}

static int step_from(sqlite3_stmt *statement, int64_t after)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_bind_int64(statement, 1, after);
    return sqlite3_step(statement);
}

static bool is_damage(int code)
{
    return code != SQLITE_ROW && code != SQLITE_DONE;
}

/* The smallest distance from `after` at which reading goes on, and the code there: doubled until it does,
 * then halved. A damaged page is some dozen rows. */
static int64_t gap(sqlite3_stmt *statement, int64_t after, int *code)
{
    int64_t low = 0, high = 1;

    while (is_damage(*code = step_from(statement, after + high))) {
        low = high;
        if (high > (INT64_MAX - 1) / 2 - (after > 0 ? after / 2 : 0)) {
            *code = SQLITE_DONE;
            return high;
        }
        high *= 2;
    }
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;

        if (is_damage(step_from(statement, after + middle)))
            low = middle;
        else
            high = middle;
    }
    *code = step_from(statement, after + high);
    return high;
}

static int write_row(struct salvage *salvage, const struct table *table, sqlite3_stmt *row,
                     sqlite3_stmt *write)
{
    for (int i = 0; i < table->columns; i++)
        (void)sqlite3_bind_value(write, i + 1, sqlite3_column_value(row, i));
    int code = sqlite3_step(write);
    (void)sqlite3_reset(write);
    (void)sqlite3_clear_bindings(write);
    if ((code & 0xff) == SQLITE_CONSTRAINT || (code & 0xff) == SQLITE_MISMATCH) { /* not what such a row is */
        salvage->lost++;
        return SQLITE_OK;
    }
    if (code != SQLITE_DONE)
        return code;
    if (++salvage->rows % IN_ONE != 0)
        return SQLITE_OK;
    code = sqlite3_exec(salvage->to, "COMMIT", NULL, NULL, NULL);
    if (code == SQLITE_OK) /* the log stays small */
        code = sqlite3_wal_checkpoint_v2(salvage->to, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return code == SQLITE_OK ? sqlite3_exec(salvage->to, "BEGIN", NULL, NULL, NULL) : code;
}

static int copy_table(struct salvage *salvage, const struct table *table)
{
    AUTO(statement_drop) sqlite3_stmt *read = NULL;
    AUTO(statement_drop) sqlite3_stmt *write = NULL;
    int64_t last = 0;

    if (sqlite3_prepare_v2(salvage->from, table->read, -1, &read, NULL) != SQLITE_OK) {
        salvage->lost++; /* all of it */
        return SQLITE_OK;
    }
    int code = sqlite3_prepare_v2(salvage->to, table->write, -1, &write, NULL);
    if (code != SQLITE_OK)
        return code;
    for (code = step_from(read, last); code != SQLITE_DONE; code = sqlite3_step(read)) {
        if (is_damage(code)) {
            salvage->lost++;
            last += gap(read, last, &code);
            if (code == SQLITE_DONE)
                break;
        }
        const int64_t key = sqlite3_column_int64(read, 0);
        if (key <= last) /* its pages lead in a circle */
            break;
        last = key;
        const int written = write_row(salvage, table, read, write);
        if (written != SQLITE_OK)
            return written;
    }
    return SQLITE_OK;
}

static int copy(struct salvage *salvage, const char *path)
{
    int64_t generation = 0;
    int code = sqlite3_open_v2(path, &salvage->from, SQLITE_OPEN_READWRITE, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_exec(salvage->to, "BEGIN", NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof tables / sizeof *tables && code == SQLITE_OK; i++)
        code = copy_table(salvage, &tables[i]);
    (void)base_query(salvage->from, "SELECT generation FROM meta", &generation);
    if (code == SQLITE_OK) {
        char sql[96];

        (void)snprintf(sql, sizeof sql, "UPDATE meta SET generation = %" PRId64 "; ",
                       generation >= 0 && generation < (INT64_C(1) << 22) ? generation : 0);
        code = sqlite3_exec(salvage->to, sql, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK)
        code = sqlite3_exec(salvage->to, finish, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(salvage->to, "COMMIT", NULL, NULL, NULL);
    return code;
}

/* ---- files ---- */

static int move(const char *from, const char *to, const char *suffix, struct err *err)
{
    char old[PATH_MAX], new[PATH_MAX];

    if (snprintf(old, sizeof old, "%s%s", from, suffix) >= (int)sizeof old ||
        snprintf(new, sizeof new, "%s%s", to, suffix) >= (int)sizeof new)
        return err_set(err, ERR_VALUE, "%s: the path is too long", from);
    if (rename(old, new) != 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "cannot rename %s to %s: %s", old, new, strerror(errno));
    return 0;
}

static void remove_all(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[PATH_MAX];

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (snprintf(name, sizeof name, "%s%s", path, suffixes[i]) < (int)sizeof name)
            (void)unlink(name);
}

/* The damaged one aside, the salvaged one in its place. Begun again after a crash, it goes on where it was.
 */
int base_exchange(const char *path, struct err *err)
{
    char salvaged[PATH_MAX], aside[PATH_MAX], shared[PATH_MAX], date[32] = "";
    const time_t now = time(NULL);
    struct tm tm;

    if (gmtime_r(&now, &tm))
        (void)strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);
    if (snprintf(salvaged, sizeof salvaged, "%s.salvaged", path) >= (int)sizeof salvaged ||
        snprintf(aside, sizeof aside, "%s.damaged-%s", path, date) >= (int)sizeof aside ||
        snprintf(shared, sizeof shared, "%s-shm", path) >= (int)sizeof shared)
        return err_set(err, ERR_VALUE, "%s: the path is too long", path);
    if (access(salvaged, F_OK) != 0)
        return 0;
    /* The log first: a new database must never meet an old log. */
    if (move(path, aside, "-wal", err) != 0 || (unlink(shared) != 0 && errno != ENOENT) ||
        move(path, aside, "", err) != 0 || base_sync_folder(path, err) != 0 ||
        move(salvaged, path, "", err) != 0)
        return -1;
    log_warn("store", "%s: the damaged database is kept as %s", path, aside);
    return base_sync_folder(path, err);
}

static int fill(const char *path, const char *new, struct salvage *salvage, bool *full, struct err *err)
{
    struct base base = {.path = new, .lock = -1, .reserve = -1};

    remove_all(new);
    if (base_make(&base, err) != 0) {
        *full = base.opened_full;
        return -1;
    }
    salvage->to = base.db;
    int code = copy(salvage, path);
    if (code == SQLITE_OK) /* all of it into the one file */
        code = sqlite3_wal_checkpoint_v2(base.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    *full = base_is_full(&base, code);
    const int result = code == SQLITE_OK ? 0 : base_err(&base, code, err);
    base_done(&base);
    return result;
}

int base_salvage(const char *path, bool *full, struct err *err)
{
    char new[PATH_MAX], salvaged[PATH_MAX];
    struct salvage salvage = {0};

    if (snprintf(new, sizeof new, "%s.salvaging", path) >= (int)sizeof new ||
        snprintf(salvaged, sizeof salvaged, "%s.salvaged", path) >= (int)sizeof salvaged)
        return err_set(err, ERR_VALUE, "%s: the path is too long", path);
    log_warn("store", "%s: the database is damaged; what can be read of it goes into a new one", path);
    *full = false;
    const int result = fill(path, new, &salvage, full, err);
    database_drop(&salvage.from);
    if (result != 0 || move(new, salvaged, "", err) != 0 || base_sync_folder(path, err) != 0) {
        remove_all(new); /* its room is wanted */
        err_prefix(err, "%s: damaged, and what can be read of it cannot be saved", path);
        return -1;
    }
    log_warn("store", "%s: %" PRId64 " rows were saved; %" PRId64 " places could not be read", path,
             salvage.rows, salvage.lost);
    return base_exchange(path, err);
}
