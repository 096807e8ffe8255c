/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>

#include "agent/base/load.h"
#include "tests/unit/refined.h"

struct http_row {
        const char *method, *target, *host, *name, *peer;
        int port;
        const char *url, *address, *server_port, *span_name;
};

static const struct http_row http_rows[] = {
        /* origin form, Host with and without port */
        {"GET", "/items?x=1", "127.0.0.1:8080", NULL, "127.0.0.1", 8080, "http://127.0.0.1:8080/items?x=1",
         "127.0.0.1", "8080", "GET"},
        {"POST", "/", "example.com", "example.com", "93.184.216.34", 80, "http://example.com/", "example.com",
         "80", "POST"},
        {"GET", "/", "example.com:80", NULL, "1.2.3.4", 80, "http://example.com:80/", "example.com", "80",
         "GET"},
        {"GET", "/a", "[::1]:9000", NULL, "::1", 9000, "http://[::1]:9000/a", "::1", "9000", "GET"},
        {"GET", "/a", "[::1]", NULL, "::1", 80, "http://[::1]/a", "::1", "80", "GET"},
        /* no Host: the name looked up, else the peer */
        {"GET", "/", NULL, "db.local", "10.0.0.1", 8000, "http://db.local:8000/", "db.local", "8000", "GET"},
        {"GET", "/", NULL, "db.local", "10.0.0.1", 80, "http://db.local/", "db.local", "80", "GET"},
        {"GET", "/", NULL, NULL, "10.0.0.1", 8000, "http://10.0.0.1:8000/", "10.0.0.1", "8000", "GET"},
        {"GET", "/", NULL, NULL, "fe80::1", 8000, "http://[fe80::1]:8000/", "fe80::1", "8000", "GET"},
        {"GET", "/", NULL, NULL, "::ffff:10.1.2.3", 80, "http://10.1.2.3/", "10.1.2.3", "80", "GET"},
        {"GET", "/", NULL, NULL, NULL, 0, "-", "-", "-", "GET"},
        /* a Host that is none */
        {"GET", "/", "a b", "good.example", "1.2.3.4", 80, "http://good.example/", "good.example", "80",
         "GET"},
        {"GET", "/", "user:pw@evil", "good.example", "1.2.3.4", 80, "http://good.example/", "good.example",
         "80", "GET"},
        {"GET", "/", "h:99999", NULL, "1.2.3.4", 80, "http://1.2.3.4/", "1.2.3.4", "80", "GET"},
        /* absolute form: through a proxy */
        {"GET", "http://far.example/p?q", "proxy:3128", NULL, "10.0.0.9", 3128, "http://far.example/p?q",
         "far.example", "80", "GET"},
        {"GET", "https://u:p@far.example:8443/p", "far.example", NULL, "10.0.0.9", 3128,
         "https://REDACTED:REDACTED@far.example:8443/p", "far.example", "8443", "GET"},
        {"GET", "HTTPS://far.example/p", NULL, NULL, "10.0.0.9", 3128, "HTTPS://far.example/p", "far.example",
         "443", "GET"},
        /* authority and asterisk form, and what is neither */
        {"CONNECT", "far.example:443", "proxy", NULL, "10.0.0.9", 3128, "http://far.example:443",
         "far.example", "443", "CONNECT"},
        {"CONNECT", "[2001:db8::1]:443", NULL, NULL, "10.0.0.9", 3128, "http://[2001:db8::1]:443",
         "2001:db8::1", "443", "CONNECT"},
        {"CONNECT", "u:p@x:1", "far.example:1", NULL, "10.0.0.9", 3128, "http://far.example:1", "far.example",
         "1", "CONNECT"},
        {"OPTIONS", "*", "example.com", NULL, "1.2.3.4", 80, "http://example.com", "example.com", "80",
         "OPTIONS"},
        {"GET", "@evil.example/x", "example.com", NULL, "1.2.3.4", 80, "http://example.com/@evil.example/x",
         "example.com", "80", "GET"},
        {"GET", "?a=b", "example.com", NULL, "1.2.3.4", 80, "http://example.com/?a=b", "example.com", "80",
         "GET"},
        /* methods */
        {"get", "/", "h", NULL, "1.2.3.4", 80, "http://h/", "h", "80", "HTTP"},
        {"PROPFIND", "/", "h", NULL, "1.2.3.4", 80, "http://h/", "h", "80", "HTTP"},
        {"QUERY", "/", "h", NULL, "1.2.3.4", 80, "http://h/", "h", "80", "QUERY"},
};

static struct span http_raw(const struct http_row *row)
{
        struct span raw = raw_span(SHAPE_HTTP_CLIENT);

        span_add_str(&raw, SEMCONV_RAW_METHOD, slice_str(row->method));
        span_add_str(&raw, SEMCONV_RAW_TARGET, slice_str(row->target));
        span_add_str(&raw, SEMCONV_RAW_HOST, slice_str(row->host));
        span_add_str(&raw, SEMCONV_RAW_SCHEME, SLICE("http"));
        span_add_str(&raw, SEMCONV_RAW_NAME, slice_str(row->name));
        if (row->peer)
                span_add_bytes(&raw, SEMCONV_RAW_PEER, raw_peer(row->peer, row->port));
        return raw;
}

START_TEST(test_refine_http_when_target_and_host_vary)
{
        for (size_t i = 0; i < sizeof(http_rows) / sizeof(*http_rows); i++) {
                const struct http_row *row = &http_rows[i];
                struct span raw = http_raw(row);
                struct refined got;
                bool known;

                refined_init(&got);
                refined_feed(&got, &raw);
                ck_assert_uint_eq(got.count, 1);
                check_out_span(got.spans);
                ck_assert_str_eq(out_text(got.spans, "url.full"), row->url);
                ck_assert_str_eq(out_text(got.spans, "server.address"), row->address);
                ck_assert_str_eq(out_text(got.spans, "server.port"), row->server_port);
                ck_assert_str_eq(got.spans->name.p, row->span_name);
                known = strcmp(row->span_name, "HTTP") != 0;
                ck_assert_str_eq(out_text(got.spans, "http.request.method"), known ? row->method : "_OTHER");
                ck_assert_str_eq(out_text(got.spans, "http.request.method_original"),
                                 known ? "-" : row->method);
                refined_done(&got);
        }
}
END_TEST

/* The attributes of a plain request are exactly those that the official JavaScript instrumentation sends. */
START_TEST(test_refine_http_when_complete)
{
        static const char *const keys[] = {
                "http.request.method",
                "url.full",
                "server.address",
                "server.port",
                "network.peer.address",
                "network.peer.port",
                "network.protocol.version",
                "user_agent.original",
                "http.response.status_code",
        };
        struct span raw = http_raw(&http_rows[0]);
        struct refined got;

        span_add_str(&raw, SEMCONV_USER_AGENT_ORIGINAL, SLICE("curl/7.88.1"));
        span_add_int(&raw, SEMCONV_RAW_HTTP_VERSION, 11);
        span_add_int(&raw, SEMCONV_HTTP_RESPONSE_STATUS_CODE, 200);
        refined_init(&got);
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.count, 1);
        ck_assert_uint_eq(got.spans->attr_count, sizeof(keys) / sizeof(*keys));
        for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
                ck_assert_msg(out_find(got.spans, keys[i]) != NULL, "%s", keys[i]);
        ck_assert_str_eq(out_text(got.spans, "network.peer.address"), "127.0.0.1");
        ck_assert_str_eq(out_text(got.spans, "network.peer.port"), "8080");
        ck_assert_str_eq(out_text(got.spans, "network.protocol.version"), "1.1");
        ck_assert_int_eq(out_find(got.spans, "http.response.status_code")->type, ATTR_INT);
        ck_assert_int_eq(out_find(got.spans, "server.port")->type, ATTR_INT);
        ck_assert_int_eq(got.spans->status, SPAN_UNSET);
        ck_assert_int_eq(got.spans->kind, SPAN_CLIENT);
        refined_done(&got);
}
END_TEST

struct curl_row {
        const char *url, *scheme, *method;
        const char *full, *address, *port, *name, *protocol;
};

START_TEST(test_refine_curl_when_url_varies)
{
        static const struct curl_row rows[] = {
                {"https://u:p@h.example/a?sig=1#f", "HTTPS", "GET",
                 "https://REDACTED:REDACTED@h.example/a?sig=REDACTED#f", "h.example", "443", "GET", "-"},
                {"localhost:8080/x", "HTTP", "GET", "http://localhost:8080/x", "localhost", "8080", "GET",
                 "-"},
                {"localhost", NULL, "HEAD", "http://localhost", "localhost", "80", "HEAD", "-"},
                {"https://h", "http", "GET", "https://h", "h", "443", "GET", "-"},
                {"user:secret@h/x", "HTTP", "GET", "http://REDACTED:REDACTED@h/x", "h", "80", "GET", "-"},
                {"ftp://h/file", "FTP", NULL, "ftp://h/file", "h", "21", "ftp", "ftp"},
                {"gopher://h/", "GOPHER", NULL, "gopher://h/", "h", "-", "transfer", "-"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct span raw = raw_span(SHAPE_CURL_CLIENT);
                struct refined got;

                span_add_str(&raw, SEMCONV_RAW_URL, slice_str(rows[i].url));
                span_add_str(&raw, SEMCONV_RAW_SCHEME, slice_str(rows[i].scheme));
                span_add_str(&raw, SEMCONV_RAW_METHOD, slice_str(rows[i].method));
                span_add_int(&raw, SEMCONV_HTTP_REQUEST_RESEND_COUNT, (int64_t)i);
                refined_init(&got);
                refined_feed(&got, &raw);
                ck_assert_uint_eq(got.count, 1);
                check_out_span(got.spans);
                ck_assert_str_eq(out_text(got.spans, "url.full"), rows[i].full);
                ck_assert_str_eq(out_text(got.spans, "server.address"), rows[i].address);
                ck_assert_str_eq(out_text(got.spans, "server.port"), rows[i].port);
                ck_assert_str_eq(out_text(got.spans, "network.protocol.name"), rows[i].protocol);
                ck_assert_str_eq(got.spans->name.p, rows[i].name);
                ck_assert_int_eq(out_find(got.spans, "http.request.resend_count") != NULL, i > 0);
                refined_done(&got);
        }
}
END_TEST

START_TEST(test_refine_span_when_identity_varies)
{
        struct span raw = http_raw(&http_rows[0]);
        struct refined got;

        refined_init(&got);
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.spans[0].flags, 0x101);
        ck_assert(!got.spans[0].has_parent);
        memset(raw.parent_id, 0x33, 8);
        raw.context.flags = 3;
        raw.context.tracestate = SLICE("a=1,b=2");
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.spans[1].flags, 0x103);
        ck_assert(got.spans[1].has_parent);
        ck_assert_str_eq(got.spans[1].tracestate.p, "a=1,b=2");
        raw.parent_remote = true;
        raw.context.tracestate = SLICE("a=\x01");
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.spans[2].flags, 0x303);
        ck_assert_uint_eq(got.spans[2].tracestate.len, 0);
        memset(raw.parent_id, 0, 8);
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.spans[3].flags, 0x103);
        memset(raw.context.span_id, 0, 8);
        refined_feed(&got, &raw);
        raw = http_raw(&http_rows[0]);
        raw.shape = 77;
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.count, 4);
        refined_done(&got);
}
END_TEST

START_TEST(test_refine_span_when_incomplete_or_backwards)
{
        struct span raw = http_raw(&http_rows[0]);
        struct refined got;

        refined_init(&got);
        raw.end_ns = 0;
        refine_span(got.refine, &got.arena, &raw, true, raw.start_ns + 7, refined_catch, &got);
        ck_assert_uint_eq(got.spans[0].end_ns, raw.start_ns + 7);
        ck_assert_str_eq(out_text(got.spans, "otel.instrument.incomplete"), "1");
        ck_assert_int_eq(out_find(got.spans, "otel.instrument.incomplete")->type, ATTR_BOOL);
        refined_feed(&got, &raw);
        ck_assert_uint_eq(got.spans[1].end_ns, raw.start_ns);
        ck_assert_ptr_null(out_find(&got.spans[1], "otel.instrument.incomplete"));
        refined_done(&got);
}
END_TEST

/* The n-th piece of memory is not to be had: the span is whole, or lost and counted. */
START_TEST(test_refine_span_when_memory_is_short)
{
        bool whole = false;

        for (size_t max = 16; !whole; max += 16) {
                struct span raw = http_raw(&http_rows[15]);
                struct refined got;

                refined_init(&got);
                got.arena.max = max;
                refined_feed(&got, &raw);
                ck_assert_uint_eq(got.count + refine_lost(got.refine), 1);
                whole = got.count == 1;
                if (whole)
                        check_out_span(got.spans);
                refined_done(&got);
                ck_assert_uint_lt(max, 1 << 20);
        }
}
END_TEST

/* A record of random shape, keys, types and bytes. */
static void random_span(struct span *raw, char *bytes, size_t len)
{
        static const enum span_shape shapes[] = {SHAPE_HTTP_CLIENT, SHAPE_CURL_CLIENT, SHAPE_CONNECT,
                                                 SHAPE_HTTP_SERVER, SHAPE_PROCESS};
        size_t used = 0;

        *raw = raw_span(shapes[(size_t)random() % ARRAY_LEN(shapes)]);
        raw->start_ns = (uint64_t)random();
        raw->end_ns = (uint64_t)random();
        raw->kind = (uint8_t)random();
        raw->status = (uint8_t)(random() % 3);
        raw->context.flags = (uint8_t)random();
        for (size_t i = 0; i < len; i++)
                bytes[i] = random() % 3 ? (char)random() : "/:?#@[]&=%. 0123456789http*sig"[random() % 30];
        while (raw->attr_count < LIMIT_SPAN_ATTRS) {
                size_t piece = (size_t)random() % 24;
                struct attr attr = {.key = (uint16_t)(random() % (SEMCONV_COUNT + 2))};

                attr.type = (uint8_t)(random() % 4 + (random() % 2));
                attr.num = random() % 2 ? random() % 150 - 20 : random() * 0x100001ll;
                if (used + piece <= len)
                        attr.str = slice_make(bytes + used, piece);
                used += piece;
                raw->attrs[raw->attr_count++] = attr;
        }
        if (random() % 2)
                raw->context.tracestate = slice_make(bytes, (size_t)random() % 32);
}

START_TEST(test_refine_span_when_bytes_are_random)
{
        char zeros[384] = {0}, *bytes = unit_guarded(zeros, sizeof(zeros));
        unsigned caught = 0;
        struct refined got;
        struct span raw;

        refined_init(&got);
        refine_set_routes(got.refine, SLICE("/,/*,/{a}/:,/%/{rest...},{bad"));
        srandom(20);
        for (unsigned i = 0; i < 100000; i++) {
                random_span(&raw, bytes, sizeof(zeros));
                refine_span(got.refine, &got.arena, &raw, i % 16 == 0, 5, refined_catch, &got);
                for (unsigned n = 0; n < got.count; n++)
                        if (out_span_wrong(&got.spans[n]))
                                check_out_span(&got.spans[n]);
                caught += got.count;
                got.count = 0;
                if (i % 64 == 0)
                        arena_done(&got.arena);
        }
        refine_release(got.refine, &got.arena, UINT64_MAX, refined_catch, &got);
        /* A few failed connects happen to be taken back by later ones of the same random look-up. */
        ck_assert_uint_gt(caught + got.count, 99000);
        ck_assert_uint_eq(refine_lost(got.refine), 0);
        refined_done(&got);
}
END_TEST

UNIT_MAIN("refine", test_refine_http_when_target_and_host_vary, test_refine_http_when_complete,
          test_refine_curl_when_url_varies, test_refine_span_when_identity_varies,
          test_refine_span_when_incomplete_or_backwards, test_refine_span_when_memory_is_short,
          test_refine_span_when_bytes_are_random)
