/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a process ended is known to others: its parent, that waited for it, or the kernel. The span that a dead
 * process left open waits here for that word, LIMIT_HELD_NS at most, and a word that came first for the span.
 * They meet by process id, in the order of time, so that a number used again deceives nobody. One table for
 * all processes of a worker; bounded by LIMIT_HELD_PROCESSES. One thread.
 */
#include "agent/record/span.h"

struct refine_held_process;

/* A process's end by a signal. */
struct refine_notice {
        int64_t pid, signal; /* pid 0: none */
        uint64_t wall_ns, mono_ns;
};

/* All zero is an empty table. */
struct refine_endings {
        struct refine_held_process *first;
        unsigned held;
        struct refine_notice notices[LIMIT_HELD_PROCESSES];
        unsigned next; /* notice to be overwritten */
};

/**
 * refine_ending_fn - receives each span that is final after all
 * @owner: as given with it
 * @raw: its end is set
 * @incomplete: nobody knew how the process ended
 */
typedef void refine_ending_fn(void *ctx, void *owner, const struct span *raw, bool incomplete);

enum refine_ending {
        REFINE_ENDING_HELD,    /* will be given to the function of a later call */
        REFINE_ENDING_KNOWN,   /* @raw is whole now */
        REFINE_ENDING_UNKNOWN, /* it cannot wait: incomplete */
};

/**
 * refine_endings_take() - the open span of a process that is dead
 * @owner: whose span it is; must live until the span is given back
 * @raw: copied where it is held; its end becomes @wall_ns, or the moment of the notice that was here
 *
 * Context: worker.
 */
enum refine_ending refine_endings_take(struct refine_endings *endings, void *owner, struct span *raw,
                                       uint64_t wall_ns, uint64_t mono_ns);

/* A signal ended a process: goes to its span, or is remembered. Context: worker. */
void refine_endings_notice(struct refine_endings *endings, const struct refine_notice *notice,
                           refine_ending_fn *give, void *ctx);

/* Give back what was taken before @older_than_ns (CLOCK_MONOTONIC); everything for UINT64_MAX. Context:
 * worker. */
void refine_endings_release(struct refine_endings *endings, uint64_t older_than_ns, refine_ending_fn *give,
                            void *ctx);

/* When the first one has waited long enough, CLOCK_MONOTONIC ns; UINT64_MAX = none waits. */
uint64_t refine_endings_due(const struct refine_endings *endings);
