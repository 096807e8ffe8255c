/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Spans as an ExportTraceServiceRequest (OTLP 1.11.0), and what comes back, by protobuf-c. One thread. */
#include <stddef.h>
#include <stdint.h>

#include "export/refine.h"
#include "export/resource/resource.h"

/* The spans of one process within a batch. */
struct encode_group {
        const struct resource *resource;
        const struct out_span *spans;
        size_t span_count;
};

/**
 * otlp_encode_traces() - one request message
 * @ret_bytes: malloc'ed, the caller's; untouched on failure
 *
 * Groups without spans are left out.
 *
 * Context: worker.
 * Return: 0, -ENOMEM, -E2BIG (over LIMIT_REQUEST), -ENODATA (no spans).
 */
int otlp_encode_traces(const struct encode_group *groups, size_t group_count, uint8_t **ret_bytes,
                       size_t *ret_len);

/* What a collector answered. */
struct otlp_answer {
        int64_t rejected_spans; /* never negative */
        char message[256]; /* partial_success.error_message or Status.message: one line of valid UTF-8, cut */
};

/**
 * otlp_decode_response() - body of a 200 answer
 * @ret_answer: untouched on failure
 *
 * Context: worker.
 * Return: 0; -EBADMSG when it is no ExportTraceServiceResponse or longer than LIMIT_RESPONSE.
 */
int otlp_decode_response(struct slice body, struct otlp_answer *ret_answer);

/* Body of an error answer (google.rpc.Status); as above. */
int otlp_decode_status(struct slice body, struct otlp_answer *ret_answer);
