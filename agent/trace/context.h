/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A trace context (W3C Trace Context Level 2): what travels between processes. Plain data. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/slice.h"

#define TRACE_FLAG_SAMPLED 0x01
#define TRACE_FLAG_RANDOM  0x02

struct trace_context {
        uint8_t trace_id[16];
        uint8_t span_id[8];
        uint8_t flags;
        struct slice tracestate; /* borrowed; empty when there is none */
};

static inline bool trace_id_valid(const uint8_t id[16])
{
        static const uint8_t zero[16];

        return memcmp(id, zero, 16) != 0;
}

static inline bool span_id_valid(const uint8_t id[8])
{
        static const uint8_t zero[8];

        return memcmp(id, zero, 8) != 0;
}

static inline bool trace_context_valid(const struct trace_context *context)
{
        return trace_id_valid(context->trace_id) && span_id_valid(context->span_id);
}
