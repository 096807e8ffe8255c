/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The bytes of a server connection: requests in. The responses go out through stream_answer_*(), which is
 * told what left after it left: nothing is added to them. Laws and locks as in stream.h.
 */
#include <sys/socket.h>
#include <sys/uio.h>

#include "agent/flow/conn.h"

#define SERVE_MARK_MAX 72 /* "traceparent: " with its value and the line's end */

/* Where a context header may be written into what the host reads (OTEL_INSTRUMENT_MARK_INBOUND). */
struct serve_mark {
        size_t room; /* in: bytes that the host's buffer has left behind what was read */
        size_t at;   /* out: where the line goes, from the first byte read */
        size_t len;  /* out: of the line; 0: none */
        char line[SERVE_MARK_MAX];
};

/**
 * serve_new() - a connection that a client opened
 * @addr, @len: the client's; @len 0 where it has none
 *
 * Context: signal. Return: as conn_new().
 */
struct conn *serve_new(const struct sockaddr *addr, socklen_t len);

/**
 * serve_in_bytes() - @bytes arrived; the caller holds the direction
 * @fd: the host's descriptor, to be asked for our own address once
 * @mark: NULL: nothing may be written into them
 *
 * Context: hook.
 */
void serve_in_bytes(struct conn *conn, int fd, struct slice bytes, struct serve_mark *mark, uint64_t now_ns);

/**
 * serve_arrived() - a request's head is known: its texts are in the exchange
 * @contexts: how many context headers it has
 *
 * Its ids are decided, it is open for the parent rule, and its span is shown. Context: hook.
 */
void serve_arrived(struct conn *conn, struct exchange *exchange, int fd, unsigned contexts);

/* Keep our own address of @fd, once. Context: hook. */
void serve_remember_local(struct conn *conn, int fd);

/* @n bytes arrived and went where we cannot look. */
void serve_in_unseen(struct conn *conn, uint64_t n);

/* For which request are bytes read, or written, now? CAUSE_NONE: for none that is known. Context: signal. */
uint64_t serve_reads_for(const struct conn *conn);
uint64_t serve_writes_for(struct conn *conn);

/**
 * serve_adopt() - a forked child reads or writes on a connection whose request its parent read
 *
 * The request goes on here, as a cause; who tells of it is settled by handoff.h. A child that only closes it
 * never gets here.
 *
 * Context: hook.
 */
void serve_adopt(struct conn *conn);
