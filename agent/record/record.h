/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The flat form of a span, as it stands in shared memory: a header, the tracestate, then the
 * attributes one after another, everything 8-byte aligned. The reader treats it as written by an
 * enemy: record_read() checks every length before it is used.
 */
#include "agent/record/span.h"

struct record_span {
        uint16_t shape; /* enum span_shape */
        uint8_t kind, status;
        uint32_t len; /* whole record, header included, multiple of 8 */
        uint8_t trace_id[16];
        uint8_t span_id[8];
        uint8_t parent_id[8]; /* zero: root */
        uint8_t trace_flags;
        uint8_t parent_remote;
        uint16_t attr_count;
        uint16_t tracestate_len;
        uint16_t shared; /* may become 1 while the span is open */
        uint64_t start_ns, end_ns;
        /* tracestate, padded to 8; then attr_count times struct record_attr */
};

struct record_attr {
        uint16_t key;
        uint8_t type;
        uint8_t reserved;
        uint32_t len; /* bytes of text that follow (padded to 8), 0 for numbers */
        int64_t num;
};

/**
 * record_size() - bytes that record_write() will need for @span
 *
 * Context: signal.
 */
size_t record_size(const struct span *span);

/**
 * record_write() - write @span into @dst, which has record_size(@span) bytes and is 8-byte aligned
 *
 * Context: signal.
 */
void record_write(void *dst, const struct span *span);

/**
 * record_read() - a span from bytes of unknown honesty
 * @ret_span: its texts point into @bytes; undefined after a failure
 *
 * Unknown attribute keys and types are skipped. The caller gives bytes that nobody changes any
 * more (a private copy).
 *
 * Context: worker.
 * Return: true; false when the bytes are no record.
 */
bool record_read(struct slice bytes, struct span *ret_span);
