/* store_base.h - the database of the store: its file, its lock, its statements. One thread at a time. */
#ifndef ENGINE_STORE_BASE_H
#define ENGINE_STORE_BASE_H

#include "base/err.h"

#include "base/span.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* What makes a database ours, and how it is laid out. */
enum { STORE_APPLICATION_ID = 0x74726c73, STORE_VERSION = 1 };

/* STATEMENT(name, text): prepared once for each connection. */
#define STATEMENTS                                                                                           \
    STATEMENT(BEGIN, "BEGIN IMMEDIATE")                                                                      \
    STATEMENT(BEGIN_READ, "BEGIN")                                                                           \
    STATEMENT(COMMIT, "COMMIT")                                                                              \
    STATEMENT(ROLLBACK, "ROLLBACK")                                                                          \
    STATEMENT(DATA_VERSION, "PRAGMA data_version")                                                           \
    STATEMENT(FREE_PAGES, "PRAGMA freelist_count")                                                           \
    STATEMENT(PAGES, "PRAGMA page_count")                                                                    \
    STATEMENT(SHRINK, "PRAGMA incremental_vacuum(128)")                                                      \
    STATEMENT(META, "SELECT generation, letters, letter_bytes FROM meta")                                    \
    STATEMENT(GENERATION, "UPDATE meta SET generation = ?1")                                                 \
    STATEMENT(LETTERS, "UPDATE meta SET letters = letters + ?1, letter_bytes = letter_bytes + ?2")           \
    STATEMENT(PUT, "INSERT INTO spool(number, queue, at, bytes, record, origin) "                            \
                   "VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                                         \
    STATEMENT(SIZES, "SELECT queue, bytes FROM spool WHERE number BETWEEN ?1 AND ?2")                        \
    STATEMENT(DROP, "DELETE FROM spool WHERE number BETWEEN ?1 AND ?2")                                      \
    STATEMENT(ROW, "SELECT queue, at, record, origin FROM spool WHERE number = ?1")                          \
    STATEMENT(NEXT, "SELECT number FROM spool WHERE queue = ?1 AND number > ?2 ORDER BY number LIMIT ?3")    \
    STATEMENT(FIRST, "SELECT at FROM spool WHERE queue = ?1 ORDER BY number LIMIT 1")                        \
    STATEMENT(AT, "SELECT at FROM spool WHERE number = ?1")                                                  \
    STATEMENT(QUEUES, "SELECT id, rule, action, type, stream, rows, bytes FROM queue")                       \
    STATEMENT(DROP_QUEUES, "DELETE FROM queue WHERE rows = 0")                                               \
    STATEMENT(NEW_QUEUE, "INSERT INTO queue(rule, action, type, stream, rows, bytes) "                       \
                         "VALUES(?1, ?2, ?3, ?4, 0, 0) "                                                     \
                         "ON CONFLICT DO UPDATE SET rows = rows RETURNING id")                               \
    STATEMENT(COUNT_QUEUE, "UPDATE queue SET rows = rows + ?2, bytes = bytes + ?3 WHERE id = ?1")            \
    STATEMENT(MISS, "INSERT INTO dead(at, rule, action, type, stream, code, reason, bytes, record, origin) " \
                    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                                       \
    STATEMENT(BURY, "INSERT INTO dead(at, rule, action, type, stream, code, reason, bytes, record, origin) " \
                    "SELECT s.at, q.rule, q.action, q.type, q.stream, ?2, ?3, s.bytes + ?4, s.record, "      \
                    "s.origin FROM spool s JOIN queue q ON q.id = s.queue WHERE s.number = ?1")              \
    STATEMENT(OLDEST_LETTER, "SELECT id, bytes FROM dead WHERE NOT retry ORDER BY id LIMIT 1")               \
    STATEMENT(DROP_LETTER, "DELETE FROM dead WHERE id = ?1")                                                 \
    STATEMENT(RETRY, "SELECT id, at, rule, action, type, stream, bytes, record, origin FROM dead "           \
                     "WHERE retry ORDER BY id LIMIT 1")                                                      \
    STATEMENT(FILTER, "SELECT id, forgotten FROM filter WHERE filter = ?1")                                  \
    STATEMENT(NEW_FILTER, "INSERT INTO filter(id, filter, forgotten) VALUES(?1, ?2, 0)")                     \
    STATEMENT(FILTER_OF, "SELECT count(*) FROM filter WHERE id = ?1")                                        \
    STATEMENT(KEEP_FILTER, "UPDATE filter SET forgotten = ?2 WHERE filter = ?1")                             \
    STATEMENT(FILTERS, "SELECT id, filter FROM filter WHERE NOT forgotten ORDER BY id")

enum sql {
#define STATEMENT(name, text) SQL_##name,
    STATEMENTS
#undef STATEMENT
        SQL_COUNT
};

struct base {
    const char *path; /* the store's */
    int lock;         /* descriptor of the lock file, or -1 */
    char notes[1024]; /* what the life before left in it */
    int64_t seen_ms;  /* wall clock: and when; 0: there was none */
    int reserve;      /* of the file that keeps room for deleting, or -1 */
    bool has_reserve; /* it does */
    int room_error;   /* why not: ENOSPC, EIO ... */
    sqlite3 *db;      /* NULL: closed after an error */
    sqlite3_stmt *statements[SQL_COUNT];
    int64_t data_version;
    int log_pages;       /* in the write-ahead log */
    bool busy_log;       /* a checkpoint did not get through */
    bool damaged;        /* closed because of that */
    bool opened_full;    /* could not be opened for want of room */
    bool suspect;        /* opened again after an error: the log has to go before anything is believed */
    int64_t reopen_ms;   /* monotonic: not before */
    int64_t back_off_ms; /* the next wait */
    int64_t reserve_ms;  /* monotonic: when the reserve is tried again */
    struct err err;      /* why it is closed */
};

/* Take the lock, make or open the file, the reserve. 0, or -1 with `err`, whose code is ERR_IO where time may
 * help (see store.h); base_done in both cases. */
int base_init(struct base *base, const char *path, struct err *err);
void base_done(struct base *base);
/* Close the database (after an error: `suspect`); open it again if its time has come. 0, or -1 with `err`. */
void base_close(struct base *base, int code, const struct err *why);
int base_reopen(struct base *base, struct err *err);

/* The statement, reset, for binding. NULL where the database is closed, or the statement cannot be prepared
 * (no memory, a schema that cannot be read): may be bound, stepped and ended as well, and answers
 * SQLITE_MISUSE. */
sqlite3_stmt *base_sql(struct base *base, enum sql sql);
/* Step one that gives no row. */
int base_do(struct base *base, enum sql sql);
/* Step one that gives one row of one number; `*value` is left alone if there is none. */
int base_number(struct base *base, enum sql sql, int64_t *value);
/* Read the rest and let go of it: it must not hold its page. */
void base_end(sqlite3_stmt *statement);
int base_bind(sqlite3_stmt *statement, int at, struct span bytes); /* as a blob; data NULL: NULL */
int base_bind_text(sqlite3_stmt *statement, int at, struct span text);
struct span base_column(sqlite3_stmt *statement, int at); /* of a blob or text; data NULL: NULL */

/* One number of one statement; for connections without prepared ones. */
int base_query(sqlite3 *db, const char *sql, int64_t *number);
/* An empty database at `base->path`, open, without lock and reserve. 0, or -1 with `err`. */
int base_make(struct base *base, struct err *err);
int base_sync_folder(const char *path, struct err *err); /* that of the file */

/* store_salvage.c: what can be read of a damaged database becomes a new one; nobody has it open. 0, or -1
 * with `err`; `full`: for want of room. base_exchange ends what a crash may have left half done. */
int base_salvage(const char *path, bool *full, struct err *err);
int base_exchange(const char *path, struct err *err);

/* What a code means. */
bool base_is_full(const struct base *base, int code);
bool base_is_broken(int code); /* the connection cannot be trusted any more */
int base_err(const struct base *base, int code, struct err *err); /* -1 */
/* ERR_IO where time may help: a disk that is full, fails, or is not mounted yet. ERR_VALUE: `path` is not a
 * place for a store, and will not become one. */
enum err_code base_code_of(int error); /* of errno */

/* Bring the log into the file when it has grown, or when there is nothing else to do; make the file smaller a
 * little; `more`: there may be more to do. SQLite's codes. */
int base_checkpoint(struct base *base, bool all);
int base_shrink(struct base *base, bool *more);
int64_t base_log_size(const struct base *base); /* as of the last commit; 0 once it is emptied */
int64_t base_size(const struct base *base);     /* file and log, in bytes */

/* The files beside it: store_reserve.c. */
int base_lock(struct base *base, struct err *err);
/* In the lock file: our process, and these lines; and, as its time, `wall_ms` for the next life's seen_ms. A
 * disk that does not want keeps what was there. */
void base_note(struct base *base, const char *notes, int64_t wall_ms);
void base_note_time(struct base *base, int64_t wall_ms);
/* The reserve as a life before this one left it. False: there is none, so no store was ever here. */
bool base_find_reserve(struct base *base);
void base_reserve_done(struct base *base);
/* Give up the room kept for deleting, first of all for the log: its room is free afterwards. Outside of
 * transactions. */
void base_give_reserve(struct base *base);
/* Whether there is a reserve; tries to have it back, once a second. */
bool base_has_room(struct base *base);

#endif
