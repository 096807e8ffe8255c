/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/base/load.h"
#include "export/refine_forwarded.h"
#include "export/refine_route.h"
#include "tests/unit/refined.h"

struct given {
        enum semconv key;
        const char *text;
};

struct expected {
        const char *key, *text; /* "-": not there */
};

static struct span server_raw(const struct given *given)
{
        struct span raw = raw_span(SHAPE_HTTP_SERVER);

        raw.kind = SPAN_SERVER;
        for (; given->text; given++)
                span_add_str(&raw, given->key, slice_str(given->text));
        span_add_bytes(&raw, SEMCONV_RAW_PEER, raw_peer("10.0.0.9", 40000));
        span_add_bytes(&raw, SEMCONV_RAW_LOCAL, raw_peer("10.0.0.1", 8080));
        return raw;
}

static void refine_one(struct refined *got, const struct span *raw, const char *routes)
{
        refined_init(got);
        refine_set_routes(got->refine, slice_str(routes));
        refined_feed(got, raw);
        ck_assert_uint_eq(got->count, 1);
        check_out_span(got->spans);
        ck_assert_int_eq(got->spans->kind, SPAN_SERVER);
}

/* Exactly what the official JavaScript instrumentation sends for a plain request with an incoming context. */
START_TEST(test_refine_server_when_complete)
{
        static const struct given given[] = {{SEMCONV_RAW_METHOD, "GET"},
                                             {SEMCONV_RAW_TARGET, "/items/7?sig=secret&q=1"},
                                             {SEMCONV_RAW_HOST, "localhost:8080"},
                                             {SEMCONV_RAW_SCHEME, "http"},
                                             {SEMCONV_USER_AGENT_ORIGINAL, "curl/7.88.1"},
                                             {0, NULL}};
        static const struct expected expected[] = {{"http.request.method", "GET"},
                                                   {"url.scheme", "http"},
                                                   {"url.path", "/items/7"},
                                                   {"url.query", "sig=REDACTED&q=1"},
                                                   {"server.address", "localhost"},
                                                   {"server.port", "8080"},
                                                   {"client.address", "10.0.0.9"},
                                                   {"network.peer.address", "10.0.0.9"},
                                                   {"network.peer.port", "40000"},
                                                   {"network.protocol.version", "1.1"},
                                                   {"user_agent.original", "curl/7.88.1"},
                                                   {"http.response.status_code", "200"}};
        struct span raw = server_raw(given);
        struct refined got;

        memset(raw.parent_id, 0x33, 8);
        raw.parent_remote = true;
        span_add_int(&raw, SEMCONV_RAW_HTTP_VERSION, 11);
        span_add_int(&raw, SEMCONV_HTTP_RESPONSE_STATUS_CODE, 200);
        refine_one(&got, &raw, NULL);
        ck_assert_uint_eq(got.spans->attr_count, ARRAY_LEN(expected));
        for (size_t i = 0; i < ARRAY_LEN(expected); i++)
                ck_assert_str_eq(out_text(got.spans, expected[i].key), expected[i].text);
        ck_assert_int_eq(out_find(got.spans, "server.port")->type, ATTR_INT);
        ck_assert_int_eq(out_find(got.spans, "network.peer.port")->type, ATTR_INT);
        ck_assert_int_eq(out_find(got.spans, "http.response.status_code")->type, ATTR_INT);
        ck_assert_uint_eq(got.spans->flags, 0x301);
        ck_assert_int_eq(got.spans->status, SPAN_UNSET);
        ck_assert_str_eq(got.spans->name.p, "GET");
        refined_done(&got);
}
END_TEST

#define METHOD(text)                     \
        {                                \
                SEMCONV_RAW_METHOD, text \
        }
#define TARGET(text)                     \
        {                                \
                SEMCONV_RAW_TARGET, text \
        }
#define HOST(text)                     \
        {                              \
                SEMCONV_RAW_HOST, text \
        }
#define FORWARDED(text)                     \
        {                                   \
                SEMCONV_RAW_FORWARDED, text \
        }
#define X_FOR(text)                               \
        {                                         \
                SEMCONV_RAW_X_FORWARDED_FOR, text \
        }
#define X_PROTO(text)                               \
        {                                           \
                SEMCONV_RAW_X_FORWARDED_PROTO, text \
        }
#define X_HOST(text)                               \
        {                                          \
                SEMCONV_RAW_X_FORWARDED_HOST, text \
        }
#define SCHEME(text)                     \
        {                                \
                SEMCONV_RAW_SCHEME, text \
        }

#define PATH(text)               \
        {                        \
                "url.path", text \
        }
#define QUERY(text)               \
        {                         \
                "url.query", text \
        }
#define ADDRESS(text)                  \
        {                              \
                "server.address", text \
        }
#define PORT(text)                  \
        {                           \
                "server.port", text \
        }
#define CLIENT(text)                   \
        {                              \
                "client.address", text \
        }
#define CLIENT_PORT(text)           \
        {                           \
                "client.port", text \
        }
#define URL_SCHEME(text)           \
        {                          \
                "url.scheme", text \
        }

struct server_row {
        struct given given[6];
        struct expected expected[6];
};

static void check_rows(const struct server_row *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct span raw = server_raw(rows[i].given);
                struct refined got;

                refine_one(&got, &raw, NULL);
                for (const struct expected *e = rows[i].expected; e->key; e++)
                        ck_assert_msg(strcmp(out_text(got.spans, e->key), e->text) == 0,
                                      "row %zu: %s is %s, not %s", i, e->key, out_text(got.spans, e->key),
                                      e->text);
                refined_done(&got);
        }
}

START_TEST(test_refine_server_when_target_varies)
{
        static const struct server_row rows[] = {
                /* origin form */
                {{METHOD("GET"), TARGET("/")}, {PATH("/"), QUERY("-")}},
                {{METHOD("GET"), TARGET("/a%2Fb/%E4%BD%A0?")}, {PATH("/a%2Fb/%E4%BD%A0"), QUERY("-")}},
                {{METHOD("GET"), TARGET("/a?b=c?d&X-Amz-Signature=1&Sig=2")},
                 {PATH("/a"), QUERY("b=c?d&X-Amz-Signature=REDACTED&Sig=2")}},
                {{METHOD("GET"), TARGET("/a#secret?x")}, {PATH("/a"), QUERY("-")}},
                {{METHOD("GET"), TARGET("/a?x#secret")}, {PATH("/a"), QUERY("x")}},
                {{METHOD("GET"), TARGET("//u:p@h/x")}, {PATH("//u:p@h/x"), ADDRESS("10.0.0.1")}},
                {{METHOD("GET"), TARGET("/\xff\xc3(")}, {PATH("/\xef\xbf\xbd\xef\xbf\xbd("), QUERY("-")}},
                /* absolute form */
                {{METHOD("GET"), TARGET("http://far.example/p?q=1"), HOST("other")},
                 {PATH("/p"), QUERY("q=1"), ADDRESS("far.example"), PORT("80"), URL_SCHEME("http")}},
                {{METHOD("GET"), TARGET("HTTPS://user:geheim@far.example:8443?q"), HOST("other")},
                 {PATH("/"), QUERY("q"), ADDRESS("far.example"), PORT("8443"), URL_SCHEME("https")}},
                {{METHOD("GET"), TARGET("https://far.example"), SCHEME("http")},
                 {PATH("/"), ADDRESS("far.example"), PORT("443"), URL_SCHEME("https")}},
                {{METHOD("GET"), TARGET("http://user:ge/heim@far.example/p")},
                 {PATH("/p"), ADDRESS("far.example"), PORT("80")}},
                {{METHOD("GET"), TARGET("http://[2001:db8::1]:81/p")},
                 {PATH("/p"), ADDRESS("2001:db8::1"), PORT("81")}},
                {{METHOD("GET"), TARGET("gopher://h/p"), HOST("h")}, {PATH("/p"), URL_SCHEME("http")}},
                {{METHOD("GET"), TARGET("http://a b/p"), HOST("good:81")},
                 {PATH("/p"), ADDRESS("good"), PORT("81")}},
                /* authority form: the path is there, and empty */
                {{METHOD("CONNECT"), TARGET("far.example:443"), HOST("far.example")},
                 {PATH(""), QUERY("-"), ADDRESS("far.example"), PORT("443"), URL_SCHEME("http")}},
                {{METHOD("CONNECT"), TARGET("u:geheim@far:1"), HOST("far:1")},
                 {PATH(""), ADDRESS("far"), PORT("1")}},
                /* asterisk form */
                {{METHOD("OPTIONS"), TARGET("*"), HOST("h:81")}, {PATH("*"), ADDRESS("h"), PORT("81")}},
                /* none of them */
                {{METHOD("GET"), TARGET("x?y")}, {PATH("x"), QUERY("y")}},
                {{METHOD("GET"), TARGET("http:user:geheim@h/p?q")}, {PATH("h/p"), QUERY("q")}},
                {{METHOD("GET"), TARGET("?y")}, {PATH(""), QUERY("y")}},
                {{METHOD("GET"), TARGET("")}, {PATH("-"), QUERY("-")}},
        };

        check_rows(rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(test_refine_server_when_names_vary)
{
        static const struct server_row rows[] = {
                {{TARGET("/"), HOST("a.example")}, {ADDRESS("a.example"), PORT("80")}},
                {{TARGET("/"), HOST("a.example"), SCHEME("https")}, {ADDRESS("a.example"), PORT("443")}},
                {{TARGET("/"), HOST("[::1]:9000")}, {ADDRESS("::1"), PORT("9000")}},
                {{TARGET("/"), HOST("a.example:")}, {ADDRESS("a.example"), PORT("80")}},
                /* a Host that is none, or no Host: our own end */
                {{TARGET("/")}, {ADDRESS("10.0.0.1"), PORT("8080")}},
                {{TARGET("/"), HOST("u:p@h")}, {ADDRESS("10.0.0.1"), PORT("8080")}},
                {{TARGET("/"), HOST("h:99999")}, {ADDRESS("10.0.0.1"), PORT("8080")}},
                /* proxies; address and port of the same value */
                {{TARGET("/"), HOST("in:81"), X_HOST("out")}, {ADDRESS("out"), PORT("80")}},
                {{TARGET("/"), HOST("in:81"), X_HOST("out:8443, mid"), X_PROTO("https, http")},
                 {ADDRESS("out"), PORT("8443"), URL_SCHEME("https")}},
                {{TARGET("/"), HOST("in:81"), X_HOST("out"), X_PROTO("HTTPS")},
                 {ADDRESS("out"), PORT("443"), URL_SCHEME("https")}},
                {{TARGET("http://target/"), HOST("in"), X_HOST("out")}, {ADDRESS("out"), PORT("80")}},
                {{TARGET("/"), HOST("in"), X_HOST("x"),
                  FORWARDED("for=1.2.3.4;HOST=\"f.example:82\";proto=https")},
                 {ADDRESS("f.example"), PORT("82"), URL_SCHEME("https"), CLIENT("1.2.3.4")}},
                {{TARGET("/"), HOST("in"), X_HOST("x:1"), FORWARDED("host=\"a b\"")},
                 {ADDRESS("x"), PORT("1")}},
                {{TARGET("/"), HOST("in"), X_HOST("<script>")}, {ADDRESS("in"), PORT("80")}},
                /* schemes that are none of HTTP's */
                {{TARGET("/"), X_PROTO("javascript")}, {URL_SCHEME("http")}},
                {{TARGET("/"), X_PROTO("https"), FORWARDED("proto=gopher")}, {URL_SCHEME("https")}},
                {{TARGET("/"), X_PROTO("wss")}, {URL_SCHEME("wss"), ADDRESS("10.0.0.1")}},
                {{TARGET("/"), SCHEME("ftp")}, {URL_SCHEME("http")}},
        };

        check_rows(rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(test_refine_server_when_clients_vary)
{
        static const struct server_row rows[] = {
                {{TARGET("/")}, {CLIENT("10.0.0.9"), CLIENT_PORT("-")}},
                {{X_FOR("203.0.113.7")}, {CLIENT("203.0.113.7"), CLIENT_PORT("-")}},
                {{X_FOR(" 203.0.113.7 , 10.1.1.1")}, {CLIENT("203.0.113.7")}},
                {{X_FOR("203.0.113.7:4711, 10.1.1.1")}, {CLIENT("203.0.113.7"), CLIENT_PORT("4711")}},
                {{X_FOR("2001:DB8::1")}, {CLIENT("2001:db8::1"), CLIENT_PORT("-")}},
                {{X_FOR("[2001:db8::1]:4711")}, {CLIENT("2001:db8::1"), CLIENT_PORT("4711")}},
                {{X_FOR("\"[2001:db8::1]\"")}, {CLIENT("2001:db8::1"), CLIENT_PORT("-")}},
                {{X_FOR("::ffff:203.0.113.7")}, {CLIENT("203.0.113.7")}},
                {{X_FOR("unknown, 203.0.113.7")}, {CLIENT("10.0.0.9")}},
                {{X_FOR("")}, {CLIENT("10.0.0.9")}},
                {{X_FOR(",203.0.113.7")}, {CLIENT("10.0.0.9")}},
                {{X_FOR("203.0.113.7x")}, {CLIENT("10.0.0.9")}},
                {{X_FOR("[203.0.113.7")}, {CLIENT("203.0.113.7")}},
                {{X_FOR("[::1]x")}, {CLIENT("10.0.0.9")}},
                {{X_FOR("203.0.113.7:99999")}, {CLIENT("203.0.113.7"), CLIENT_PORT("-")}},
                {{FORWARDED("for=192.0.2.60;proto=http;by=203.0.113.43")}, {CLIENT("192.0.2.60")}},
                {{FORWARDED("For=\"[2001:db8:cafe::17]:4711\"")},
                 {CLIENT("2001:db8:cafe::17"), CLIENT_PORT("4711")}},
                {{FORWARDED("proto=https; for=192.0.2.43, for=198.51.100.17")},
                 {CLIENT("192.0.2.43"), URL_SCHEME("https")}},
                {{FORWARDED("for=\"192.0.2.43:_hidden\"")}, {CLIENT("192.0.2.43"), CLIENT_PORT("-")}},
                {{FORWARDED("for=\"192.0.2.\\43\"")}, {CLIENT("192.0.2.43")}},
                {{FORWARDED("by=\"a;for=1.1.1.1\";for=192.0.2.43")}, {CLIENT("192.0.2.43")}},
                /* hidden ones, and fields that are none */
                {{FORWARDED("for=unknown, for=198.51.100.17")}, {CLIENT("10.0.0.9")}},
                {{FORWARDED("for=_gazonk"), X_FOR("203.0.113.7")}, {CLIENT("203.0.113.7")}},
                {{FORWARDED("for=\"192.0.2.43")}, {CLIENT("10.0.0.9")}},
                {{FORWARDED("for=")}, {CLIENT("10.0.0.9")}},
                {{FORWARDED("for")}, {CLIENT("10.0.0.9")}},
                {{FORWARDED("=;=,;,=\"\"")}, {CLIENT("10.0.0.9")}},
                {{FORWARDED(";;,, ;for=192.0.2.43")}, {CLIENT("192.0.2.43")}},
        };

        check_rows(rows, ARRAY_LEN(rows));
}
END_TEST

struct status_row {
        int64_t status;
        enum semconv key; /* a number of the record that says what went wrong */
        int64_t number;
        const char *type; /* "-": no error */
};

START_TEST(test_refine_server_when_status_varies)
{
        static const struct status_row rows[] = {
                {200, 0, 0, "-"},
                {101, 0, 0, "-"},
                {302, 0, 0, "-"},
                {400, 0, 0, "-"},
                {404, 0, 0, "-"},
                {499, 0, 0, "-"},
                {500, 0, 0, "500"},
                {503, 0, 0, "503"},
                {500, SEMCONV_RAW_ERRNO, EPIPE, "500"},
                {200, SEMCONV_RAW_ERRNO, EPIPE, "EPIPE"},
                {404, SEMCONV_RAW_ERRNO, ECONNRESET, "ECONNRESET"},
                {0, SEMCONV_RAW_ERRNO, ECONNRESET, "ECONNRESET"},
                {200, SEMCONV_RAW_TRUNCATED, 1, "unexpected_eof"},
                {0, SEMCONV_RAW_UNANSWERED, 1, "no_response"},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                static const struct given given[] = {METHOD("GET"), TARGET("/"), {0, NULL}};
                struct span raw = server_raw(given);
                bool error = strcmp(rows[i].type, "-") != 0;
                struct refined got;

                if (rows[i].status)
                        span_add_int(&raw, SEMCONV_HTTP_RESPONSE_STATUS_CODE, rows[i].status);
                if (rows[i].number)
                        span_add_int(&raw, rows[i].key, rows[i].number);
                refine_one(&got, &raw, NULL);
                ck_assert_str_eq(out_text(got.spans, "error.type"), rows[i].type);
                ck_assert_int_eq(got.spans->status, error ? SPAN_ERROR : SPAN_UNSET);
                ck_assert_int_eq(out_find(got.spans, "http.response.status_code") != NULL,
                                 rows[i].status != 0);
                refined_done(&got);
        }
}
END_TEST

START_TEST(test_refine_server_when_protocol_varies)
{
        static const struct given fastcgi[] = {
                METHOD("GET"), TARGET("/"), {SEMCONV_NETWORK_PROTOCOL_NAME, "fastcgi"}, {0, NULL}};
        static const struct given http[] = {
                METHOD("GET"), TARGET("/"), {SEMCONV_NETWORK_PROTOCOL_NAME, "HTTP"}, {0, NULL}};
        struct span raw = server_raw(fastcgi);
        struct refined got;

        span_add_int(&raw, SEMCONV_RAW_HTTP_VERSION, 11); /* of whatever lies above */
        refine_one(&got, &raw, NULL);
        ck_assert_str_eq(out_text(got.spans, "network.protocol.name"), "fastcgi");
        ck_assert_str_eq(out_text(got.spans, "network.protocol.version"), "-");
        refined_done(&got);
        raw = server_raw(http);
        span_add_int(&raw, SEMCONV_RAW_HTTP_VERSION, 10);
        refine_one(&got, &raw, NULL);
        ck_assert_str_eq(out_text(got.spans, "network.protocol.name"), "-");
        ck_assert_str_eq(out_text(got.spans, "network.protocol.version"), "1.0");
        refined_done(&got);
}
END_TEST

/* A UNIX socket: no addresses at all. And what the agent says of its own work. */
START_TEST(test_refine_server_when_addresses_are_missing)
{
        struct span raw = raw_span(SHAPE_HTTP_SERVER);
        struct refined got;

        span_add_str(&raw, SEMCONV_RAW_METHOD, SLICE("get"));
        span_add_str(&raw, SEMCONV_RAW_TARGET, SLICE("/"));
        span_add_str(&raw, SEMCONV_OTEL_PARENT_RULE, SLICE("header"));
        refine_one(&got, &raw, "/");
        ck_assert_str_eq(out_text(got.spans, "server.address"), "-");
        ck_assert_str_eq(out_text(got.spans, "server.port"), "-");
        ck_assert_str_eq(out_text(got.spans, "client.address"), "-");
        ck_assert_str_eq(out_text(got.spans, "network.peer.address"), "-");
        ck_assert_str_eq(out_text(got.spans, "http.request.method"), "_OTHER");
        ck_assert_str_eq(out_text(got.spans, "http.request.method_original"), "get");
        ck_assert_str_eq(out_text(got.spans, "otel.instrument.parent_rule"), "header");
        ck_assert_str_eq(got.spans->name.p, "HTTP /");
        refined_done(&got);
}
END_TEST

/* What is told of TLS comes from another process: no more of it is believed than is there. */
START_TEST(test_refine_server_when_it_goes_over_tls)
{
        static const struct {
                const char *bytes;
                size_t len;
                const char *name, *version, *cipher, *next, *resumed;
        } rows[] = {
                {"\4\3\1\3\2TLSh2", 10, "tls", "1.3", "TLS", "h2", "1"},
                {"\3\3\0\3\0TLS", 8, "tls", "1.2", "TLS", "-", "0"},
                {"\0\3\2\0\0", 5, "ssl", "3", "-", "-", "1"},
                {"\5\3\0\377\377TLS", 8, "-", "-", "TLS", "-", "0"},
                {"\377\2\0\2\377TLS", 8, "-", "-", "TL", "S", "0"},
                {"\4\3\1\0", 4, "-", "-", "-", "-", "-"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct span raw = raw_span(SHAPE_HTTP_SERVER);
                struct refined got;

                span_add_str(&raw, SEMCONV_RAW_METHOD, SLICE("GET"));
                span_add_bytes(&raw, SEMCONV_RAW_TLS, slice_make(rows[i].bytes, rows[i].len));
                refine_one(&got, &raw, "/");
                ck_assert_str_eq(out_text(got.spans, "tls.protocol.name"), rows[i].name);
                ck_assert_str_eq(out_text(got.spans, "tls.protocol.version"), rows[i].version);
                ck_assert_str_eq(out_text(got.spans, "tls.cipher"), rows[i].cipher);
                ck_assert_str_eq(out_text(got.spans, "tls.next_protocol"), rows[i].next);
                ck_assert_str_eq(out_text(got.spans, "tls.resumed"), rows[i].resumed);
                refined_done(&got);
        }
}
END_TEST

static const char routes[] =
        "/users/{id}, /users/me ,/users/{id}/posts/{post},,/files/{path...},/a/*/c,/a/{b}/c,"
        "/a/b/{c},/caf%C3%A9,/dir/";

START_TEST(test_refine_routes_find_when_paths_vary)
{
        static const struct {
                const char *path, *route; /* NULL: none */
        } rows[] = {
                {"/users/1", "/users/{id}"},
                {"/%75sers/1", "/users/{id}"},
                {"/users/me", "/users/me"},
                {"/users/", NULL},
                {"/users", NULL},
                {"/users/1/", NULL},
                {"/Users/1", NULL},
                {"/users/1/posts/2", "/users/{id}/posts/{post}"},
                {"/users/a%2Fb", "/users/{id}"},
                {"/files/", "/files/{path...}"},
                {"/files/a/b/c", "/files/{path...}"},
                {"/files", NULL},
                {"/a/x/c", "/a/*/c"},
                {"/a/b/c", "/a/*/c"}, /* as literal as the others, and listed first */
                {"/a/b/d", "/a/b/{c}"},
                {"/caf\xc3\xa9", "/caf%C3%A9"},
                {"/caf%c3%a9", "/caf%C3%A9"},
                {"/caf%c3%a", NULL},
                {"/dir/", "/dir/"},
                {"/dir", NULL},
                {"//users/1", NULL},
                {"/", NULL},
                {"", NULL},
                {"*", NULL},
                {"users/1", NULL},
        };
        struct refine_routes *table = refine_routes_new(slice_str(routes));

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                size_t len = strlen(rows[i].path);
                struct slice path = slice_make(unit_guarded(rows[i].path, len), len);
                struct slice route = refine_routes_find(table, path);

                ck_assert_msg(slice_eq(route, slice_str(rows[i].route)), "%s: %.*s", rows[i].path,
                              (int)route.len, route.p);
        }
        ck_assert_uint_eq(refine_routes_find(NULL, SLICE("/")).len, 0);
        refine_routes_free(table);
}
END_TEST

START_TEST(test_refine_routes_new_when_patterns_are_bad)
{
        static const char *const bad[] = {
                "",    ",",       " , ",       "users", "{id}", "*",   "/{}",  "/{a",    "/a}",   "/x{a}",
                "/v*", "/{a}{b}", "/{a...}/b", "/a?b",  "/a#b", "/**", "/{*}", "/{{a}}", "/{a}x",
        };
        struct refine_routes *table;
        char many[4000] = "";

        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                ck_assert_msg(!refine_routes_new(slice_str(bad[i])), "%s", bad[i]);
        /* The others keep working. */
        table = refine_routes_new(SLICE("/{a...}/b,users,/good/{id},/x{"));
        ck_assert(slice_eq(refine_routes_find(table, SLICE("/good/1")), SLICE("/good/{id}")));
        refine_routes_free(table);
        for (unsigned i = 0; i <= LIMIT_ROUTES; i++)
                snprintf(many + strlen(many), sizeof(many) - strlen(many), "/r%u,", i);
        table = refine_routes_new(slice_str(many));
        ck_assert_uint_eq(refine_routes_find(table, SLICE("/r255")).len, 5);
        ck_assert_uint_eq(refine_routes_find(table, SLICE("/r256")).len, 0);
        refine_routes_free(table);
}
END_TEST

START_TEST(test_refine_server_when_routes_are_set)
{
        static const struct {
                const char *method, *target, *name, *route;
        } rows[] = {
                {"GET", "/users/7?x", "GET /users/{id}", "/users/{id}"},
                {"DELETE", "http://h/users/7", "DELETE /users/{id}", "/users/{id}"},
                {"PROPFIND", "/users/7", "HTTP /users/{id}", "/users/{id}"},
                {"GET", "/nobody/7", "GET", "-"},
                {"CONNECT", "users:7", "CONNECT", "-"},
                {"OPTIONS", "*", "OPTIONS", "-"},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                const struct given given[] = {METHOD(rows[i].method), TARGET(rows[i].target), {0, NULL}};
                struct span raw = server_raw(given);
                struct refined got;

                refine_one(&got, &raw, routes);
                ck_assert_str_eq(got.spans->name.p, rows[i].name);
                ck_assert_str_eq(out_text(got.spans, "http.route"), rows[i].route);
                refined_done(&got);
        }
}
END_TEST

/* Every beginning of a hostile field, at the end of readable memory. */
START_TEST(test_refine_forwarded_get_when_fields_are_hostile)
{
        static const char field[] =
                " for=\"[::1]:\\\"1\" ; proto = https;;host=\"\\\\\\\",x=y\",\0=\";\" for=\"\\";
        struct arena arena = {.max = 0};
        struct refine_peer node;

        for (size_t len = 0; len < sizeof(field); len++) {
                struct slice text = slice_make(unit_guarded(field, len), len);

                (void)refine_forwarded_get(&arena, text, SLICE("for"));
                (void)refine_forwarded_get(&arena, text, SLICE("none"));
                for (size_t from = 0; from <= len; from++) {
                        (void)refine_forwarded_first(slice_from(text, from));
                        (void)refine_forwarded_node(slice_from(text, from), &node);
                }
        }
        ck_assert(slice_eq(refine_forwarded_get(&arena, slice_make(field, sizeof(field)), SLICE("host")),
                           SLICE("\\\",x=y")));
        ck_assert(slice_eq(refine_forwarded_get(&arena, SLICE("proto = https;a=b"), SLICE("proto")),
                           SLICE("https")));
        ck_assert(!refine_forwarded_node(slice_make("1.2.3.4\0x", 9), &node));
        arena_done(&arena);
}
END_TEST

UNIT_MAIN("refine-server", test_refine_server_when_complete, test_refine_server_when_target_varies,
          test_refine_server_when_names_vary, test_refine_server_when_clients_vary,
          test_refine_server_when_status_varies, test_refine_server_when_protocol_varies,
          test_refine_server_when_addresses_are_missing, test_refine_server_when_it_goes_over_tls,
          test_refine_routes_find_when_paths_vary, test_refine_routes_new_when_patterns_are_bad,
          test_refine_server_when_routes_are_set, test_refine_forwarded_get_when_fields_are_hostile)
