/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Counters, one row each. In the host they live in a static array until the ring is made and in the
 * ring's header from then on, so that the consumer reads them without asking, also after a death.
 */
#include <stdatomic.h>
#include <stdint.h>

/*   id                       what it counts */
#define STAT_ROWS(X)                                                                \
        X(SPANS_MADE, "spans made")                                                 \
        X(SPANS_WRITTEN, "spans written into the ring")                             \
        X(SPANS_UNSAMPLED, "requests not recorded: not sampled")                    \
        X(SPANS_RESPECTED, "requests left alone: context header already there")     \
        X(DROPPED_RING_FULL, "spans dropped: ring full")                            \
        X(DROPPED_NO_RING, "spans dropped: no ring could be made")                  \
        X(DROPPED_TOO_LARGE, "spans dropped: record too large")                     \
        X(DROPPED_ABANDONED, "records skipped: never committed")                    \
        X(UNTRACED_SLAB_FULL, "not traced: table full")                             \
        X(UNTRACED_FD_RANGE, "not traced: descriptor number out of range")          \
        X(OPAQUE_CONTENTION, "connections left alone: two threads on one stream")   \
        X(OPAQUE_UNKNOWN, "connections left alone: protocol not known")             \
        X(OPAQUE_ERROR, "connections left alone: bytes not understood")             \
        X(OPAQUE_UPGRADE, "connections left alone: upgraded or tunnel")             \
        X(OPAQUE_UNSEEN, "connections left alone: bytes went where we do not look") \
        X(OPAQUE_TLS, "connections left alone: TLS that we cannot see into")        \
        X(INJECTED, "requests given a context header")                              \
        X(REPLACED, "requests whose passed-on context header was made our span's")  \
        X(PARENT_SEAM, "parents found: the API's own context")                      \
        X(PARENT_HEADER, "parents found: context header passed on")                 \
        X(PARENT_OPENING, "parents found: connection opened for a request")         \
        X(PARENT_DEBT, "parents found: what the thread owes")                       \
        X(PARENT_TARGET, "parents found: same method and target")                   \
        X(PARENT_THREAD, "parents found: the thread's request")                     \
        X(PARENT_PROCESS, "parents found: the process's only request")              \
        X(PARENT_ENVIRON, "parents found: context of the process")                  \
        X(PARENT_NOTHING, "requests without a parent")                              \
        X(DEEPBIND_LED, "pointers led to us in objects opened with RTLD_DEEPBIND")  \
        X(DEEPBIND_LEFT, "pointers left alone there: memory is read-only")          \
        X(WAKEUPS, "wake-ups sent to the consumer")                                 \
        X(RELAY_STARTED, "relays started")                                          \
        X(RELAY_CONNECTED, "relays connected")                                      \
        X(RELAY_FAILED, "relays not reached")                                       \
        X(FAULTS, "parts switched off after a contradiction")

enum stat_id {
#define X(id, text) STAT_##id,
        STAT_ROWS(X)
#undef X
                STAT_COUNT
};

extern const char *const stat_texts[STAT_COUNT];
extern _Atomic(_Atomic uint64_t *) stats_base __attribute__((visibility("hidden")));

/* Context: signal. */
static inline void stat_add(enum stat_id id, uint64_t n)
{
        atomic_fetch_add_explicit(&atomic_load_explicit(&stats_base, memory_order_acquire)[id], n,
                                  memory_order_relaxed);
}

static inline uint64_t stat_get(enum stat_id id)
{
        return atomic_load_explicit(&atomic_load_explicit(&stats_base, memory_order_acquire)[id],
                                    memory_order_relaxed);
}

/**
 * stats_move() - count in @to (STAT_COUNT zeroed cells) from now on; what was counted so far is added to it
 *
 * stats_move(NULL) goes back to the static array, emptied (a forked child counts for itself).
 *
 * Context: hook.
 */
void stats_move(_Atomic uint64_t *to);
