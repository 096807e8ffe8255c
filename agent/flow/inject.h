/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is added to a request head, and the host's bytes with it worked in. */
#include <sys/uio.h>

#include "agent/flow/conn.h"

/* Header lines of ours go in at @at (offset in the host's bytes of this call). */
struct insert {
        size_t at;
        struct exchange *exchange;
};

/* Working memory of one outgoing call with a request head under way. */
struct out_scratch {
        uint64_t slab_link;
        uint32_t index;
        struct http1 before;                            /* parser as it was before this call ... */
        struct exchange *sending;                       /* ... and the request that was under way, ... */
        bool sending_head_done;                         /* ... as far as it was */
        struct exchange *opened[LIMIT_HEADS_PER_WRITE]; /* begun in this call, oldest first */
        unsigned opened_count;
        struct insert inserts[LIMIT_HEADS_PER_WRITE + 1]; /* the head under way may be completed as well */
        unsigned insert_count;
        unsigned kept; /* commit: how many of opened[] really left, in part at least */
        struct iovec iov[LIMIT_IOV];
        char copy[LIMIT_COPY_INJECT];
};

/* NULL when there is none: the connection becomes opaque. Context: signal. */
struct out_scratch *out_scratch_new(void);
void out_scratch_free(struct out_scratch *scratch);

/* Write the exchange's context header lines into its inject_text. Context: signal. */
void inject_compose(struct exchange *exchange, bool has_tracestate, bool eol_lf);

/**
 * inject_build() - the host's bytes with everything of ours in its place
 *
 * One piece by copying when it is small (cheaper than iovecs), else iovecs.
 *
 * Context: signal. Return: number of iovecs in scratch->iov; 0 when they would be too many for one call.
 */
int inject_build(struct out_scratch *scratch, const struct iovec *iov, int iovcnt, size_t host_len);
