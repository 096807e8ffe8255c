/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The door between hooks and agent, for descriptors. Hooks say what the host asks for and what came
 * of it; nothing here can fail. Callers look at tap_net_tracked() first, so that files and pipes cost
 * one table look-up.
 *
 * All functions here keep the law of design 5: no allocation, no lock that waits, errno as the real
 * call left it. They take the guard themselves, only around our own work.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct conn;

/* Is there anything to do for this descriptor? Context: signal. */
bool tap_net_tracked(int fd);

/* Is any descriptor of the process tracked at all? Context: signal. */
bool tap_net_any_tracked(void);

/* --- outgoing bytes --- */

/*
 * The hook's own real call. @iov == NULL: exactly as the host made it. Otherwise with these bytes
 * instead (same descriptor, flags, address). Control data goes with bytes of the host's: never with those
 * that tap_emit_ours() tells. Result and errno of the real call.
 */
typedef ssize_t tap_emit_fn(void *call, const struct iovec *iov, int iovcnt);

/* Bytes of ours alone, for an earlier message: an empty piece ends them, and nothing else. Context: signal.
 */
static inline bool tap_emit_ours(const struct iovec *iov, int iovcnt)
{
        return iov[iovcnt - 1].iov_len == 0;
}

/**
 * tap_net_out() - send, sendto, sendmsg, write, writev, pwritev2 on a tracked descriptor
 * @iov: the host's bytes (never modified)
 * @emit, @call: makes the real call, zero or one time with the host's bytes; before that possibly
 *               once with bytes of ours that an earlier short write left over
 *
 * Return: what the host is told: its own byte count, or -1 with errno.
 * Context: hook.
 */
ssize_t tap_net_out(int fd, const struct iovec *iov, int iovcnt, tap_emit_fn *emit, void *call);

/* sendfile, splice and the like moved @n bytes to a tracked descriptor that we did not see; negative: they
 * failed with errno. Context: hook. */
void tap_net_out_unseen(int fd, ssize_t n);

/* --- incoming bytes: around the real call --- */

struct tap_in {
        struct conn *conn; /* NULL: nothing to do */
        uint32_t serial;   /* of the connection that it was; no reference is held: a call may never return */
        int fd;
};

/* @flags: MSG_* of the call. With MSG_PEEK it only looks: another thread may be reading. */
void tap_net_in_begin(struct tap_in *in, int fd, int flags);

/**
 * tap_net_in_end() - what the real call gave
 * @iov, @iovcnt: where the bytes are (first @n bytes of it); NULL when they went where we cannot look
 * @n: its result; errno still as it left it
 * @flags: MSG_* of the call (MSG_PEEK: no byte was taken, but end and error were seen; MSG_TRUNC: bytes are
 * gone)
 * @wanted: bytes asked for (0 bytes read of 0 wanted is no end of file)
 */
/*
 * Return: what the host is told: @n, or more of it when a context header was written into the request head
 * that it reads (OTEL_INSTRUMENT_MARK_INBOUND).
 */
ssize_t tap_net_in_end(struct tap_in *in, const struct iovec *iov, int iovcnt, ssize_t n, int flags,
                       size_t wanted);

/* --- life of descriptors --- */

struct tap_connect {
        uint64_t start_ns; /* 0: not looked at */
};

/*
 * Around the real connect(2). TCP fast open by sendto/sendmsg with an address: begin, then
 * tap_net_out() with the bytes (the emit callback keeps address and flags), then end with its result.
 */
void tap_net_connect_begin(struct tap_connect *connect, int fd, const struct sockaddr *addr, socklen_t len);
void tap_net_connect_end(struct tap_connect *connect, int fd, int result);

/* A number was made by socket, socketpair, SCM_RIGHTS, ...: old state of that number is gone. */
void tap_net_made(int fd);

/*
 * A connection that a client opened: @fd came from accept, or was there when the process began (inetd,
 * socket activation).
 */
void tap_net_accepted(int fd);

/* @fd came in a message: a network connection may be one that the sender has accepted for us. */
void tap_net_received(int fd);

/* The process listens. */
void tap_net_listens(void);

/* At the start of the process: connections that it was born with. Context: start. */
void tap_net_inherited(void);

/* BEFORE the real close (also dup2's target, fclose, close_range). */
void tap_net_close(int fd);
void tap_net_close_range(unsigned first, unsigned last);

/* After a successful dup, dup2, dup3, F_DUPFD: @to is another name of @from. */
void tap_net_dup(int from, int to);

/* After a successful shutdown(2). */
void tap_net_shutdown(int fd, int how);

/* getsockopt(SO_ERROR) told the host @error (0: connected). */
void tap_net_so_error(int fd, int error);

/* poll, select and epoll_wait came back with nothing for @fd after its time-out. */
void tap_net_wait_timed_out(int fd);
