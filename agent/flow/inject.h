/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is added to a request head, or takes a part's place, and the host's bytes with it worked in. */
#include <sys/uio.h>

#include "agent/flow/conn.h"

/* Text of ours goes in at @at (offset in the host's bytes of this call), for @remove bytes of the host's. */
struct insert {
        size_t at, remove;
        struct exchange *exchange; /* of whose addition it is ... */
        uint16_t from, len;        /* ... this part */
        bool blank;                /* as many blanks as are removed, of the exchange's head */
        bool gone;                 /* nothing of anybody's, for a byte that has left before */
        bool held; /* the host is told of the bytes removed when all of ours has left, not when it begins to
                    */
};

#define INJECT_MOST \
        (2 * (LIMIT_HEADS_PER_WRITE + 1) + 1) /* with the head that was under way, and what is owed */

/* Working memory of one outgoing call with a request head under way. */
struct out_scratch {
        uint32_t index;
        union {
                struct http1 http1;
                struct fcgi fcgi;
        } before;                                       /* parser as it was before this call ... */
        bool fresh;                                     /* ... if there was one ... */
        struct cause_opening opening;                   /* ... and what its connection's was ... */
        struct exchange *sending;                       /* ... and the request that was under way, ... */
        bool sending_head_done;                         /* ... as far as it was */
        struct exchange *opened[LIMIT_HEADS_PER_WRITE]; /* begun in this call, oldest first */
        unsigned opened_count;
        struct insert inserts[INJECT_MOST];
        unsigned insert_count;
        unsigned kept; /* commit: how many of opened[] really left, in part at least */
        struct iovec iov[LIMIT_IOV];
        char copy[LIMIT_COPY_INJECT];
};

/* NULL when there is none: the connection becomes opaque. Context: signal. */
struct out_scratch *out_scratch_new(void);
/* The same, which was kept, for another call. */
struct out_scratch *out_scratch_again(struct out_scratch *scratch);
void out_scratch_free(struct out_scratch *scratch);

/* One more of them: kept in the order of the host's bytes. Context: signal. */
void inject_add(struct out_scratch *scratch, struct insert insert);

/* Write what carries the exchange's context into its room for that: lines for @head, or the value that
 * replaces one there and the lines after it. Return: false when there is no room. Context: signal. */
bool inject_compose(struct exchange *exchange, const struct http1_head *head);

/**
 * inject_build() - the host's bytes with everything of ours in its place
 *
 * One piece by copying when it is small (cheaper than iovecs), else iovecs.
 *
 * Context: signal. Return: number of iovecs in scratch->iov; 0 when they would be too many for one call.
 */
int inject_build(struct out_scratch *scratch, const struct iovec *iov, int iovcnt, size_t host_len);

/**
 * inject_share() - how many of @taken bytes were the host's
 *
 * Bytes that ours replace are the host's as soon as ours have begun to leave. Notes how far our own got: what
 * left in part only is the connection's leftover; what has to follow, as its first part has left, is owed.
 *
 * Context: signal.
 */
size_t inject_share(struct conn *conn, const struct out_scratch *scratch, size_t taken);

/* Of the host's bytes @accepted left: what was begun with them must go on in the next call, whatever part of
 * the head that brings. Context: signal. */
void inject_remember_blanks(struct exchange *sending, const struct out_scratch *scratch, size_t accepted);

/* The exchange's text has left to its end. Context: signal. */
void inject_done(struct exchange *exchange);
