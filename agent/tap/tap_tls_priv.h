/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What tap_tls.c and tap_tls_out.c share; nobody else includes it. Context: hook, under the guard. */
#include "agent/tap/tap_conn.h"
#include "agent/tap/tap_tls.h"

/* The connection of the plaintext with a reference, this process's; NULL: leave it alone. */
struct conn *tap_tls_take(const struct tls *tls);

/**
 * tap_tls_error() - the errno for a call that moved nothing
 *
 * Return: 0: the stream ended. Something that tap_conn_may_go_on(): it did not fail. Otherwise the
 * connection's failure, of which it then knows what the library says.
 */
int tap_tls_error(struct tap_tls_call *call, struct tap_tls_io *io, enum tap_tls_outcome *ret_outcome);

/* A call that made the handshake first has failed in it: the set-up's failure. Return: was it that? */
bool tap_tls_not_shaken(struct tap_tls_call *call, struct tap_tls_io *io);
