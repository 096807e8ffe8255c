/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A TLS library as far as its callers can tell: records of a few bytes, a transport that takes what it likes,
 * and OpenSSL's rules of repeated calls, which it checks as that does.
 */
#include "agent/tap/tap_tls.h"
#include "tests/unit/wire.h"

#define FAKE_RECORD 48

struct fake_tls {
        struct tap_tls_io io;
        struct tap_tls_call call;
        struct tls *tls;
        bool shaken;               /* the handshake is complete */
        bool refused;              /* the last call broke the rules */
        bool blocked;              /* the last call would have blocked */
        size_t pending_len, left;  /* of the record that is on its way */
        const char *pending_buf;   /* where the caller had it */
        size_t done;               /* bytes of the caller's that left in calls that would block */
        long (*take)(size_t left); /* how many bytes of a record leave; below 0: none */
};

/* Return: true when the record under way has left. */
static inline bool fake_flush(struct fake_tls *fake)
{
        long n = fake->take(fake->left);

        fake->left -= n < 0 ? 0 : MIN((size_t)n, fake->left);
        fake->blocked = fake->left > 0;
        return !fake->left;
}

static inline bool fake_refuses(struct fake_tls *fake, const char *buf, size_t len)
{
        fake->refused = len < fake->done || (fake->left && (len < fake->done + fake->pending_len ||
                                                            (!fake->io.moving && fake->pending_buf != buf)));
        return fake->refused;
}

static inline ssize_t fake_write(struct tap_tls_io *io, const void *data, size_t len)
{
        struct fake_tls *fake = (struct fake_tls *)io;
        const char *buf = data;
        size_t done = fake->done;

        fake->blocked = !fake->shaken;
        if (fake->blocked || fake_refuses(fake, buf + done, len))
                return -1;
        fake->done = 0;
        for (;;) {
                if (!fake->left) {
                        fake->left = fake->pending_len = MIN(len - done, FAKE_RECORD);
                        fake->pending_buf = buf + done;
                        memcpy(wire + wire_len, buf + done, fake->left);
                        wire_len += fake->left;
                }
                if (!fake_flush(fake)) {
                        fake->done = done;
                        return -1;
                }
                done += fake->pending_len;
                if (done == len || io->partial)
                        return (ssize_t)done;
        }
}

static inline enum tap_tls_outcome fake_judge(struct tap_tls_io *io, int *ret_error)
{
        struct fake_tls *fake = (struct fake_tls *)io;

        if (fake->blocked)
                return fake->shaken ? TAP_TLS_KEPT : TAP_TLS_AGAIN;
        *ret_error = TLS_ERROR_PROTOCOL;
        return TAP_TLS_FAILED;
}

static inline void fake_new(struct fake_tls *fake, bool partial, bool moving, long (*take)(size_t))
{
        *fake = (struct fake_tls){.shaken = true, .take = take};
        fake->io = (struct tap_tls_io){fake_write, fake_judge, partial, moving};
        fake->tls = tap_tls_new(false);
        ck_assert_ptr_nonnull(fake->tls);
        wire_len = told_count = 0;
}

/* The host's SSL_write(). Return: as that; 0 when it would block. */
static inline ssize_t fake_send(struct fake_tls *fake, const char *buf, size_t len)
{
        ssize_t n;

        ck_assert(tap_tls_enter(&fake->call, fake->tls, false, SLICE_NULL));
        n = tap_tls_out(&fake->call, &fake->io, buf, len);
        tap_tls_leave(&fake->call);
        return n > 0 ? n : fake->blocked ? 0 : -1;
}

/* The host reads @text. */
static inline void fake_recv(struct fake_tls *fake, const char *text)
{
        ck_assert(tap_tls_enter(&fake->call, fake->tls, false, SLICE_NULL));
        tap_tls_in_begin(&fake->call, false);
        ck_assert_int_eq(tap_tls_in_end(&fake->call, &fake->io, (void *)(uintptr_t)text, strlen(text),
                                        (ssize_t)strlen(text), false),
                         (ssize_t)strlen(text));
        tap_tls_leave(&fake->call);
}
