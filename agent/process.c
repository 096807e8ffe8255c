/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/process.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"

#define PAGE 4096

START_DATA void (*process_after_fork)(void);

static START_DATA _Atomic(_Atomic uint32_t *)
        witness; /* 1 in the process that mapped it, 0 in its children */
static START_DATA int own_pid;

void process_watch_forks(void)
{
        _Atomic uint32_t *page, *none = NULL;

        if (atomic_load_explicit(&witness, memory_order_acquire))
                return;
        page = sys_mmap(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (!page)
                return;
        /* A kernel before 4.14 knows no such thing: then only the fork handlers tell. */
        if (sys_call(SYS_madvise, (long)page, PAGE, MADV_WIPEONFORK, 0, 0, 0) < 0) {
                (void)sys_munmap(page, PAGE);
                return;
        }
        atomic_store(page, 1);
        if (!atomic_compare_exchange_strong(&witness, &none, page))
                (void)sys_munmap(page, PAGE);
}

static inline __attribute__((always_inline)) void notice_fork(void)
{
        _Atomic uint32_t *page = atomic_load_explicit(&witness, memory_order_acquire);

        if (page && UNLIKELY(atomic_load_explicit(page, memory_order_relaxed) == 0))
                process_after_fork();
}

void process_notice_fork(void)
{
        notice_fork();
}

/* At the end of every process: all in one place. */
START_TEXT bool process_own_memory(void)
{
        notice_fork();
        return sys_getpid() == own_pid;
}

bool process_is_known(void)
{
        return sys_getpid() == own_pid;
}

START_TEXT void process_begin(void)
{
        _Atomic uint32_t *page = atomic_load_explicit(&witness, memory_order_acquire);

        own_pid = sys_getpid();
        process_generation++;
        if (page)
                atomic_store(page, 1);
}
