/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The bytes of a client connection's requests (with injection), and of everybody's responses. A server's
 * requests come in through serve.h.
 *
 * Out is two steps around the host's real call. plan parses what the host wants to send, decides about
 * each request head that is completed by it, and says what to send instead; commit learns how much the
 * kernel took, maps it back to the host's own bytes, and rewinds parser and exchanges to exactly there.
 */
#include <sys/types.h>
#include <sys/uio.h>

#include "agent/flow/conn.h"

struct out_scratch;

struct out_plan {
        struct conn *conn;            /* direction held until commit */
        struct out_scratch *scratch;  /* NULL: only bytes of a body, nothing to rewind */
        const struct iovec *host_iov; /* the host's bytes */
        int host_iovcnt;
        size_t host_len;
        const struct iovec *iov; /* what to send instead; NULL: the host's call as it is */
        int iovcnt;
};

/**
 * stream_out_plan() - before the host's bytes leave
 * @conn: a reference of the caller's, who keeps it until after commit
 *
 * Context: hook.
 * Return: true: make the call as @ret_plan says, then stream_out_commit(). False: just make the host's call.
 */
bool stream_out_plan(struct out_plan *ret_plan, struct conn *conn, const struct iovec *iov, int iovcnt);

/**
 * stream_out_commit() - the real call returned
 * @n: its result; @error: its errno when @n < 0
 *
 * Return: how many of the host's own bytes left (0 with @n > 0: only bytes of ours did, see
 * stream_out_leftover()); -1 when @n < 0.
 * Context: hook.
 */
ssize_t stream_out_commit(struct out_plan *plan, ssize_t n, int error);

/* The real call will not return, and what left is not known: in place of a commit, from whichever thread
 * finds it out. @scratch: the plan's, or NULL. Context: signal. */
void stream_out_abandoned(struct conn *conn, struct out_scratch *scratch);

/* Bytes of ours that must go out before the host's next byte, if any. Context: hook. */
struct slice stream_out_leftover(const struct conn *conn);
/* @n bytes of them left. */
void stream_out_leftover_sent(struct conn *conn, size_t n);

/* @n bytes went out unseen (sendfile, splice). Context: hook. */
void stream_out_unseen(struct conn *conn, uint64_t n);

/* --- responses; the caller holds the direction that they take --- */

/* @bytes of responses came in (client) or went out (server). Context: hook. */
void stream_answer_bytes(struct conn *conn, struct slice bytes, uint64_t now_ns);
/* @n bytes of them went by where we cannot look. */
void stream_answer_unseen(struct conn *conn, uint64_t n, uint64_t now_ns);
/* No more of them will come: a response that ends with the stream is complete; requests may still wait. */
void stream_answer_eof(struct conn *conn, uint64_t now_ns);
