/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_tls.h"

#include <errno.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/config/config.h"
#include "agent/record/span.h"
#include "agent/tap/tap_tls_priv.h"

struct tls *tap_tls_new(bool begun)
{
        struct tls *tls = NULL;

        OBSERVE({
                tls = tls_new();
                if (tls)
                        tls->muted |= begun;
        });
        return tls;
}

/* Also when we were switched off since: what it holds is given back. */
static void end(struct tls *tls, void (*how)(struct tls *tls))
{
        int error = errno;

        guard_hold();
        how(tls);
        guard_let_go();
        errno = error;
}

void tap_tls_free(struct tls *tls)
{
        end(tls, tls_free);
}

static bool is_under_way(const struct tls *tls)
{
        for (const struct tls_call *call = tls_call_now(); call; call = call->outer)
                if (call->tls == tls)
                        return true;
        return false;
}

void tap_tls_restart(struct tls *tls)
{
        if (!is_under_way(tls)) /* a handshake clears its own object first */
                end(tls, tls_end);
}

void tap_tls_hands_off(struct tls *tls)
{
        if (tls->conn)
                OBSERVE(conn_opaque(tls->conn, STAT_OPAQUE_UNSEEN));
        else
                tls->muted = true;
}

static void begin(struct tls *tls, bool server, struct slice server_name)
{
        if (!tls_begin(tls, server ? CONN_SERVER : CONN_CLIENT))
                return;
        if (server || server_name.len > LIMIT_HOST_NAME)
                return;
        peer_call(&tls->conn->peer, server_name);
        tls->conn->tcp = server_name.len > 0;
}

bool tap_tls_enter(struct tap_tls_call *call, struct tls *tls, bool server, struct slice server_name)
{
        if (tls->muted || is_under_way(tls))
                return false;
        if (!tls->conn)
                OBSERVE(begin(tls, server, server_name));
        if (!tls->conn)
                return false;
        call->call = (struct tls_call){.outer = thread_state.tls, .tls = tls};
        call->in.conn = NULL;
        thread_state.tls = &call->call;
        tls_setup(tls);
        return true;
}

void tap_tls_leave(struct tap_tls_call *call)
{
        thread_state.tls = call->call.outer;
}

struct conn *tap_tls_take(const struct tls *tls)
{
        struct conn *conn = tls->conn;

        if (!conn_ref(conn))
                return NULL;
        tap_conn_own(conn);
        return conn;
}

int tap_tls_error(struct tap_tls_call *call, struct tap_tls_io *io, enum tap_tls_outcome *ret_outcome)
{
        struct tls_call *below = &call->call;
        int error = 0;

        *ret_outcome = io->judge(io, &error);
        if (*ret_outcome < TAP_TLS_CLOSED)
                return EAGAIN;
        if (below->error)
                return below->error;
        if (*ret_outcome == TAP_TLS_CLOSED || below->eof)
                return 0;
        if (error == TLS_ERROR_HANDSHAKE && conn_phase(below->tls->conn) != CONN_CONNECTING)
                error = TLS_ERROR_PROTOCOL;
        below->tls->conn->tls_error = error;
        return EPROTO;
}

static void shaken(struct tap_tls_call *call, struct tap_tls_io *io, bool complete)
{
        struct conn *conn = tap_tls_take(call->call.tls);
        enum tap_tls_outcome outcome;
        int error;

        if (!conn)
                return;
        if (complete) {
                conn_established(conn, clock_mono_ns());
        } else {
                error = tap_tls_error(call, io, &outcome);
                if (!error && conn_phase(conn) == CONN_CONNECTING) {
                        conn->tls_error = TLS_ERROR_HANDSHAKE;
                        error = EPROTO;
                }
                if (error && !tap_conn_may_go_on(error))
                        conn_failed(conn, error, clock_mono_ns());
        }
        conn_unref(conn);
}

void tap_tls_hello(struct tap_tls_call *call, const unsigned char random[TLS_RANDOM])
{
        OBSERVE(tls_hello(call->call.tls, random));
}

bool tap_tls_wants_facts(const struct tap_tls_call *call)
{
        return config_now.tls_attributes && !call->call.tls->conn->tls_facts.p;
}

void tap_tls_facts(struct tap_tls_call *call, const struct tls_facts *facts)
{
        OBSERVE(tls_learn(call->call.tls, facts));
}

void tap_tls_shaken(struct tap_tls_call *call, struct tap_tls_io *io, bool complete)
{
        OBSERVE(shaken(call, io, complete));
}

void tap_tls_out_unseen(struct tap_tls_call *call, size_t n)
{
        OBSERVE({
                struct conn *conn = tap_tls_take(call->call.tls);

                if (conn)
                        tap_conn_out_unseen(conn, (ssize_t)n, 0);
        });
}

void tap_tls_shut(struct tap_tls_call *call)
{
        OBSERVE({
                struct conn *conn = tap_tls_take(call->call.tls);

                if (conn && conn->role == CONN_SERVER)
                        tap_serve_shut(conn);
                if (conn)
                        conn_unref(conn);
        });
}

void tap_tls_in_begin(struct tap_tls_call *call, bool peek)
{
        OBSERVE({
                struct conn *conn = tap_tls_take(call->call.tls);

                if (conn)
                        tap_conn_in_begin(&call->in, conn, peek ? MSG_PEEK : 0);
        });
}

bool tap_tls_not_shaken(struct tap_tls_call *call, struct tap_tls_io *io)
{
        struct conn *conn = call->call.tls->conn;

        if (conn_phase(conn) != CONN_CONNECTING)
                return false;
        shaken(call, io, false);
        return conn_phase(conn) != CONN_CONNECTING;
}

ssize_t tap_tls_in_end(struct tap_tls_call *call, struct tap_tls_io *io, void *buf, size_t size, ssize_t n,
                       bool peek)
{
        struct iovec iov = {buf, size};
        enum tap_tls_outcome outcome;
        int error = 0;

        if (n <= 0 && size > 0)
                OBSERVE({
                        (void)tap_tls_not_shaken(call, io);
                        error = tap_tls_error(call, io, &outcome);
                });
        if (!call->in.conn)
                return n;
        if (n > 0)
                return tap_conn_in_end(&call->in, &iov, 1, n, peek ? MSG_PEEK : 0, size, 0);
        (void)tap_conn_in_end(&call->in, &iov, 1, error ? -1 : 0, 0, size, error);
        return n;
}
