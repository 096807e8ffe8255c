/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The door between hooks and agent, for TLS libraries: plaintext before it is encrypted and after it was
 * decrypted. Same laws as tap_net.h. What belongs to one library stands in its hooks and is told through
 * struct tap_tls_io.
 *
 * A hook: tap_tls_enter(), one of the functions around the real call, tap_tls_leave(). Where enter says no,
 * it just makes the real call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/base/slice.h"
#include "agent/flow/tls.h"
#include "agent/record/span.h"
#include "agent/tap/tap_net.h"

/* Why a call of the library's moved nothing. */
enum tap_tls_outcome {
        TAP_TLS_AGAIN,  /* nothing was taken: it is made again when it can be, or something else is */
        TAP_TLS_KEPT,   /* the library has bytes of this call: the same one must be made again */
        TAP_TLS_CLOSED, /* the peer has ended the stream */
        TAP_TLS_FAILED,
};

/* How a hook's call is made and judged. It remembers the library's own result, to give it to the host. */
struct tap_tls_io {
        /* The real call that writes, with these bytes. Return: how many it took; else a number below 1. */
        ssize_t (*write)(struct tap_tls_io *io, const void *buf, size_t len);
        /* What the last call meant that moved nothing. @ret_error: as SEMCONV_RAW_TLS_ERROR, when it failed.
         * Leaves errno and the library's own errors as they are. */
        enum tap_tls_outcome (*judge)(struct tap_tls_io *io, int *ret_error);
        bool partial; /* a write may take less than it was given */
        bool moving;  /* and be repeated from another place */
};

struct tap_tls_call {
        struct tls_call call;
        struct tap_in in;
};

/**
 * tap_tls_new() - state for a TLS object that the host uses for the first time
 * @begun: bytes may have gone by already: never looked at
 *
 * Context: hook. Return: NULL: no room.
 */
struct tls *tap_tls_new(bool begun);

/* The host gives it up, or uses it for another connection. Context: hook. */
void tap_tls_free(struct tls *tls);
void tap_tls_restart(struct tls *tls);

/* Nothing that goes on on it is understood any more. Context: hook. */
void tap_tls_hands_off(struct tls *tls);

/**
 * tap_tls_enter() - a call into the library begins
 * @server: the role that the object has in it
 * @server_name: what a client asks for; empty: not known
 *
 * Context: hook.
 * Return: false: nothing to do (a higher seam's, or a call that the library makes in one of the same
 * object's); then tap_tls_leave() is not called.
 */
bool tap_tls_enter(struct tap_tls_call *call, struct tls *tls, bool server, struct slice server_name);
void tap_tls_leave(struct tap_tls_call *call);

/* The random bytes of a client's first message are known, by which the socket is found. Context: hook. */
void tap_tls_hello(struct tap_tls_call *call, const unsigned char random[TLS_RANDOM]);

/* Are they wanted? Context: signal. */
static inline bool tap_tls_wants_hello(const struct tap_tls_call *call)
{
        return !call->call.tls->carrier && !call->call.tls->hello;
}

/* Is it wanted what the library can tell of the connection (OTEL_INSTRUMENT_TLS_ATTRIBUTES)? Context: signal.
 */
bool tap_tls_wants_facts(const struct tap_tls_call *call);
/* The handshake is complete: that. Context: hook. */
void tap_tls_facts(struct tap_tls_call *call, const struct tls_facts *facts);

/* A handshake is complete, or has come no further. Context: hook. */
void tap_tls_shaken(struct tap_tls_call *call, struct tap_tls_io *io, bool complete);

/**
 * tap_tls_out() - in place of the real call that writes
 *
 * Return: bytes of the host's, or below 1: then what the library gave last is what the host gets. errno as
 * the library left it. Context: hook.
 */
ssize_t tap_tls_out(struct tap_tls_call *call, struct tap_tls_io *io, const void *buf, size_t len);

/* @n bytes of a file left that we did not see. Context: hook. */
void tap_tls_out_unseen(struct tap_tls_call *call, size_t n);

/* The host ended its side. Context: hook. */
void tap_tls_shut(struct tap_tls_call *call);

/* Around the real call that reads: @n bytes into @buf (of @size), below 1: none. @peek: they stay where they
 * are. Return: bytes for the host: @n, or more with a context header (OTEL_INSTRUMENT_MARK_INBOUND). */
void tap_tls_in_begin(struct tap_tls_call *call, bool peek);
ssize_t tap_tls_in_end(struct tap_tls_call *call, struct tap_tls_io *io, void *buf, size_t size, ssize_t n,
                       bool peek);
