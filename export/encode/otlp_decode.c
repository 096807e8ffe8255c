/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "export/encode/otlp_encode.h"
#include "export/utf8.h"
#include "otlp.pb-c.h"

/* protobuf-c keeps a structure for each field it does not know: a hostile answer multiplies. */
#define DECODE_ARENA_MAX ((size_t)LIMIT_RESPONSE * 4)

static void *decode_alloc(void *ctx, size_t len)
{
        return arena_alloc(ctx, len);
}

static void decode_free(void *ctx, void *piece)
{
        /* all pieces go together, by arena_done() */
}

static ProtobufCAllocator decode_allocator(struct arena *arena)
{
        return (ProtobufCAllocator){.alloc = decode_alloc, .free = decode_free, .allocator_data = arena};
}

/* Goes into logs: one line, nothing that a terminal would obey. */
static void copy_message(struct arena *arena, struct otlp_answer *answer, const char *message)
{
        struct slice text = utf8_copy(arena, slice_str(message));
        size_t len = 0;
        uint32_t code;

        text = utf8_cut(text, sizeof(answer->message) - 1);
        while (text.len) {
                size_t step = utf8_step(text, &code);

                if (code < ' ' || (code >= 0x7f && code < 0xa0)) {
                        answer->message[len++] = ' ';
                } else {
                        memcpy(answer->message + len, text.p, step);
                        len += step;
                }
                text = slice_from(text, step);
        }
        answer->message[len] = '\0';
}

int otlp_decode_response(struct slice body, struct otlp_answer *ret_answer)
{
        struct arena arena = {.max = DECODE_ARENA_MAX};
        ProtobufCAllocator allocator = decode_allocator(&arena);
        Opentelemetry__Proto__ExportTraceServiceResponse *response = NULL;
        struct otlp_answer answer = {.rejected_spans = 0};

        if (body.len <= LIMIT_RESPONSE)
                response = opentelemetry__proto__export_trace_service_response__unpack(
                        &allocator, body.len, (const uint8_t *)body.p);
        if (response && response->partial_success) {
                answer.rejected_spans = MAX(response->partial_success->rejected_spans, 0);
                copy_message(&arena, &answer, response->partial_success->error_message);
        }
        arena_done(&arena);
        if (!response)
                return -EBADMSG;
        *ret_answer = answer;
        return 0;
}

int otlp_decode_status(struct slice body, struct otlp_answer *ret_answer)
{
        struct arena arena = {.max = DECODE_ARENA_MAX};
        ProtobufCAllocator allocator = decode_allocator(&arena);
        Opentelemetry__Proto__RpcStatus *status = NULL;
        struct otlp_answer answer = {.rejected_spans = 0};

        if (body.len <= LIMIT_RESPONSE)
                status = opentelemetry__proto__rpc_status__unpack(&allocator, body.len,
                                                                  (const uint8_t *)body.p);
        if (status)
                copy_message(&arena, &answer, status->message);
        arena_done(&arena);
        if (!status)
                return -EBADMSG;
        *ret_answer = answer;
        return 0;
}
