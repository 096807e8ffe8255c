/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our own messages. Silent unless the user set OTEL_LOG_LEVEL (then: stderr) or
 * OTEL_INSTRUMENT_LOG_FILE (then: that file, opened per message with O_APPEND | O_NOFOLLOW | O_CLOEXEC,
 * created 0600). A message is one line, formatted into a buffer on the stack and written by one
 * system call. Never stdout, never stdio, never malloc.
 */
#include <stdint.h>

enum log_level {
        LOG_NONE,
        LOG_ERROR,
        LOG_WARN,
        LOG_INFO,
        LOG_DEBUG,
};

/* Where and how much; set once at start (and by the relay for each client). fd -1 = nowhere. */
struct log_target {
        enum log_level level;
        int fd;
        const char *path; /* NULL: use fd */
};

void log_set_target(struct log_target target);
extern enum log_level log_level_now; /* cheap look before arguments are evaluated */

/**
 * log_line() - write one message: "otel-instrument[pid]: level: text\n"
 * @format: %s %d %u %lu %ld %x %p %% and %.*s only; a longer line is cut at 512 bytes
 *
 * Never pass secrets: header values, credentials, query strings.
 *
 * Context: signal. errno kept.
 */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_at(lvl, ...)                                         \
        do {                                                     \
                if (__builtin_expect((lvl) <= log_level_now, 0)) \
                        log_line((lvl), __VA_ARGS__);            \
        } while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
