/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home_thread.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/ring/home_fds.h"
#include "agent/ring/home_futex.h"
#include "agent/ring/home_place.h"
#include "export/inproc/inproc.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif

#define LIBRARY "libotel-export.so"
#define STACK_SIZE \
        (512 * 1024) /* look-ups of names and TLS handshakes of third parties; touched pages count */
#define FORK_WAIT_NS  1000000000ull
#define APART_WAIT_NS 250000000ull
#define NS_PER_MS     1000000ull
#define SIGNAL_BIT(n) (1ull << ((n)-1))

/* Used by the C library among its threads (setuid, cancellation): never blocked. */
#define LIBC_SIGNALS (SIGNAL_BIT(32) | SIGNAL_BIT(33))

/*
 * In the C libraries that we must run with these live in libpthread and libdl, which a program need not
 * have loaded: weak, and in the versions that all of them know.
 */
#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
#else
#define OLDEST "GLIBC_2.17"
#endif
#define OLD_SYMBOL(own, name) __asm__(".symver " #own ", " #name "@" OLDEST)

extern __typeof__(pthread_create) old_pthread_create __attribute__((weak));
extern __typeof__(pthread_join) old_pthread_join __attribute__((weak));
extern __typeof__(pthread_attr_setstacksize) old_pthread_attr_setstacksize __attribute__((weak));
extern __typeof__(dlopen) old_dlopen __attribute__((weak));
extern __typeof__(dlsym) old_dlsym __attribute__((weak));
OLD_SYMBOL(old_pthread_create, pthread_create);
OLD_SYMBOL(old_pthread_join, pthread_join);
OLD_SYMBOL(old_pthread_attr_setstacksize, pthread_attr_setstacksize);
OLD_SYMBOL(old_dlopen, dlopen);
OLD_SYMBOL(old_dlsym, dlsym);

struct home_thread {
        struct inproc shared;
        pthread_t id;
        int wake_handle; /* the eventfd in the host's table; the thread has a table of its own */
        _Atomic uint32_t exists;
        _Atomic uint32_t
                apart; /* the thread has its own descriptors: what the host does to wake_fd is no matter */
        bool failed;   /* written by the thread; read once it is joined */
        bool tainted;  /* third-party code was interrupted by a fork: it cannot be used in this process */
};

static struct home_thread home_thread = {.wake_handle = -1};
static __thread uint32_t fork_lock_held __attribute__((tls_model("initial-exec")));

/* Return: false when it is not to be had by then. */
static bool third_party_take(uint64_t timeout_ns)
{
        _Atomic uint32_t *word = &home_thread.shared.third_party;
        uint64_t end = clock_mono_ns() + timeout_ns, now;
        uint32_t none = 0;

        if (atomic_compare_exchange_strong(word, &none, 1))
                return true;
        while (atomic_exchange(word, 2) != 0) {
                now = clock_mono_ns();
                if (now >= end)
                        return false;
                home_futex_wait(word, 2, end - now);
        }
        return true;
}

static void third_party_drop(void)
{
        if (atomic_exchange(&home_thread.shared.third_party, 0) == 2)
                home_futex_wake(&home_thread.shared.third_party, 1);
}

static inproc_run_fn *library_load(void)
{
        char path[PATH_MAX + sizeof(LIBRARY)];
        void *library, *symbol = NULL;

        memcpy(path, home_place.relay, home_place.dir_len);
        memcpy(path + home_place.dir_len, LIBRARY, sizeof(LIBRARY));
        /* Constructors of others run in here: no fork meanwhile. */
        if (!third_party_take(UINT64_MAX / 2))
                return NULL;
        library = old_dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library)
                symbol = old_dlsym(library, INPROC_SYMBOL);
        third_party_drop();
        if (!symbol)
                log_warn("nothing is exported: %s could not be loaded", path);
        return (inproc_run_fn *)symbol;
}

/* Before anything is opened: no number of the host's ever means a file of ours, not even while libraries
 * load. */
static void table_leave(unsigned wake_fd)
{
        if (wake_fd > STDERR_FILENO &&
            sys_call(SYS_close_range, wake_fd + 1, UINT_MAX, CLOSE_RANGE_UNSHARE, 0, 0, 0) == 0 &&
            wake_fd > STDERR_FILENO + 1)
                (void)sys_call(SYS_close_range, STDERR_FILENO + 1, wake_fd - 1, 0, 0, 0,
                               0); /* copies: cannot fail */
        atomic_store(&home_thread.apart, 1);
        home_futex_wake(&home_thread.apart, INT_MAX);
}

static void *thread_main(void *arg)
{
        struct inproc *shared = arg;
        inproc_run_fn *run;

        thread_state.ours = 1;
        table_leave((unsigned)shared->wake_fd);
        (void)sys_call(SYS_prctl, PR_SET_NAME, (long)"otel-export", 0, 0, 0, 0); /* cannot fail */
        run = library_load();
        home_thread.failed = !run || run(shared) < 0;
        atomic_store(&shared->gone, 1);
        home_futex_wake(&shared->gone, INT_MAX);
        return NULL;
}

/* With the smaller stack, or where the host's thread-local data leaves no room in it, with the usual one. */
static bool create(pthread_t *ret_id, struct inproc *shared)
{
        pthread_attr_t attr;
        bool done;

        if (pthread_attr_init(&attr))
                return false;
        done = old_pthread_attr_setstacksize && old_pthread_attr_setstacksize(&attr, STACK_SIZE) == 0 &&
               old_pthread_create(ret_id, &attr, thread_main, shared) == 0;
        (void)pthread_attr_destroy(&attr); /* holds nothing */
        return done || old_pthread_create(ret_id, NULL, thread_main, shared) == 0;
}

/* Once for the process and its children, who inherit it. Without: the thread is stopped later, by the
 * destructor. */
static void register_exit(void (*at_exit)(int status, void *unused))
{
        static _Atomic uint32_t registered;

        if (!atomic_exchange(&registered, 1))
                (void)on_exit(at_exit, NULL);
}

static bool start(struct ring *ring, void (*at_exit)(int status, void *unused))
{
        struct home_thread *t = &home_thread;
        uint64_t blocked = ~LIBC_SIGNALS, before;
        int keep = errno;
        bool done;

        if (!old_pthread_create || !old_pthread_join || !old_dlopen || !old_dlsym || home_place.dir_len == 0)
                return false;
        t->wake_handle = home_fd_keep((int)sys_call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0, 0, 0));
        if (t->wake_handle < 0)
                return false;
        t->shared = (struct inproc){
                .ring = ring,
                .config = &config_now,
                .wake_fd = home_fd_get(t->wake_handle),
                .at_exit = at_exit,
        };
        register_exit(at_exit);
        t->failed = false;
        atomic_store(&t->apart, 0);
        if (sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&blocked, (long)&before, sizeof(before), 0, 0) <
            0)
                return false;
        atomic_store(&t->exists, 1); /* before it does, for a fork in another thread */
        done = create(&t->id, &t->shared);
        if (!done)
                atomic_store(&t->exists, 0);
        (void)sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0,
                       0); /* as it was */
        /* Its first time slice: until then the host could still put something else under wake_fd. */
        if (done && !atomic_load(&t->apart))
                home_futex_wait(&t->apart, 0, APART_WAIT_NS);
        errno = keep;
        return done;
}

static void ring_bell(void)
{
        const uint64_t one = 1;
        int fd = home_fd_get(home_thread.wake_handle);

        if (fd >= 0)
                (void)sys_write(fd, &one, sizeof(one)); /* full: it has been rung */
}

/* It has said that it touches nothing any more, or that it will not for long. */
static void bury(void)
{
        (void)old_pthread_join(home_thread.id, NULL); /* ours, and joined once: cannot fail */
        home_fd_close(home_thread.wake_handle);
        home_thread.wake_handle = -1;
        atomic_store(&home_thread.exists, 0);
}

bool home_thread_alive(void)
{
        return atomic_load(&home_thread.exists) && !atomic_load(&home_thread.shared.gone);
}

bool home_thread_wake(struct ring *ring, void (*at_exit)(int status, void *unused))
{
        if (home_thread.tainted)
                return false;
        if (home_thread_alive()) {
                ring_bell();
                return true;
        }
        if (atomic_load(&home_thread.exists)) {
                bury();
                if (home_thread.failed)
                        return false;
        }
        return start(ring, at_exit);
}

bool home_thread_exists(void)
{
        return atomic_load(&home_thread.exists);
}

void home_thread_stop(int64_t timeout_ms)
{
        struct inproc *shared = &home_thread.shared;
        uint64_t now = clock_mono_ns(), end = now + (uint64_t)timeout_ms * NS_PER_MS;

        if (!atomic_load(&home_thread.exists))
                return;
        atomic_store(&shared->stop, INPROC_STOP_NOW);
        ring_bell();
        for (; !atomic_load(&shared->gone) && now < end; now = clock_mono_ns())
                home_futex_wait(&shared->gone, 0, end - now);
        if (atomic_load(&shared->gone))
                bury();
}

void home_thread_before_fork(void)
{
        if (atomic_load(&home_thread.exists) && !fork_lock_held)
                fork_lock_held = third_party_take(FORK_WAIT_NS);
}

void home_thread_after_fork_parent(void)
{
        if (!fork_lock_held)
                return;
        fork_lock_held = 0;
        third_party_drop();
}

void home_thread_after_fork(void)
{
        /* Children that were made behind our back (raw clone) took no lock: there it counts whether it was
         * taken. */
        bool tainted = home_thread.tainted || (atomic_load(&home_thread.exists) && !fork_lock_held &&
                                               atomic_load(&home_thread.shared.third_party));

        fork_lock_held = 0;
        memset(&home_thread, 0, sizeof(home_thread));
        home_thread.wake_handle = -1;
        home_thread.tainted = tainted;
}
