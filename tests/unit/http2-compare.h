/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Two directions of HTTP/2 side by side, frame by frame and byte by byte: what arrived is what was sent, but
 * for one traceparent at the end of a request's header block, and for the frames that such a block is cut
 * into.
 */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/limits.h"
#include "agent/proto/http2.h"
#include "agent/trace/traceparent.h"

/* A frame, or a header block of several. */
struct http2_unit {
        unsigned type, flags; /* flags less END_HEADERS */
        uint32_t stream;
        size_t front_len, body_len, padding; /* of a block: padding length and priority; the block */
        char front[6];
        char body[64 * 1024];
};

struct http2_cursor {
        const char *bytes;
        size_t len, at, frame_max;
};

static inline uint32_t http2_compare_u24(const char *p)
{
        return (uint32_t)(uint8_t)p[0] << 16 | (uint32_t)(uint8_t)p[1] << 8 | (uint8_t)p[2];
}

/* Return: its flags; @ret_payload is its payload. */
static inline unsigned http2_compare_frame(struct http2_cursor *cursor, struct http2_unit *unit, bool first,
                                           struct slice *ret_payload)
{
        const char *frame = cursor->bytes + cursor->at;
        size_t len;

        ck_assert_uint_ge(cursor->len - cursor->at, HTTP2_FRAME_HEADER_LEN);
        len = http2_compare_u24(frame);
        ck_assert_uint_le(len, cursor->frame_max);
        cursor->at += HTTP2_FRAME_HEADER_LEN + len;
        ck_assert_uint_le(cursor->at, cursor->len);
        if (first) {
                unit->type = (uint8_t)frame[3];
                unit->stream = http2_compare_u24(frame + 6);
        } else {
                ck_assert_uint_eq((uint8_t)frame[3], HTTP2_CONTINUATION);
                ck_assert_uint_eq(http2_compare_u24(frame + 6), unit->stream);
        }
        *ret_payload = slice_make(frame + HTTP2_FRAME_HEADER_LEN, len);
        return (uint8_t)frame[4];
}

static inline void http2_compare_add(struct http2_unit *unit, struct slice bytes)
{
        ck_assert_uint_le(unit->body_len + bytes.len, sizeof(unit->body));
        memcpy(unit->body + unit->body_len, bytes.p, bytes.len);
        unit->body_len += bytes.len;
}

static inline struct slice http2_compare_front(struct http2_unit *unit, unsigned flags, struct slice payload)
{
        unit->front_len = (flags & HTTP2_PADDED ? 1 : 0) + (flags & HTTP2_WITH_PRIORITY ? 5 : 0);
        ck_assert_uint_ge(payload.len, unit->front_len);
        memcpy(unit->front, payload.p, unit->front_len);
        unit->padding = flags & HTTP2_PADDED ? (uint8_t)payload.p[0] : 0;
        payload = slice_from(payload, unit->front_len);
        ck_assert_uint_ge(payload.len, unit->padding);
        return slice_to(payload, payload.len - unit->padding);
}

static inline void http2_compare_next(struct http2_cursor *cursor, struct http2_unit *unit)
{
        struct slice payload;
        unsigned flags = http2_compare_frame(cursor, unit, true, &payload);

        unit->flags = unit->type == HTTP2_HEADERS ? flags & ~(unsigned)HTTP2_END_HEADERS : flags;
        unit->front_len = unit->body_len = unit->padding = 0;
        if (unit->type != HTTP2_HEADERS) {
                http2_compare_add(unit, payload);
                return;
        }
        http2_compare_add(unit, http2_compare_front(unit, flags, payload));
        while (!(flags & HTTP2_END_HEADERS)) {
                flags = http2_compare_frame(cursor, unit, false, &payload);
                http2_compare_add(unit, payload);
        }
}

/* What may follow a block. Return: whether it does. */
static inline bool http2_compare_added(struct slice rest)
{
        static const char ours[] = "\0\x0btraceparent\x37"
                                   "00-";

        if (!rest.len)
                return false;
        ck_assert_uint_eq(rest.len, sizeof(ours) - 1 - 3 + TRACEPARENT_LEN);
        ck_assert_mem_eq(rest.p, ours, sizeof(ours) - 1);
        return true;
}

/* @on_block is told of every header block, and whether a context was added to it. Return: contexts added. */
static inline unsigned http2_compare(struct slice sent, struct slice arrived,
                                     void (*on_block)(uint32_t stream, struct slice block,
                                                      struct slice added))
{
        static struct http2_unit was, is;
        struct http2_cursor from = {sent.p, sent.len, HTTP2_PREFACE_LEN, HTTP2_FRAME_MIN},
                            to = {arrived.p, arrived.len, HTTP2_PREFACE_LEN, HTTP2_FRAME_MIN};
        unsigned added = 0;

        ck_assert_uint_ge(arrived.len, HTTP2_PREFACE_LEN);
        ck_assert_mem_eq(sent.p, arrived.p, HTTP2_PREFACE_LEN);
        while (from.at < from.len) {
                struct slice rest;

                http2_compare_next(&from, &was);
                http2_compare_next(&to, &is);
                ck_assert_uint_eq(is.type, was.type);
                ck_assert_uint_eq(is.flags, was.flags);
                ck_assert_uint_eq(is.stream, was.stream);
                ck_assert_uint_eq(is.front_len, was.front_len);
                ck_assert_mem_eq(is.front, was.front, was.front_len);
                ck_assert_uint_ge(is.body_len, was.body_len);
                ck_assert_mem_eq(is.body, was.body, was.body_len);
                rest = slice_make(is.body + was.body_len, is.body_len - was.body_len);
                ck_assert(!rest.len || is.type == HTTP2_HEADERS);
                added += http2_compare_added(rest);
                if (is.type == HTTP2_HEADERS)
                        on_block(is.stream, slice_make(was.body, was.body_len), rest);
        }
        ck_assert_uint_eq(to.at, to.len);
        return added;
}
