/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A TLS object of the host's (SSL, gnutls_session_t) and how it hangs together with the socket below.
 *
 * Its plaintext is a connection of its own (struct conn without a descriptor), fed through the same flow as a
 * socket's bytes. The connection of the socket is its carrier: found by the socket call that is made inside
 * of a call into the TLS library, on the same thread, and from then on only passed through. For an object
 * that never makes one (memory BIO) it is the connection whose handshake has the same random bytes.
 */
#include "agent/flow/stream.h"

/* What a call has given to the library and must give again: libraries keep bytes of a call that would block.
 */
struct tls_out {
        struct out_plan plan; /* while pending its direction stays taken */
        struct iovec host;    /* the host's bytes that were planned */
        size_t taken;         /* of what is sent for them, that has left */
        size_t accepted;      /* of the host's bytes before them, that have left and were not told yet */
        int at;               /* the piece of plan.iov that is under way */
        bool pending;
};

struct tls {
        uint32_t index;
        _Atomic uint32_t used; /* 0: free */
        bool muted;            /* a higher seam's: never looked at */
        bool setup_told;       /* its carrier's, before TLS began */
        struct conn *conn;     /* the plaintext; NULL: not begun, or no memory for it */
        struct conn *carrier;  /* with a reference; NULL: not known */
        uint64_t hello;        /* hash of its handshake's random bytes; 0: not told */
        struct tls_out out;
};

/* A call into the library that this thread is inside of; on the hook's stack. */
struct tls_call {
        struct tls_call *outer;
        struct tls *tls;
        int error;    /* errno of a socket call below that broke the connection */
        bool eof;     /* a socket call below read the end of the stream */
        bool reading; /* one that reads is under way */
};

/* Clean, with nothing known of its plaintext; NULL: no room. Muted where this thread is. Context: hook. */
struct tls *tls_new(void);

/* Its connection begins, as @role. False: there is none. Context: hook. */
bool tls_begin(struct tls *tls, enum conn_role role);

/* Where TLS began in the middle of a connection whose set-up was told, it is not told again. Context: signal.
 */
void tls_setup(struct tls *tls);

#define TLS_RANDOM 32 /* bytes that a client's first message has in clear, and that are its own */

/* It has no carrier yet, and its handshake began with these bytes. Context: hook. */
void tls_hello(struct tls *tls, const unsigned char random[TLS_RANDOM]);

/* What the library tells of a handshake that is complete. */
struct tls_facts {
        int version; /* as handshakes say it: 0x0304 */
        bool resumed;
        struct slice cipher, next_protocol; /* what is too long is left out */
};

/* Its requests will say so. Context: hook. */
void tls_learn(struct tls *tls, const struct tls_facts *facts);

/* All that is under way on it ends; it may begin anew. Context: hook. */
void tls_end(struct tls *tls);

/* The host frees it. Context: hook. */
void tls_free(struct tls *tls);

/* The process ends: tell what is known. Context: hook. */
void tls_last_words(void);

/* @visit the plaintext connection of each object, with a reference held. Context: hook. */
void tls_each(void (*visit)(struct conn *conn));

/* The innermost call that this thread is really inside of, NULL: none. Context: signal. */
struct tls_call *tls_call_now(void);

/* --- what the flow asks at the first bytes that are no protocol it knows; Context: hook --- */

/* Does a client's TLS handshake begin here? Then the connection is settled. */
bool tls_leaves(struct conn *conn, const struct iovec *iov, int iovcnt);
bool tls_came(struct conn *conn, int fd, struct slice bytes);

/* --- around socket calls on connections that are only passed through; Context: hook --- */

/* Bytes are about to leave: those of a TLS record make it the carrier of the object whose call this is.
 * Return: that call, for tls_below(); NULL: not one's carrier. */
struct tls_call *tls_carries_out(struct conn *conn, int fd, const struct iovec *iov, int iovcnt);

/* A read begins. Return: true when it is a TLS library's, so that the bytes mean nothing to us. */
bool tls_carries_in(struct conn *conn);

/* What came of the socket call. */
void tls_below(struct tls_call *call, ssize_t n, int error, bool reads);
