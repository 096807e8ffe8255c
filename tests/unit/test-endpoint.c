/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <errno.h>

#include "agent/base/load.h"
#include "agent/base/log.h"
#include "export/endpoint.h"
#include "tests/unit/unit.h"

START_TEST(test_endpoint_url_when_good)
{
        static const struct {
                const char *text, *append, *url, *host;
                unsigned port;
                bool https;
        } rows[] = {
                {"http://c:4318", "v1/traces", "http://c:4318/v1/traces", "c", 4318, false},
                {"http://c:4318/", "v1/traces", "http://c:4318/v1/traces", "c", 4318, false},
                {"http://c:4318/my", "v1/traces", "http://c:4318/my/v1/traces", "c", 4318, false},
                {"http://c:4318/my/", "v1/traces", "http://c:4318/my/v1/traces", "c", 4318, false},
                {"http://c", "v1/traces", "http://c/v1/traces", "c", 80, false},
                {"https://c", "v1/traces", "https://c/v1/traces", "c", 443, true},
                {"HTTPS://c/a%20b", "v1/traces", "https://c/a%20b/v1/traces", "c", 443, true},
                {"http://c/my?key=1", "v1/traces", "http://c/my/v1/traces?key=1", "c", 80, false},
                {"http://[::1]:4318", "v1/traces", "http://[::1]:4318/v1/traces", "::1", 4318, false},
                {" http://c:4318 ", "v1/traces", "http://c:4318/v1/traces", "c", 4318, false},
                {"http://c:4318", NULL, "http://c:4318/", "c", 4318, false},
                {"https://c/v1/traces/", NULL, "https://c/v1/traces/", "c", 443, true},
                {"https://c/v1/traces", NULL, "https://c/v1/traces", "c", 443, true},
                {"http://c/x#part", NULL, "http://c/x", "c", 80, false},
                {"http://u:p@c/x", NULL, "http://u:p@c/x", "c", 80, false},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct endpoint endpoint = {0};

                ck_assert_msg(endpoint_url(rows[i].text, rows[i].append, &endpoint) == 0, "%s", rows[i].text);
                ck_assert_str_eq(endpoint.url, rows[i].url);
                ck_assert_str_eq(endpoint.host, rows[i].host);
                ck_assert_uint_eq(endpoint.port, rows[i].port);
                ck_assert_int_eq(endpoint.https, rows[i].https);
                endpoint_done(&endpoint);
        }
}
END_TEST

START_TEST(test_endpoint_url_when_bad)
{
        static const char *const bad[] = {
                "",          " ",         "http://",       "collector",      "collector:4318", "ftp://c/x",
                "unix:///x", "file:///x", "http://c:0x10", "http://c:99999", "http://a b/",    "http://c/\n",
                "grpc://c",  "//c/x",     "http://:4318",  "http://[::1",    "telnet://c",
        };

        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct endpoint endpoint = {0};

                ck_assert_msg(endpoint_url(bad[i], NULL, &endpoint) == -EINVAL, "\"%s\"", bad[i]);
                ck_assert_ptr_null(endpoint.url);
                ck_assert_ptr_null(endpoint.host);
        }
}
END_TEST

/* Runs @text through endpoint_headers() and compares with lines joined by '|'. */
static void expect_headers(const char *text, const char *joined)
{
        struct curl_slist *headers = NULL;
        char got[4096] = "";

        ck_assert_int_eq(endpoint_headers("OTEL_EXPORTER_OTLP_HEADERS", text, &headers), 0);
        for (const struct curl_slist *line = headers; line; line = line->next) {
                ck_assert_uint_lt(strlen(got) + strlen(line->data) + 2, sizeof(got));
                strcat(got, line->data);
                if (line->next)
                        strcat(got, "|");
        }
        curl_slist_free_all(headers);
        ck_assert_str_eq(got, joined);
}

START_TEST(test_endpoint_headers_when_good)
{
        expect_headers("", "");
        expect_headers("a=b", "a: b");
        expect_headers("a=b,c=d", "a: b|c: d");
        expect_headers(" a = b , c = d ,, ,", "a: b|c: d");
        expect_headers("Authorization=Bearer%20abc", "Authorization: Bearer abc");
        expect_headers("Authorization=Basic dXNlcjpw==", "Authorization: Basic dXNlcjpw==");
        expect_headers("a=1+2", "a: 1+2");
        expect_headers("a=%2C%3D%25", "a: ,=%");
        expect_headers("a=%c3%a4", "a: \xc3\xa4");
        expect_headers("a=", "a;"); /* how libcurl is told of an empty field */
        expect_headers("a=b;c", "a: b;c");
}
END_TEST

START_TEST(test_endpoint_headers_when_malformed)
{
        expect_headers("nothing", "");
        expect_headers("=x", "");
        expect_headers("a b=x,good=1", "good: 1");
        expect_headers("a:b=x,good=1", "good: 1");
        expect_headers("a=%,good=1", "good: 1");
        expect_headers("a=%4,good=1", "good: 1");
        expect_headers("a=%zz,good=1", "good: 1");
        expect_headers("a=%0d%0aX-Evil:1,good=1", "good: 1");
        expect_headers("a=%00,good=1", "good: 1");
        expect_headers("a=%7f,good=1", "good: 1");
        expect_headers("Content-Type=text/plain,CONTENT-LENGTH=3,good=1", "good: 1");
        expect_headers("Transfer-Encoding=chunked,Connection=close,Expect=x,content-encoding=gzip", "");
}
END_TEST

START_TEST(test_endpoint_headers_when_oversized)
{
        size_t len = 100000;
        char *text = malloc(len + 16);
        size_t at;

        memset(text, 'x', len);
        memcpy(text, "a=", 2);
        strcpy(text + len, ",good=1");
        expect_headers(text, "good: 1");

        at = 0;
        for (unsigned i = 0; i < 1000; i++)
                at += (size_t)sprintf(text + at, "k=v,");
        struct curl_slist *headers = NULL;
        unsigned n = 0;
        ck_assert_int_eq(endpoint_headers("OTEL_EXPORTER_OTLP_HEADERS", text, &headers), 0);
        for (const struct curl_slist *line = headers; line; line = line->next)
                n++;
        ck_assert_uint_eq(n, 64);
        curl_slist_free_all(headers);
        free(text);
}
END_TEST

static void load(struct config *ret_config, char **envp)
{
        config_load(ret_config, envp, NULL, NULL);
}

START_TEST(test_endpoint_traces_when_defaults)
{
        struct config config;
        struct endpoint endpoint;
        char *envp[] = {NULL};

        load(&config, envp);
        ck_assert_int_eq(endpoint_traces(&config, &endpoint), 0);
        ck_assert_str_eq(endpoint.url, "http://localhost:4318/v1/traces");
        ck_assert_ptr_null(endpoint.headers);
        ck_assert_int_eq(endpoint.timeout_ms, 10000);
        endpoint_done(&endpoint);
}
END_TEST

START_TEST(test_endpoint_traces_when_own_settings)
{
        struct config config;
        struct endpoint endpoint;
        char *envp[] = {
                "OTEL_EXPORTER_OTLP_ENDPOINT=http://general:1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://own:2",
                "OTEL_EXPORTER_OTLP_HEADERS=a=general,b=general",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=own",
                "OTEL_EXPORTER_OTLP_TIMEOUT=7000",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=3000",
                NULL,
        };

        load(&config, envp);
        ck_assert_int_eq(endpoint_traces(&config, &endpoint), 0);
        ck_assert_str_eq(endpoint.url, "http://own:2/");
        ck_assert_str_eq(endpoint.headers->data, "a: own");
        ck_assert_ptr_null(endpoint.headers->next);
        ck_assert_int_eq(endpoint.timeout_ms, 3000);
        endpoint_done(&endpoint);
}
END_TEST

START_TEST(test_endpoint_traces_when_timeouts)
{
        static const struct {
                char *own, *bsp;
                int64_t expected;
        } rows[] = {
                {"OTEL_EXPORTER_OTLP_TIMEOUT=0", "OTEL_BSP_EXPORT_TIMEOUT=0", 0},
                {"OTEL_EXPORTER_OTLP_TIMEOUT=0", "OTEL_BSP_EXPORT_TIMEOUT=500", 500},
                {"OTEL_EXPORTER_OTLP_TIMEOUT=500", "OTEL_BSP_EXPORT_TIMEOUT=0", 500},
                {"OTEL_EXPORTER_OTLP_TIMEOUT=500", "OTEL_BSP_EXPORT_TIMEOUT=400", 400},
                {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=0", "OTEL_BSP_EXPORT_TIMEOUT=30000", 30000},
        };

        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct config config;
                struct endpoint endpoint;
                char *envp[] = {rows[i].own, rows[i].bsp, NULL};

                load(&config, envp);
                ck_assert_int_eq(endpoint_traces(&config, &endpoint), 0);
                ck_assert_int_eq(endpoint.timeout_ms, rows[i].expected);
                endpoint_done(&endpoint);
        }
}
END_TEST

START_TEST(test_endpoint_traces_when_secret_in_bad_url)
{
        struct config config;
        struct endpoint endpoint;
        char *envp[] = {"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://user:geheim@c/", "OTEL_EXPORTER_OTLP_HEADERS=x",
                        NULL};
        char text[1024];
        int fds[2];
        ssize_t n;

        ck_assert_int_eq(pipe(fds), 0);
        log_set_target((struct log_target){.level = LOG_DEBUG, .fd = fds[1]});
        load(&config, envp);
        ck_assert_int_eq(endpoint_traces(&config, &endpoint), -EINVAL);
        log_set_target((struct log_target){.fd = -1});
        close(fds[1]);
        n = read(fds[0], text, sizeof(text) - 1);
        ck_assert_int_gt(n, 0);
        text[n] = '\0';
        close(fds[0]);
        ck_assert_ptr_nonnull(strstr(text, "OTEL_EXPORTER_OTLP_ENDPOINT"));
        ck_assert_ptr_null(strstr(text, "geheim"));
        ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
}
END_TEST

UNIT_MAIN("endpoint", test_endpoint_url_when_good, test_endpoint_url_when_bad,
          test_endpoint_headers_when_good, test_endpoint_headers_when_malformed,
          test_endpoint_headers_when_oversized, test_endpoint_traces_when_defaults,
          test_endpoint_traces_when_own_settings, test_endpoint_traces_when_timeouts,
          test_endpoint_traces_when_secret_in_bad_url)
