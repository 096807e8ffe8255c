/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Requests of which several processes may tell: a server's that it shares with the children that it forks.
 * The span that a dead process left open waits here for the word of another one, LIMIT_SHARED_NS at most; and
 * what was told is remembered for a while, so that nothing is told twice. One table for all processes of a
 * worker; bounded by LIMIT_SHARED_SPANS and LIMIT_SHARED_IDS. One thread.
 */
#include "agent/record/span.h"

struct refine_held_shared;

struct refine_shared_id {
        uint8_t trace_id[16], span_id[8];
};

/* All zero is an empty table. */
struct refine_shared {
        struct refine_held_shared *first;
        unsigned held;
        struct refine_shared_id told[LIMIT_SHARED_IDS];
        unsigned next; /* to be overwritten */
};

/**
 * refine_shared_fn - receives each span that leaves the table
 * @owner: as given with it
 * @raw: final after all, its end is set; NULL: another process has told of it
 */
typedef void refine_shared_fn(void *ctx, void *owner, const struct span *raw);

/* A process tells of @raw. Return: false when that was told before. Context: worker. */
bool refine_shared_tell(struct refine_shared *shared, const struct span *raw, refine_shared_fn *give,
                        void *ctx);

enum refine_shared_verdict {
        REFINE_SHARED_HELD, /* will be given to the function of a later call */
        REFINE_SHARED_TOLD, /* by another process, or is held already */
        REFINE_SHARED_NOW,  /* it cannot wait: to be told as it is */
};

/**
 * refine_shared_hold() - the open span of a process that is dead
 * @owner: whose span it is; must live until the span is given back
 * @raw: copied where it is held; its end becomes @wall_ns
 *
 * Context: worker.
 */
enum refine_shared_verdict refine_shared_hold(struct refine_shared *shared, void *owner, struct span *raw,
                                              uint64_t wall_ns, uint64_t mono_ns);

/* Give back what was taken before @older_than_ns (CLOCK_MONOTONIC); everything for UINT64_MAX. Context:
 * worker. */
void refine_shared_release(struct refine_shared *shared, uint64_t older_than_ns, refine_shared_fn *give,
                           void *ctx);

/* When the first one has waited long enough, CLOCK_MONOTONIC ns; UINT64_MAX = none waits. */
uint64_t refine_shared_due(const struct refine_shared *shared);
