/* SPDX-License-Identifier: Apache-2.0 */
#include "export/inproc/inproc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/sys.h"
#include "export/export.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

#define NS_PER_MS     1000000ull
#define ALONE_LOOK_MS 1000 /* nothing tells a thread that it is the last one: it has to look */

/* Where libcurl uses OpenSSL: what that keeps for this thread goes under the lock, not at thread exit. */
extern void OPENSSL_thread_stop(void) __attribute__((weak));
extern int OPENSSL_init_crypto(uint64_t options, const void *settings) __attribute__((weak));
#define OPENSSL_NO_ATEXIT 0x00080000ull /* as in its header, which is not needed for building */

struct home {
        struct inproc *shared;
        struct worker *worker;
        struct source *source;
        void *wake_watch;
        uint64_t look_ns; /* next look whether other threads are left */
        uint64_t end_ns;  /* 0 = not told to end */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
        sys_call(SYS_futex, (long)word, FUTEX_WAIT, value, 0, 0, 0);
}

static void futex_set(_Atomic uint32_t *word)
{
        atomic_store(word, 1);
        sys_call(SYS_futex, (long)word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

static void lock_take(_Atomic uint32_t *word)
{
        uint32_t expected = 0;

        if (atomic_compare_exchange_strong(word, &expected, 1))
                return;
        while (atomic_exchange(word, 2) != 0)
                futex_wait(word, 2);
}

static void lock_drop(_Atomic uint32_t *word)
{
        if (atomic_exchange(word, 0) == 2)
                sys_call(SYS_futex, (long)word, FUTEX_WAKE, 1, 0, 0, 0);
}

/* Libraries expect 0 to 2 to be taken; ours lead nowhere. */
static void stdio_plug(int first, int last)
{
        int plug = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        for (int fd = first; fd <= last && plug >= 0; fd++)
                if (plug != fd)
                        (void)dup3(plug, fd, O_CLOEXEC); /* at worst the host's own stays open */
        if (plug > last)
                (void)close(plug);
}

static bool stderr_needed(const struct config *config)
{
        return (config->traces_exporter & EXPORTER_CONSOLE) ||
               (config->log_level != LOG_NONE && !*config->log_file);
}

/* From the host's descriptor table to our own, which begins with the one we share and perhaps stderr. */
static void table_leave(const struct inproc *shared)
{
        unsigned wake_fd = (unsigned)shared->wake_fd;

        if (shared->wake_fd <= STDERR_FILENO)
                return;
        if (sys_call(SYS_close_range, wake_fd + 1, UINT_MAX, CLOSE_RANGE_UNSHARE, 0, 0, 0) < 0)
                return;
        if (wake_fd > STDERR_FILENO + 1)
                sys_call(SYS_close_range, STDERR_FILENO + 1, wake_fd - 1, 0, 0, 0, 0);
        stdio_plug(STDIN_FILENO, stderr_needed(shared->config) ? STDOUT_FILENO : STDERR_FILENO);
}

/* The descriptor for console output; the worker owns it. */
static int tty_open(const struct config *config)
{
        if (!(config->traces_exporter & EXPORTER_CONSOLE))
                return -1;
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void log_setup(const struct config *config)
{
        log_set_target((struct log_target){
                .level = (enum log_level)config->log_level,
                .fd = STDERR_FILENO,
                .path = *config->log_file ? config->log_file : NULL,
        });
}

static void wake_ready(void *ctx, uint32_t events)
{
        struct home *home = ctx;
        uint64_t count;

        (void)events;
        (void)!read(home->shared->wake_fd, &count, sizeof(count)); /* non-blocking: empty is as good */
        worker_woken(home->worker, home->source);
}

static bool main_thread_over(void)
{
        char path[64], text[512];
        const char *state;
        ssize_t n;
        int fd;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        n = read(fd, text, sizeof(text) - 1);
        (void)close(fd); /* only read from */
        if (n <= 0)
                return false;
        text[n] = '\0';
        state = strrchr(text, ')'); /* the name before it may hold anything */
        return state && state[1] == ' ' && (state[2] == 'Z' || state[2] == 'X');
}

/* Is this the last thread that lives? A process without its main thread still counts that one. */
static bool alone(void)
{
        struct stat st;

        if (stat("/proc/self/task", &st) < 0 || st.st_nlink < 3)
                return false;
        return st.st_nlink == 3 || (st.st_nlink == 4 && main_thread_over());
}

static void end_begin(struct home *home, uint64_t now_ns)
{
        home->end_ns = now_ns + (uint64_t)home->shared->config->exit_timeout * NS_PER_MS;
        worker_flush(home->worker);
}

/* Return: true when the thread shall leave. */
static bool home_done(struct home *home, uint64_t now_ns)
{
        uint32_t stop = atomic_load(&home->shared->stop);
        bool last = false;

        if (stop == INPROC_STOP_NOW || worker_broken(home->worker))
                return true;
        if (now_ns >= home->look_ns) {
                home->look_ns = now_ns + ALONE_LOOK_MS * NS_PER_MS;
                last = alone();
        }
        if (home->end_ns)
                return worker_idle(home->worker) || now_ns >= home->end_ns;
        if (stop == INPROC_STOP_FLUSH || last)
                end_begin(home, now_ns);
        return false;
}

static int home_timeout(const struct home *home, uint64_t now_ns)
{
        uint64_t due = home->end_ns ? home->end_ns : home->look_ns;

        return due > now_ns ? (int)((due - now_ns) / NS_PER_MS) + 1 : 0;
}

static int home_start(struct home *home)
{
        const struct inproc *shared = home->shared;

        /* Its exit handler would pull the ground away from a thread that is inside of it, and only frees
         * memory. */
        if (OPENSSL_init_crypto)
                (void)OPENSSL_init_crypto(OPENSSL_NO_ATEXIT, NULL); /* an old one: it keeps its handler */
        home->worker = worker_new(shared->config, true);
        if (!home->worker)
                return -ENOMEM;
        home->source = worker_add(home->worker, -1, shared->ring, tty_open(shared->config));
        if (!home->source)
                return -ENOMEM;
        return worker_watch(home->worker, shared->wake_fd, EPOLLIN, wake_ready, home, &home->wake_watch);
}

static void home_stop(struct home *home)
{
        home->worker = worker_free(home->worker);
        if (OPENSSL_thread_stop)
                OPENSSL_thread_stop();
}

__attribute__((visibility("default"))) int otel_inproc_run(struct inproc *inproc)
{
        struct home home = {.shared = inproc};
        uint64_t now;
        int error;

        table_leave(inproc);
        log_setup(inproc->config);
        lock_take(&inproc->third_party);
        error = home_start(&home);
        if (!error && inproc->at_exit) /* failing that, the preload's own registration may be early enough */
                (void)on_exit(inproc->at_exit, NULL);
        lock_drop(&inproc->third_party);
        futex_set(&inproc->ready);
        now = clock_mono_ns();
        home.look_ns = now + ALONE_LOOK_MS * NS_PER_MS;
        while (!error && !home_done(&home, now)) {
                worker_wait(home.worker, home_timeout(&home, now));
                lock_take(&inproc->third_party);
                worker_step(home.worker);
                lock_drop(&inproc->third_party);
                now = clock_mono_ns();
        }
        lock_take(&inproc->third_party);
        home_stop(&home);
        lock_drop(&inproc->third_party);
        futex_set(&inproc->gone);
        return error;
}
