/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one encoded request to stdout for otlp-check.py: two processes, spans of each shape, texts that need
 * repair. The other side knows what must be in it.
 */
#include <errno.h>
#include <netdb.h>

#include "export/encode/otlp_encode.h"
#include "tests/unit/refined.h"

static void feed_good(struct refined *got)
{
        struct span raw = raw_span(SHAPE_HTTP_CLIENT);

        span_add_str(&raw, SEMCONV_RAW_METHOD, SLICE("GET"));
        span_add_str(&raw, SEMCONV_RAW_TARGET, SLICE("/items?sig=secret&n=1"));
        span_add_str(&raw, SEMCONV_RAW_HOST, SLICE("127.0.0.1:8080"));
        span_add_str(&raw, SEMCONV_RAW_SCHEME, SLICE("http"));
        span_add_bytes(&raw, SEMCONV_RAW_PEER, raw_peer("127.0.0.1", 8080));
        span_add_int(&raw, SEMCONV_RAW_HTTP_VERSION, 11);
        span_add_int(&raw, SEMCONV_HTTP_RESPONSE_STATUS_CODE, 200);
        span_add_str(&raw, SEMCONV_USER_AGENT_ORIGINAL, SLICE("agent \xff\xfe"));
        memset(raw.parent_id, 0x33, sizeof(raw.parent_id));
        raw.parent_remote = true;
        raw.context.flags = TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
        raw.context.tracestate = SLICE("vendor=1");
        refined_feed(got, &raw);
}

static void feed_failed(struct refined *got)
{
        struct span raw = raw_span(SHAPE_CURL_CLIENT);

        raw.context.span_id[0] = 0x23;
        span_add_str(&raw, SEMCONV_RAW_METHOD, SLICE("BREW"));
        span_add_str(&raw, SEMCONV_RAW_URL, SLICE("https://user:password@example.com/"));
        span_add_int(&raw, SEMCONV_RAW_CURLE, 7);
        refined_feed(got, &raw);
        raw = raw_span(SHAPE_CONNECT);
        raw.context.span_id[0] = 0x24;
        span_add_str(&raw, SEMCONV_RAW_NAME, SLICE("db.local"));
        span_add_bytes(&raw, SEMCONV_RAW_PEER, raw_peer("::1", 5432));
        span_add_int(&raw, SEMCONV_RAW_ERRNO, ECONNREFUSED);
        refine_span(got->refine, &got->arena, &raw, true, raw.start_ns + 1, refined_catch, got);
}

int main(void)
{
        static const char first[] =
                "@pid=11\0@exe=/usr/bin/curl\0@argv0=curl\0OTEL_RESOURCE_ATTRIBUTES=empty=,a=%C3%A4";
        static const char second[] = "@pid=12\0OTEL_SERVICE_NAME=billing";
        struct resource *a = resource_new(slice_make(first, sizeof(first)));
        struct resource *b = resource_new(slice_make(second, sizeof(second)));
        static struct refined good, failed;
        struct encode_group groups[3] = {{.resource = a}, {.resource = b}, {.resource = a}};
        uint8_t *bytes = NULL;
        size_t len = 0;
        int r;

        refined_init(&good);
        refined_init(&failed);
        feed_good(&good);
        feed_failed(&failed);
        groups[0].spans = good.spans;
        groups[0].span_count = good.count;
        groups[1].spans = failed.spans;
        groups[1].span_count = failed.count;
        r = otlp_encode_traces(groups, 3, &bytes, &len);
        if (r == 0)
                r = fwrite(bytes, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : -EIO;
        free(bytes);
        refined_done(&good);
        refined_done(&failed);
        resource_free(a);
        resource_free(b);
        return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
