/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels, the second mapped on demand: cheap for a process with ten descriptors and right for one
 * with a million. A slot holds the connection's serial number and index, so it cannot be mistaken
 * for a later connection in the same memory.
 */
#include "agent/base/slab.h"
#include "agent/base/sys.h"
#include "agent/flow/conn_slab.h"

#include <sys/mman.h>

#include "agent/base/load.h"

#define PAGES (LIMIT_FD_MAX / LIMIT_FD_PAGE)

struct fd_page {
        _Atomic uint64_t slots[LIMIT_FD_PAGE];
};

static LARGE_TABLE _Atomic(struct fd_page *) pages[PAGES];
static _Atomic int highest = -1;
static _Atomic uint32_t count;

static inline _Atomic uint64_t *slot_of(int fd)
{
        struct fd_page *page;

        if (UNLIKELY((unsigned)fd >= LIMIT_FD_MAX))
                return NULL;
        page = atomic_load_explicit(&pages[(unsigned)fd / LIMIT_FD_PAGE], memory_order_acquire);
        return LIKELY(page != NULL) ? &page->slots[(unsigned)fd % LIMIT_FD_PAGE] : NULL;
}

static struct conn *slot_conn(uint64_t slot)
{
        return slab_at(&conn_slab, (uint32_t)slot - 1);
}

bool conn_table_has(int fd)
{
        _Atomic uint64_t *slot = slot_of(fd);

        return slot && atomic_load_explicit(slot, memory_order_relaxed) != 0;
}

struct conn *conn_table_get(int fd)
{
        _Atomic uint64_t *slot = slot_of(fd);
        uint64_t value = slot ? atomic_load_explicit(slot, memory_order_acquire) : 0;
        struct conn *conn;

        if (!value)
                return NULL;
        conn = slot_conn(value);
        if (!conn_ref(conn))
                return NULL;
        /* Still the same connection? Another thread may have closed it before our reference counted. */
        if (atomic_load_explicit(slot, memory_order_acquire) == value)
                return conn;
        conn_unref(conn);
        return NULL;
}

static _Atomic uint64_t *slot_make(int fd)
{
        struct fd_page *page, *none = NULL;

        if ((unsigned)fd >= LIMIT_FD_MAX) {
                stat_add(STAT_UNTRACED_FD_RANGE, 1);
                return NULL;
        }
        page = atomic_load_explicit(&pages[(unsigned)fd / LIMIT_FD_PAGE], memory_order_acquire);
        if (page)
                return &page->slots[(unsigned)fd % LIMIT_FD_PAGE];
        page = sys_mmap(sizeof(struct fd_page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (!page) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        if (!atomic_compare_exchange_strong(&pages[(unsigned)fd / LIMIT_FD_PAGE], &none, page)) {
                sys_munmap(page, sizeof(struct fd_page));
                page = none; /* another thread was first */
        }
        return &page->slots[(unsigned)fd % LIMIT_FD_PAGE];
}

bool conn_table_set(int fd, struct conn *conn)
{
        _Atomic uint64_t *slot = slot_make(fd);
        uint64_t old;
        int top;

        if (!slot)
                return false;
        old = atomic_exchange_explicit(slot, (uint64_t)conn->serial << 32 | (conn->index + 1),
                                       memory_order_acq_rel);
        if (old)
                conn_unref(slot_conn(old));
        else
                atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
        top = atomic_load_explicit(&highest, memory_order_relaxed);
        while (fd > top && !atomic_compare_exchange_weak(&highest, &top, fd))
                ;
        return true;
}

struct conn *conn_table_clear(int fd)
{
        _Atomic uint64_t *slot = slot_of(fd);
        uint64_t old = slot ? atomic_exchange_explicit(slot, 0, memory_order_acq_rel) : 0;

        if (!old)
                return NULL;
        atomic_fetch_sub_explicit(&count, 1, memory_order_relaxed);
        return slot_conn(old);
}

int conn_table_highest(void)
{
        return atomic_load_explicit(&highest, memory_order_relaxed);
}

uint32_t conn_table_count(void)
{
        return atomic_load_explicit(&count, memory_order_relaxed);
}

START_TEXT void conn_table_each(void (*visit)(struct conn *conn))
{
        int top = conn_table_highest();

        for (int fd = 0; fd <= top && conn_table_count(); fd++) {
                struct conn *conn = conn_table_get(fd);

                if (!conn)
                        continue;
                visit(conn);
                conn_unref(conn);
        }
}
