/* The database of the store: opened, made, spoken to, kept small. */
#include "store_base.h"

#include "base/auto.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUSY_MS = 5000,    /* as long may another process (`topicrule dead`) hold it */
    BACK_OFF_MS = 100, /* after an error; doubled up to the next */
    BACK_OFF_MOST = 5000,
    CHECK_MOST = 64 << 20, /* bytes of a database that is looked through at each start */
    PAGE_SIZE = 8192,
    LOG_PAGES = 1000,  /* then the log is brought into the file */
    FREE_PAGES = 1024, /* more than these, and more than a quarter of all: the file is made smaller */
};

static const char *const texts[SQL_COUNT] = {
#define STATEMENT(name, text) [SQL_##name] = (text),
    STATEMENTS
#undef STATEMENT
};

/* The first word to an empty file. To a database that is one, auto_vacuum would be a write. */
static const char creation[] =
    "PRAGMA page_size = 8192;" /* 4096 costs a fifth more, more writes too much for a single row */
    "PRAGMA auto_vacuum = INCREMENTAL;";

/* The first word in each connection. Writes nothing, so that a disk that takes nothing can be read. */
static const char setup[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA wal_autocheckpoint = 0;" /* ours to do, and to see fail */
    "PRAGMA journal_size_limit = 8388608;"
    "PRAGMA cache_size = -1536;" /* more costs memory while Kafka is away, and brings no speed */
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA secure_delete = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;";

/* bytes: of record and origin. queue.rows and queue.bytes are kept true within each transaction, so that
 * a start does not have to count millions of rows. */
static const char schema[] =
    "CREATE TABLE meta(generation INTEGER NOT NULL, letters INTEGER NOT NULL, letter_bytes INTEGER NOT NULL);"
    "INSERT INTO meta VALUES(0, 0, 0);"
    "CREATE TABLE queue(id INTEGER PRIMARY KEY, rule TEXT NOT NULL, action INTEGER NOT NULL,"
    " type TEXT NOT NULL, stream BLOB NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " UNIQUE(rule, action, type, stream));"
    "CREATE TABLE spool(number INTEGER PRIMARY KEY, queue INTEGER NOT NULL, at INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, record BLOB NOT NULL, origin BLOB);"
    "CREATE INDEX spool_queue ON spool(queue, number);"
    "CREATE TABLE dead(id INTEGER PRIMARY KEY AUTOINCREMENT, retry INTEGER NOT NULL DEFAULT 0,"
    " at INTEGER NOT NULL, rule TEXT NOT NULL, action INTEGER NOT NULL, type TEXT NOT NULL,"
    " stream BLOB NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, bytes INTEGER NOT NULL, record BLOB,"
    " origin BLOB);"
    "CREATE INDEX dead_retry ON dead(id) WHERE retry;"
    "CREATE TABLE filter(id INTEGER PRIMARY KEY, filter TEXT NOT NULL UNIQUE, forgotten INTEGER NOT NULL);";

/* ---- statements ---- */

sqlite3_stmt *base_sql(struct base *base, enum sql sql)
{
    sqlite3_stmt *statement = base->statements[sql];

    if (!base->db)
        return NULL;
    if (!statement && sqlite3_prepare_v3(base->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
                                         &base->statements[sql], NULL) == SQLITE_OK)
        statement = base->statements[sql];
    return statement;
}

void base_end(sqlite3_stmt *statement)
{
    if (!statement)
        return; /* the one that follows cannot be asked about NULL */
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement); /* what is bound is borrowed */
}

/* Why a statement could not be had, or the code. */
static int code_of(struct base *base, sqlite3_stmt *statement, int code)
{
    if (statement || !base->db)
        return code;
    code = sqlite3_extended_errcode(base->db);
    return code == SQLITE_OK ? SQLITE_MISUSE : code;
}

int base_do(struct base *base, enum sql sql)
{
    sqlite3_stmt *statement = base_sql(base, sql);
    const int code = code_of(base, statement, statement ? sqlite3_step(statement) : SQLITE_MISUSE);

    base_end(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

int base_number(struct base *base, enum sql sql, int64_t *value)
{
    sqlite3_stmt *statement = base_sql(base, sql);
    const int code = code_of(base, statement, statement ? sqlite3_step(statement) : SQLITE_MISUSE);

    if (code == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    base_end(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

int base_bind(sqlite3_stmt *statement, int at, struct span bytes)
{
    return sqlite3_bind_blob64(statement, at, bytes.data, bytes.size, SQLITE_STATIC);
}

int base_bind_text(sqlite3_stmt *statement, int at, struct span text)
{
    return sqlite3_bind_text64(statement, at, text.data ? text.data : "", text.size, SQLITE_STATIC,
                               SQLITE_UTF8);
}

struct span base_column(sqlite3_stmt *statement, int at)
{
    if (sqlite3_column_type(statement, at) == SQLITE_NULL)
        return (struct span){0};
    const void *data = sqlite3_column_blob(statement, at); /* NULL when it is empty */
    const int size = sqlite3_column_bytes(statement, at);

    return (struct span){data ? data : "", (size_t)size};
}

/* ---- errors ---- */

bool base_is_full(const struct base *base, int code)
{
    if ((code & 0xff) == SQLITE_FULL)
        return true;
    if ((code & 0xff) != SQLITE_IOERR || !base->db)
        return false;
    const int error = sqlite3_system_errno(base->db);
    return error == ENOSPC || error == EDQUOT;
}

bool base_is_broken(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_NOMEM:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG: return false;
    default: return true;
    }
}

int base_err(const struct base *base, int code, struct err *err)
{
    const int error = base->db ? sqlite3_system_errno(base->db) : 0;
    const char *system = (code & 0xff) == SQLITE_IOERR && error ? strerror(error) : NULL;

    if ((code & 0xff) == SQLITE_NOMEM)
        return err_memory(err);
    if ((code & 0xff) == SQLITE_BUSY)
        return err_set(err, ERR_IO, "%s: another process keeps it locked", base->path);
    if ((code & 0xff) == SQLITE_ERROR) /* no trouble of the disk: a table or column is not there */
        return err_set(err, ERR_VALUE,
                       "%s: not laid out as a store of topicrule (%s); move it away, and a new one is made",
                       base->path, base->db ? sqlite3_errmsg(base->db) : sqlite3_errstr(code));
    return err_set(err, ERR_IO, "%s: %s%s%s", base->path, sqlite3_errstr(code), system ? ": " : "",
                   system ? system : "");
}

enum err_code base_code_of(int error)
{
    switch (error) {
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOTDIR:
    case ENXIO: return ERR_VALUE;
    default: return ERR_IO;
    }
}

/* ---- open ---- */

static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    struct base *base = context;

    (void)db;
    (void)name;
    base->log_pages = pages;
    return SQLITE_OK;
}

int base_query(sqlite3 *db, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            *number = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

static int make_schema(sqlite3 *db)
{
    char sql[128];

    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                   STORE_APPLICATION_ID, STORE_VERSION);
    int code = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code;
}

/* Ours and of this version; or new, and then it is made. */
static int check_schema(struct base *base, struct err *err)
{
    int64_t id = 0, version = 0, tables = 0;
    int code = sqlite3_exec(base->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (code == SQLITE_OK)
        code = base_query(base->db, "PRAGMA application_id", &id);
    if (code == SQLITE_OK)
        code = base_query(base->db, "PRAGMA user_version", &version);
    if (code == SQLITE_OK)
        code = base_query(base->db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code != SQLITE_OK)
        return base_err(base, code, err), code;
    if (tables == 0 && id == 0 && version == 0) {
        code = make_schema(base->db);
        return code == SQLITE_OK ? code : (base_err(base, code, err), code);
    }
    if (id != STORE_APPLICATION_ID)
        return err_set(err, ERR_VALUE, "%s: a database of another program; delivery.store.path names it",
                       base->path),
               SQLITE_MISMATCH;
    if (version != STORE_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: written by a later version of topicrule (its format is %lld, this program's %d)",
                       base->path, (long long)version, STORE_VERSION),
               SQLITE_MISMATCH;
    code = sqlite3_exec(base->db, "COMMIT", NULL, NULL, NULL);
    return code == SQLITE_OK ? code : (base_err(base, code, err), code);
}

static void let_go(struct base *base)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(base->statements[i]);
        base->statements[i] = NULL;
    }
    (void)sqlite3_close(base->db);
    base->db = NULL;
    base->log_pages = 0;
}

static int set_up(sqlite3 *db)
{
    int64_t pages = 0;
    int code = base_query(db, "PRAGMA page_count", &pages);

    if (code == SQLITE_OK && pages == 0)
        code = sqlite3_exec(db, creation, NULL, NULL, NULL);
    return code == SQLITE_OK ? sqlite3_exec(db, setup, NULL, NULL, NULL) : code;
}

static int try_open(struct base *base, struct err *err)
{
    int code = sqlite3_open_v2(base->path, &base->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_extended_result_codes(base->db, 1);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(base->db, BUSY_MS);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(base->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        code = set_up(base->db);
    if (code != SQLITE_OK)
        base_err(base, code, err);
    else
        code = check_schema(base, err);
    if (code == SQLITE_OK && base->suspect) {
        code = sqlite3_wal_checkpoint_v2(base->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (code != SQLITE_OK)
            base_err(base, code, err);
    }
    if (code == SQLITE_OK && (code = base_number(base, SQL_DATA_VERSION, &base->data_version)) != SQLITE_OK)
        base_err(base, code, err);
    if (code != SQLITE_OK) {
        base->opened_full = base_is_full(base, code);
        let_go(base);
        return code;
    }
    base->suspect = base->opened_full = false;
    base->back_off_ms = BACK_OFF_MS;
    (void)sqlite3_wal_hook(base->db, on_commit, base);
    return SQLITE_OK;
}

/* SQLITE_OK, or a code with `err`. SQLite needs some room even to read: for its shared memory, and for a log
 * that has to go first. */
static int open_database(struct base *base, struct err *err)
{
    const int code = try_open(base, err);

    if (code == SQLITE_OK || !base->opened_full || !base->has_reserve)
        return code;
    base_give_reserve(base);
    return try_open(base, err);
}

static int salvage(struct base *base, struct err *err)
{
    bool full;

    if (base_salvage(base->path, &full, err) == 0)
        return 0;
    if (!full || !base->has_reserve)
        return -1;
    base_give_reserve(base);
    return base_salvage(base->path, &full, err);
}

/* An empty file of the right mode, if there is none: SQLite gives its other files the same. */
static int make_file(const char *path, struct err *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat info;

    if (fd >= 0) {
        const bool fine = fchmod(fd, 0600) == 0 && fsync(fd) == 0;

        (void)close(fd);
        return fine ? 0 : err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (errno != EEXIST)
        return err_set(err, base_code_of(errno), "cannot make the store %s: %s", path, strerror(errno));
    /* Opening and closing it here would end the locks that SQLite may hold in this process. */
    if (stat(path, &info) != 0)
        return err_set(err, base_code_of(errno), "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return err_set(err, ERR_VALUE, "%s: the store has to be a file; delivery.store.path names it", path);
    if ((info.st_mode & 077) && chmod(path, 0600) != 0)
        return err_set(err, errno == EPERM ? ERR_VALUE : ERR_IO,
                       "%s: others can read the store, and its mode cannot be changed: %s", path,
                       strerror(errno));
    return 0;
}

int base_sync_folder(const char *path, struct err *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t size = slash ? (size_t)(slash - path) : 0;

    if (size >= sizeof folder)
        return err_set(err, ERR_VALUE, "%s: the path is too long", path);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)size, path);
    const int fd = open(!slash ? "." : size ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool fine = fd >= 0 && fsync(fd) == 0;
    const int error = errno;

    if (fd >= 0)
        (void)close(fd);
    return fine ? 0 : err_set(err, ERR_IO, "the folder of %s: %s", path, strerror(error));
}

static bool is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

/* Is a small one whole? A large one would take minutes: it shows where it is used. */
static int look_through(struct base *base)
{
    sqlite3_stmt *statement = NULL;
    int code;

    if (base_size(base) > CHECK_MOST)
        return SQLITE_OK;
    code = sqlite3_prepare_v2(base->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            code = span_is(base_column(statement, 0), "ok") ? SQLITE_OK : SQLITE_CORRUPT;
    }
    (void)sqlite3_finalize(statement);
    return code;
}

int base_make(struct base *base, struct err *err)
{
    base->back_off_ms = BACK_OFF_MS;
    if (make_file(base->path, err) != 0 || base_sync_folder(base->path, err) != 0)
        return -1;
    return open_database(base, err) == SQLITE_OK ? 0 : -1;
}

int base_init(struct base *base, const char *path, struct err *err)
{
    *base = (struct base){.path = path, .lock = -1, .reserve = -1, .back_off_ms = BACK_OFF_MS};
    if (base_lock(base, err) != 0)
        return -1;
    const bool was_here = base_find_reserve(base);
    if (base_exchange(path, err) != 0 || make_file(path, err) != 0 || base_sync_folder(path, err) != 0)
        return -1;
    int code = open_database(base, err);
    if (code == SQLITE_OK && (code = look_through(base)) != SQLITE_OK) {
        (void)base_err(base, code, err);
        let_go(base);
    }
    if ((code & 0xff) == SQLITE_NOTADB && !was_here)
        return err_set(err, ERR_VALUE, "%s: this is no database; delivery.store.path names it", path);
    if (is_damage(code) && salvage(base, err) == 0)
        code = open_database(base, err);
    if (code != SQLITE_OK)
        return -1;
    (void)base_has_room(base); /* only now is it ours for sure, and the reserve the sign of it */
    return 0;
}

void base_done(struct base *base)
{
    let_go(base);
    base_reserve_done(base);
}

void base_close(struct base *base, int code, const struct err *why)
{
    let_go(base);
    base->suspect = true;
    base->damaged |= is_damage(code);
    base->err = *why;
    base->reopen_ms = clock_mono_ms() + base->back_off_ms;
    base->back_off_ms = base->back_off_ms < BACK_OFF_MOST / 2 ? base->back_off_ms * 2 : BACK_OFF_MOST;
}

int base_reopen(struct base *base, struct err *err)
{
    const int64_t back_off = base->back_off_ms;
    int code = SQLITE_IOERR;

    if (base->db)
        return 0;
    if (clock_mono_ms() < base->reopen_ms) {
        *err = base->err;
        return -1;
    }
    if (!base->damaged || salvage(base, err) == 0) {
        base->damaged = false;
        code = open_database(base, err);
    }
    if (code == SQLITE_OK) {
        base->back_off_ms = back_off; /* it has proved nothing yet */
        return 0;
    }
    base_close(base, code, err);
    return -1;
}

/* ---- the log and the size ---- */

int base_checkpoint(struct base *base, bool all)
{
    int pages = 0, done = 0;

    if (!base->db || base->log_pages == 0 || (!all && base->log_pages < LOG_PAGES))
        return SQLITE_OK;
    const int code = sqlite3_wal_checkpoint_v2(base->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    base->busy_log = code == SQLITE_BUSY || (code == SQLITE_OK && done < pages);
    if (code == SQLITE_OK && !base->busy_log)
        base->log_pages = 0;
    return code == SQLITE_BUSY ? SQLITE_OK : code;
}

int base_shrink(struct base *base, bool *more)
{
    int64_t free_pages = 0, pages = 0;
    const bool urgent = !base_has_room(base); /* on a full disk any page counts */
    int code = base_number(base, SQL_FREE_PAGES, &free_pages);

    *more = false;
    if (code == SQLITE_OK)
        code = base_number(base, SQL_PAGES, &pages);
    if (code != SQLITE_OK || free_pages == 0 ||
        (!urgent && (free_pages < FREE_PAGES || free_pages < pages / 4)))
        return code;
    sqlite3_stmt *statement = base_sql(base, SQL_SHRINK);
    code = statement ? SQLITE_ROW : code_of(base, statement, SQLITE_OK);
    while (code == SQLITE_ROW)
        code = sqlite3_step(statement);
    base_end(statement);
    *more = code == SQLITE_DONE;
    return *more ? SQLITE_OK : code;
}

int64_t base_log_size(const struct base *base)
{
    return (int64_t)base->log_pages * PAGE_SIZE;
}

int64_t base_size(const struct base *base)
{
    char log[PATH_MAX];
    struct stat file = {0}, other = {0};

    (void)snprintf(log, sizeof log, "%s-wal", base->path);
    (void)stat(base->path, &file);
    (void)stat(log, &other);
    return file.st_size + other.st_size;
}
