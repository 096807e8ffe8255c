/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The contract of every protocol parser. A parser is a pure state machine over one direction of a
 * connection: fixed-size state, no allocation, clock, globals or I/O, and it accepts every split of
 * its input. What it finds it tells its sink; slices are valid only inside the sink call.
 *
 *      guess(first bytes)             no / maybe (more bytes needed) / yes
 *      feed(state, bytes, sink)       bytes consumed; fewer than given only when the sink said stop or
 *                                     the parser gave up (state says which)
 *
 * Results are >= 0 for bytes consumed, PROTO_LOST (< 0) for "not mine any more, stop looking": from
 * then on the connection is opaque.
 */
enum proto_guess { PROTO_NO, PROTO_MAYBE, PROTO_YES };

#define PROTO_LOST (-1)
