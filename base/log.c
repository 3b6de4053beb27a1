#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Atomic, because a reload changes them while other threads log. */
static _Atomic enum log_format log_format_ = LOG_TEXT;
static _Atomic enum log_level log_level_ = LOG_INFO;
static atomic_bool under_journal;

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
static const char *const journal_prefix[] = {
    [LOG_ERROR] = "<3>", [LOG_WARN] = "<4>", [LOG_INFO] = "<6>", [LOG_DEBUG] = "<7>"};

void log_setup(enum log_format format, enum log_level level)
{
    const bool journal = getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO);

    atomic_store_explicit(&log_format_, format, memory_order_relaxed);
    atomic_store_explicit(&log_level_, level, memory_order_relaxed);
    atomic_store_explicit(&under_journal, journal, memory_order_relaxed);
}

bool log_on(enum log_level level)
{
    return level <= atomic_load_explicit(&log_level_, memory_order_relaxed);
}

static void put_time(struct buf *buf)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm utc;
    char text[32];

    if (gmtime_r(&seconds, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc))
        buf_format(buf, "%s.%03dZ", text, (int)(now % 1000));
}

void log_line(enum log_level level, const char *topic, const char *format, ...)
{
    struct buf text = BUF_INIT, line = BUF_INIT;
    va_list args;

    if (!log_on(level))
        return;
    va_start(args, format);
    buf_vformat(&text, format, args);
    va_end(args);
    if (atomic_load_explicit(&log_format_, memory_order_relaxed) == LOG_JSON) {
        buf_text(&line, "{\"time\":\"");
        put_time(&line);
        buf_format(&line, "\",\"level\":\"%s\",\"topic\":\"%s\",\"message\":", level_names[level], topic);
        buf_json(&line, buf_view(&text));
        buf_text(&line, "}\n");
    } else {
        struct buf quoted = BUF_INIT;

        if (under_journal) {
            buf_text(&line, journal_prefix[level]);
        } else {
            put_time(&line);
            buf_format(&line, " %-7s ", level_names[level]);
        }
        buf_json(&quoted, buf_view(&text)); /* escapes what could forge a line; \" and \\ read better bare */
        buf_format(&line, "%s: ", topic);
        for (size_t i = 1; i + 1 < quoted.size; i++) {
            if (quoted.data[i] == '\\' && (quoted.data[i + 1] == '"' || quoted.data[i + 1] == '\\'))
                i++;
            buf_char(&line, quoted.data[i]);
        }
        buf_char(&line, '\n');
        buf_done(&quoted);
    }
    for (size_t done = 0; done < line.size && !line.failed;) {
        ssize_t n = write(STDERR_FILENO, line.data + done, line.size - done);

        if (n < 0 && errno != EINTR)
            break; /* nowhere to report it */
        done += n > 0 ? (size_t)n : 0;
    }
    buf_done(&text);
    buf_done(&line);
}

void log_err(enum log_level level, const char *topic, const struct err *err)
{
    struct err flat = *err;
    char text[1024];

    flat.mark[0] = '\0';
    err_print(&flat, text, sizeof text);
    log_line(level, topic, "%s", text);
}
