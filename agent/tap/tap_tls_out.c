/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plaintext that the host sends. A TLS library that would block may have encrypted what it was given, and
 * wants the same again: until it is through with that, plan and bytes of a call are kept and repeated,
 * whatever the host calls in between. One that has nothing of them may be asked for something else: then the
 * plan is taken back.
 */
#include <errno.h>

#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/abandoned.h"
#include "agent/tap/tap_tls_priv.h"

#define NOTHING (-1) /* the library took nothing: the host is told what it says */

/* One host's call. */
struct out {
        struct tap_tls_call *call;
        struct tap_tls_io *io;
        struct tls_out *state;
        struct conn *conn;
        struct thread_send *send;
        enum tap_tls_outcome outcome; /* of the last write that took nothing */
};

static ssize_t write_out(struct out *out, const void *buf, size_t len)
{
        ssize_t n = out->io->write(out->io, buf, len);

        return n > 0 ? n : NOTHING;
}

static int error_of(struct out *out)
{
        int error = EAGAIN;

        OBSERVE(error = tap_tls_error(out->call, out->io, &out->outcome));
        return error ? error : EPIPE;
}

/* A piece of what was planned, in the host's buffer as it stands now. */
static struct iovec piece_of(const struct tls_out *state, const char *buf)
{
        const struct out_plan *plan = &state->plan;
        struct iovec piece = plan->iov ? plan->iov[state->at] : state->host;
        uintptr_t at = (uintptr_t)piece.iov_base - (uintptr_t)state->host.iov_base;

        if (at < state->host.iov_len)
                piece.iov_base = (void *)((uintptr_t)buf + at);
        return piece;
}

/* What was planned, piece by piece: of an empty one, all of which has left before, the library must not be
 * asked. Return: below 0 when it stopped at one. */
static ssize_t emit(struct out *out, const char *buf)
{
        struct tls_out *state = out->state;
        int count = state->plan.iov ? state->plan.iovcnt : 1;
        ssize_t n = 0;

        while (state->at < count) {
                struct iovec piece = piece_of(state, buf);

                n = piece.iov_len ? write_out(out, piece.iov_base, piece.iov_len) : 0;
                if (n < 0)
                        return n;
                state->taken += (size_t)n;
                state->at++;
                if ((out->io->partial && n) || (size_t)n < piece.iov_len)
                        break;
        }
        return n;
}

/* The library stopped. Return: NOTHING. */
static ssize_t stopped(struct out *out)
{
        struct tls_out *state = out->state;
        int error = error_of(out);

        OBSERVE(if (tap_tls_not_shaken(out->call, out->io)) error = EAGAIN); /* then no request was made */
        state->pending = out->outcome == TAP_TLS_KEPT || (out->outcome == TAP_TLS_AGAIN && state->taken);
        if (!state->pending)
                (void)tap_conn_commit(&state->plan, -1, error);
        return NOTHING;
}

static ssize_t carry_out(struct out *out, const char *buf)
{
        struct tls_out *state = out->state;
        ssize_t n;

        state->pending = false;
        n = emit(out, buf);
        if (UNLIKELY(!abandoned_returned(out->send, out->conn)))
                return n < 0 ? NOTHING : (ssize_t)state->host.iov_len;
        state->host.iov_base = (void *)(uintptr_t)buf;
        if (n < 0)
                return stopped(out);
        return tap_conn_commit(&state->plan, (ssize_t)state->taken, 0);
}

/*
 * Not what was given before: for the library to judge. It takes less than it has already only when it has
 * nothing, and then what was planned is not what left.
 */
static ssize_t other_call(struct out *out, const char *buf, size_t len)
{
        ssize_t n = write_out(out, buf, len);

        if (n < 0)
                return n;
        out->state->pending = false;
        OBSERVE(stream_out_abandoned(out->conn, out->state->plan.scratch));
        return n;
}

static ssize_t resume(struct out *out, const char *buf, size_t len)
{
        struct tls_out *state = out->state;

        if (len < state->host.iov_len || (buf != state->host.iov_base && !out->io->moving))
                return other_call(out, buf, len);
        OBSERVE(abandoned_planned(out->send, out->conn, state->plan.scratch));
        return carry_out(out, buf);
}

/* Return: 0: only bytes of ours left. */
static ssize_t leftover_out(struct out *out, struct slice rest)
{
        ssize_t n = write_out(out, rest.p, rest.len);

        if (n < 0) {
                (void)error_of(out);
                return NOTHING;
        }
        OBSERVE(stream_out_leftover_sent(out->conn, (size_t)n));
        return 0;
}

static ssize_t as_is(struct out *out, const char *buf, size_t len)
{
        struct iovec iov = {(void *)(uintptr_t)buf, len};
        struct tls_call *above = NULL;
        ssize_t n;

        if (UNLIKELY(out->call->call.outer != NULL))
                OBSERVE(above = tls_carries_out(out->conn, -1, &iov, 1));
        n = write_out(out, buf, len);
        if (above)
                tls_below(above, n, errno, false);
        if (n < 0)
                (void)error_of(out);
        return n;
}

/* The next of the host's bytes. Return: how many left; 0: only bytes of ours did. */
static ssize_t step(struct out *out, const char *buf, size_t len)
{
        struct tls_out *state = out->state;
        struct slice rest;

        if (state->pending)
                return resume(out, buf, len);
        rest = stream_out_leftover(out->conn);
        if (rest.len)
                return leftover_out(out, rest);
        state->host = (struct iovec){(void *)(uintptr_t)buf, len};
        state->taken = 0;
        state->at = 0;
        if (!tap_conn_plan(&state->plan, out->conn, out->send, &state->host, 1))
                return as_is(out, buf, len);
        return carry_out(out, buf);
}

static ssize_t client_out(struct out *out, const char *buf, size_t len)
{
        struct tls_out *state = out->state;
        size_t done = MIN(state->accepted, len);
        ssize_t n;

        state->accepted = 0;
        do {
                n = step(out, buf + done, len - done);
                if (n > 0)
                        done += (size_t)n;
        } while (n == 0 || (n > 0 && done < len && !out->io->partial));
        if (n > 0 || (done && out->io->partial))
                return (ssize_t)done;
        if (out->outcome < TAP_TLS_CLOSED)
                state->accepted = done;
        return NOTHING;
}

/* --- a server's responses --- */

struct served {
        struct out *out;
        const void *buf;
        size_t len;
        ssize_t n;
        int error; /* errno that the host gets */
};

static ssize_t emit_served(void *data, const struct iovec *iov, int iovcnt)
{
        struct served *served = data;

        served->n = write_out(served->out, served->buf, served->len);
        served->error = errno;
        if (served->n < 0)
                errno = error_of(served->out);
        return served->n;
}

ssize_t tap_tls_out(struct tap_tls_call *call, struct tap_tls_io *io, const void *buf, size_t len)
{
        struct out out = {.call = call, .io = io, .state = &call->call.tls->out};
        struct served served = {.out = &out, .buf = buf, .len = len};
        struct iovec iov = {(void *)(uintptr_t)buf, len};
        ssize_t n;

        if (len > 0)
                OBSERVE(out.conn = tap_tls_take(call->call.tls));
        if (!out.conn)
                return io->write(io, buf, len);
        if (out.conn->role == CONN_SERVER) {
                (void)tap_serve_out(out.conn, -1, &iov, 1, emit_served, &served);
                errno = served.error;
                return served.n;
        }
        out.send = abandoned_begin(out.conn, guard_stack_pointer());
        n = client_out(&out, buf, len);
        if (LIKELY(abandoned_end(out.send, out.conn)))
                OBSERVE(conn_unref(out.conn));
        return n;
}
