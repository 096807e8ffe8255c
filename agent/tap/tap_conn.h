/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the descriptors' door and the one for TLS share; nobody else includes it. Context: hook,
 * under the guard.
 */
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/handoff.h"
#include "agent/flow/serve.h"
#include "agent/flow/stream.h"
#include "agent/process.h"
#include "agent/tap/tap_net.h"

/* The connection behind @fd with a reference, owned by this process; NULL: leave it alone. */
struct conn *tap_conn_take(int fd);

/* The same for a connection that the caller has a reference to: this process's from now on. */
static inline void tap_conn_own(struct conn *conn)
{
        process_notice_fork();
        if (UNLIKELY(conn->generation != process_generation))
                conn_adopt(conn);
}

/* stream_out_plan() and stream_out_commit() with what guards them; @send notes what is held. */
bool tap_conn_plan(struct out_plan *ret_plan, struct conn *conn, struct thread_send *send,
                   const struct iovec *iov, int iovcnt);
ssize_t tap_conn_commit(struct out_plan *plan, ssize_t n, int error);

/* As tap_net_out_unseen(), under the guard. The reference to @conn is the callee's. */
void tap_conn_out_unseen(struct conn *conn, ssize_t n, int error);

/* As tap_net_in_begin(), under the guard, and tap_net_in_end(). The reference to @conn is the callee's. */
void tap_conn_in_begin(struct tap_in *in, struct conn *conn, int flags);
ssize_t tap_conn_in_end(struct tap_in *in, const struct iovec *iov, int iovcnt, ssize_t n, int flags,
                        size_t wanted, int error);

/* A connection in one of its directions during a real call that may never return: no reference is held. */
struct tap_hold {
        struct conn *conn; /* NULL: nothing to do */
        uint32_t serial;
};

/* After the call, with a reference again. Return: false when it was closed meanwhile. */
bool tap_conn_again(struct tap_hold hold);

/* Does this error say nothing of the connection? */
bool tap_conn_may_go_on(int error);

/* An integer option of SOL_SOCKET; -1: no socket, or not known. */
int tap_conn_option(int fd, int name);

/* --- tap_serve.c: server connections --- */

/* Something is about to happen on it: is it still what this process knows of it? */
static inline void tap_serve_look(struct conn *conn)
{
        handoff_look_if_any();
        if (UNLIKELY(conn->generation != process_generation))
                serve_adopt(conn);
}

/* As tap_net_out(), or with @fd -1; the reference to @conn is the callee's. */
ssize_t tap_serve_out(struct conn *conn, int fd, const struct iovec *iov, int iovcnt, tap_emit_fn *emit,
                      void *call);
/* @n bytes left unseen; negative: none, for @error. */
void tap_serve_unseen(struct conn *conn, ssize_t n, int error);
/* A client that goes on has its answers, whoever wrote them. */
void tap_serve_catch_up(struct conn *conn, int fd, uint64_t now_ns);
/* @fd is about to be closed. */
void tap_serve_last_look(struct conn *conn, int fd);
/* The host ended its side of the stream. */
void tap_serve_shut(struct conn *conn);
