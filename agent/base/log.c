/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "agent/base/load.h"
#include "agent/base/sys.h"

#define LINE_MAX_LEN       512
#define SIGNAL_BIT(number) (1ull << ((number)-1)) /* in the kernel's signal set */

struct line {
        size_t len;
        char text[LINE_MAX_LEN];
};

START_DATA enum log_level log_level_now = LOG_NONE;

static START_DATA struct log_target log_target = {.fd = -1};
static START_DATA dev_t target_device; /* what log_target.fd was when it was set */
static START_DATA ino_t target_inode;

static const char *const level_names[] = {
        [LOG_NONE] = "none", [LOG_ERROR] = "error", [LOG_WARN] = "warn",
        [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

START_TEXT void log_set_target(struct log_target target)
{
        struct stat st;

        target_device = 0;
        target_inode = 0;
        if (target.fd >= 0 && sys_call(SYS_fstat, target.fd, (long)&st, 0, 0, 0, 0) == 0) {
                target_device = st.st_dev;
                target_inode = st.st_ino;
        }
        log_target = target;
        log_level_now = target.level;
}

/* A message stays one line whatever its texts hold. The last byte is kept for the newline. */
static void put_char(struct line *line, char c)
{
        bool control = (unsigned char)c < ' ' || c == 0x7f;

        if (line->len < LINE_MAX_LEN - 1)
                line->text[line->len++] = control ? '?' : c;
}

static void put_text(struct line *line, const char *s, size_t len_max)
{
        if (!s)
                s = "(null)";
        for (size_t i = 0; i < len_max && s[i]; i++)
                put_char(line, s[i]);
}

static void put_number(struct line *line, unsigned long v, unsigned base)
{
        char digits[24];
        size_t n = 0;

        do {
                digits[n++] = "0123456789abcdef"[v % base];
                v /= base;
        } while (v);
        while (n)
                put_char(line, digits[--n]);
}

static void put_signed(struct line *line, long v)
{
        if (v < 0)
                put_char(line, '-');
        put_number(line, v < 0 ? 0ul - (unsigned long)v : (unsigned long)v, 10);
}

/* What follows "%l": returns the last character that was used. */
static const char *put_long(struct line *line, const char *f, va_list *args)
{
        if (*f == 'd')
                put_signed(line, va_arg(*args, long));
        else if (*f == 'u' || *f == 'x')
                put_number(line, va_arg(*args, unsigned long), *f == 'u' ? 10 : 16);
        return f;
}

/* What follows "%": returns the last character that was used. */
static const char *put_conversion(struct line *line, const char *f, va_list *args)
{
        switch (*f) {
        case 's':
                put_text(line, va_arg(*args, const char *), LINE_MAX_LEN);
                break;
        case 'd':
                put_signed(line, va_arg(*args, int));
                break;
        case 'u':
        case 'x':
                put_number(line, va_arg(*args, unsigned), *f == 'u' ? 10 : 16);
                break;
        case 'p':
                put_text(line, "0x", 2);
                put_number(line, (unsigned long)va_arg(*args, void *), 16);
                break;
        case 'l':
                return f[1] ? put_long(line, f + 1, args) : f;
        case '.':
                if (f[1] == '*' && f[2] == 's') {
                        int len = va_arg(*args, int);

                        put_text(line, va_arg(*args, const char *), len > 0 ? (size_t)len : 0);
                        return f + 2;
                }
                break;
        default:
                put_char(line, *f);
        }
        return f;
}

static void put_format(struct line *line, const char *format, va_list *args)
{
        for (const char *f = format; *f; f++) {
                if (*f != '%')
                        put_char(line, *f);
                else if (f[1])
                        f = put_conversion(line, f + 1, args);
        }
}

/*
 * A descriptor number is the host's: it may close it and get the same number for its own file. And a
 * full pipe would make the host wait for whoever reads its messages.
 */
static bool fd_takes_line(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        struct timespec at_once = {0};
        struct stat st;

        if (sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0 || st.st_dev != target_device ||
            st.st_ino != target_inode)
                return false;
        if (sys_call(SYS_ppoll, (long)&p, 1, (long)&at_once, 0, 0, 0) != 1)
                return false;
        return p.revents == POLLOUT;
}

static void write_line(int fd, const struct line *line)
{
        const uint64_t deadly = SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGXFSZ);
        struct timespec at_once = {0};
        uint64_t before = 0, pending = 0, ours;
        ssize_t n;

        if (sys_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&deadly, (long)&before, sizeof(before), 0, 0) < 0)
                return;
        sys_call(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0, 0, 0);
        n = sys_write(fd, line->text, line->len);
        /* The signal of our own failed write is taken back; one that waited before is the host's. */
        ours = (n == -EPIPE ? SIGNAL_BIT(SIGPIPE) : n == -EFBIG ? SIGNAL_BIT(SIGXFSZ) : 0) & ~pending;
        if (ours)
                sys_call(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&at_once, sizeof(ours), 0, 0);
        sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0, 0);
}

static void write_to_target(const struct line *line)
{
        int fd;

        if (!log_target.path) {
                if (log_target.fd >= 0 && fd_takes_line(log_target.fd))
                        write_line(log_target.fd, line);
                return;
        }
        /* O_NONBLOCK: a FIFO without a reader must not hold the host. */
        fd = sys_open(log_target.path,
                      O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
        if (fd < 0)
                return;
        write_line(fd, line);
        sys_close(fd);
}

void log_line(enum log_level level, const char *format, ...)
{
        struct line line;
        va_list args;

        if (level > log_level_now || level <= LOG_NONE)
                return;
        line.len = 0;
        put_text(&line, "otel-instrument[", LINE_MAX_LEN);
        put_number(&line, (unsigned long)sys_getpid(), 10);
        put_text(&line, "]: ", LINE_MAX_LEN);
        put_text(&line, level_names[level], LINE_MAX_LEN);
        put_text(&line, ": ", LINE_MAX_LEN);
        va_start(args, format);
        put_format(&line, format, &args);
        va_end(args);
        line.text[line.len++] = '\n';
        write_to_target(&line);
}
