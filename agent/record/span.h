/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A span on its way out of the host's thread: built on the stack with borrowed texts, then written
 * once, flat, into the ring (record.h). No strings are copied before that.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/base/slice.h"
#include "agent/record/semconv.h"
#include "agent/trace/context.h"

/* OTLP numbers. */
enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 };
enum span_status { SPAN_UNSET = 0, SPAN_OK = 1, SPAN_ERROR = 2 };

/* What the worker must make of the raw attributes: one row each in export/refine. */
enum span_shape {
        SHAPE_HTTP_CLIENT = 1,        /* a request seen on a socket */
        SHAPE_CURL_CLIENT = 2,        /* a transfer seen at libcurl's API */
        SHAPE_CONNECT = 3,            /* set-up of a connection, or its failure, or a failed look-up */
        SHAPE_CONNECT_SUPERSEDED = 4, /* no span: the failed connect with the same RAW_LOOKUP was followed by
                                         another address of the same look-up, or the failed look-up of the
                                         same RAW_NAME by a good one: the worker drops the earlier span */
        SHAPE_HTTP_SERVER = 5,        /* a request received on a socket */
        SHAPE_PROCESS = 6,            /* a process from its start to its end */
        SHAPE_PROCESS_ENDED = 7,      /* no span: its parent saw process RAW_PID end by RAW_SIGNAL */
        SHAPE_GRPC_CLIENT = 8,        /* a call of gRPC seen on a socket */
        SHAPE_GRPC_SERVER = 9,        /* one received */
        SHAPES                        /* one more than the last */
};

/* Of SEMCONV_RAW_TLS_ERROR. Positive numbers are OpenSSL's X509_V_ERR_*, lower ones GnuTLS's GNUTLS_E_*. */
enum span_tls_error { TLS_ERROR_HANDSHAKE = -1, TLS_ERROR_PROTOCOL = -2 };

/* SEMCONV_RAW_TLS: what its library tells of a connection. No more of text than there is follows. */
#define SPAN_TLS_TEXT 48
struct span_tls {
        uint16_t version; /* as handshakes say it: 0x0304 */
        uint8_t resumed;
        uint8_t cipher_len, next_protocol_len;
        char text[2 * SPAN_TLS_TEXT]; /* cipher suite, protocol chosen by ALPN */
};

enum attr_type { ATTR_STR = 1, ATTR_INT = 2, ATTR_BYTES = 3, ATTR_BOOL = 4 };

struct attr {
        uint16_t key; /* enum semconv */
        uint8_t type; /* enum attr_type */
        struct slice str;
        int64_t num;
};

struct span {
        struct trace_context context; /* own trace id, span id, flags, tracestate */
        uint8_t parent_id[8];         /* all zero: root */
        bool parent_remote;
        bool shared; /* another process may tell of the same one: the worker sees to it that one does */
        uint8_t kind, status, shape;
        uint64_t start_ns, end_ns; /* wall clock; end 0 = still open */
        struct attr attrs[LIMIT_SPAN_ATTRS];
        unsigned attr_count;
};

/* The adders do nothing once the span is full. An empty string is not added. */
static inline void span_add_str(struct span *span, enum semconv key, struct slice value)
{
        if (span->attr_count < LIMIT_SPAN_ATTRS && value.len)
                span->attrs[span->attr_count++] =
                        (struct attr){.key = (uint16_t)key, .type = ATTR_STR, .str = value};
}

static inline void span_add_bytes(struct span *span, enum semconv key, struct slice value)
{
        if (span->attr_count < LIMIT_SPAN_ATTRS && value.len)
                span->attrs[span->attr_count++] =
                        (struct attr){.key = (uint16_t)key, .type = ATTR_BYTES, .str = value};
}

static inline void span_add_int(struct span *span, enum semconv key, int64_t value)
{
        if (span->attr_count < LIMIT_SPAN_ATTRS)
                span->attrs[span->attr_count++] =
                        (struct attr){.key = (uint16_t)key, .type = ATTR_INT, .num = value};
}
