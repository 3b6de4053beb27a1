/* base/log.h - one line per event on standard error, for people (text) or for machines (JSON).
 *
 * Called by engine and tools alone: library code returns errors. Thread safe; a line is one write(2). Under
 * systemd (JOURNAL_STREAM names standard error) text lines carry the <N> level prefix of sd-daemon(3) and no
 * time. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Any thread; before the first line of the log, or later. */
void log_setup(enum log_format format, enum log_level level);
bool log_on(enum log_level level);

/* `topic` is a short stable word for what the line is about: "mqtt", "kafka", "rule". Newlines and control
 * characters in the message are escaped, so that a device cannot forge a line. */
void log_line(enum log_level level, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* The error as one line (its mark left out), prefixed with `topic`. */
void log_err(enum log_level level, const char *topic, const struct err *err);

#endif
