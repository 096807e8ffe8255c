/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the HTTP/2 parser share; nobody else includes it.
 *
 * http2.c drives and knows the frames, http2_head.c reads and writes fields, http2_hpack.c is the inflater
 * with its memory. Context: signal.
 */
#include "agent/proto/http2.h"

/* A decoded field. Return: false when the block is not acceptable. */
struct http2_field {
        struct slice name, value;
        uint8_t first;     /* of its bytes as sent ... */
        struct slice sent; /* ... and those that came last, up to the one at @end */
        uint64_t end;
};
bool http2_head_field(struct http2 *parser, const struct http2_field *field);

/* Where the field's value stands, if another one can take its place. */
struct http2_place http2_place_of(const struct http2_field *field);

/* The block is complete. Return: false when it is not acceptable. */
bool http2_head_end(struct http2 *parser);

/* An inflater in @memory. Return: false when there is no room. */
bool http2_hpack_init(struct http2_memory *memory);

/* The next bytes of the block, @last: its last ones; each field to http2_head_field(). Return: false: lost.
 */
bool http2_hpack_feed(struct http2 *parser, struct slice bytes, bool last);

bool http2_hpack_limit(struct http2 *parser, uint32_t size);

/* Contradictions inside the inflater end the call that met them. */
void http2_hpack_give_up(void) __attribute__((noreturn));
