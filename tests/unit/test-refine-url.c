/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_url.h"
#include "tests/unit/unit.h"

struct url_row {
        const char *url, *written, *host;
        int port;
};

static const struct url_row url_rows[] = {
        {"http://h", "http://h", "h", 0},
        {"http://h:8080/p?q=1#f", "http://h:8080/p?q=1#f", "h", 8080},
        {"http://h:/p", "http://h:/p", "h", 0},
        {"http://[::1]:80/", "http://[::1]:80/", "::1", 80},
        {"http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/", "fe80::1%25eth0", 0},
        {"http://b\xc3\xbc"
         "cher.example/",
         "http://b\xc3\xbc"
         "cher.example/",
         "b\xc3\xbc"
         "cher.example",
         0},
        {"file:///etc/hosts", "file:///etc/hosts", "", 0},
        /* credentials */
        {"http://u:p@h/", "http://REDACTED:REDACTED@h/", "h", 0},
        {"http://u@h/", "http://REDACTED:REDACTED@h/", "h", 0},
        {"http://@h/", "http://REDACTED:REDACTED@h/", "h", 0},
        {"http://u:p@x@h:1/", "http://REDACTED:REDACTED@h:1/", "h", 1},
        {"http://u:p%40@[::1]:1/", "http://REDACTED:REDACTED@[::1]:1/", "::1", 1},
        {"http://u:p@h?q", "http://REDACTED:REDACTED@h?q", "h", 0},
        {"http://u:p/w@h/x", "http://REDACTED:REDACTED@h/x", "h", 0},
        {"http://u:p#w@h/x", "http://REDACTED:REDACTED@h/x", "h", 0},
        {"http://u:p?w@h:9/x?y", "http://REDACTED:REDACTED@h:9/x?y", "h", 9},
        {"http://u:p@", "http://REDACTED:REDACTED@", "", 0},
        {"http://h/a@b", "http://h/a@b", "h", 0},
        {"http://h:80/a@b?c@d", "http://h:80/a@b?c@d", "h", 80},
        /* secrets in the query: the key whole and exact */
        {"http://h/?sig=abc", "http://h/?sig=REDACTED", "h", 0},
        {"http://h/?sig=", "http://h/?sig=REDACTED", "h", 0},
        {"http://h/?sig", "http://h/?sig", "h", 0},
        {"http://h/?Sig=abc&SIG=1", "http://h/?Sig=abc&SIG=1", "h", 0},
        {"http://h/?asig=abc&sigb=1", "http://h/?asig=abc&sigb=1", "h", 0},
        {"http://h/?a=1&sig=b=c&d=2", "http://h/?a=1&sig=REDACTED&d=2", "h", 0},
        {"http://h/?sig=1&sig=2#sig=3", "http://h/?sig=REDACTED&sig=REDACTED#sig=3", "h", 0},
        {"http://h?X-Amz-Signature=1&X-Amz-Credential=2&X-Amz-Security-Token=3&X-Goog-Signature=4",
         "http://h?X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED"
         "&X-Goog-Signature=REDACTED",
         "h", 0},
        {"http://h/?AWSAccessKeyId=1&Signature=2", "http://h/?AWSAccessKeyId=1&Signature=2", "h", 0},
        {"http://h/?&&=&", "http://h/?&&=&", "h", 0},
        {"http://h/#?sig=1", "http://h/#?sig=1", "h", 0},
        /* hosts that are none */
        {"http://h:x/", "http://h:x/", "", 0},
        {"http://h:65536/", "http://h:65536/", "", 0},
        {"http://a b/", "http://a b/", "", 0},
        {"http://[h]/", "http://[h]/", "", 0},
        {"http://[::1/", "http://[::1/", "", 0},
        {"http://[::1]x/", "http://[::1]x/", "", 0},
        {"http://", "http://", "", 0},
};

START_TEST(test_refine_url_split_when_absolute)
{
        for (size_t i = 0; i < sizeof(url_rows) / sizeof(*url_rows); i++) {
                const struct url_row *row = &url_rows[i];
                size_t len = strlen(row->url);
                struct slice url = slice_make(unit_guarded(row->url, len), len);
                struct arena arena = {.max = 0};
                struct text text = {.arena = &arena};
                struct refine_url parts;

                ck_assert_msg(refine_url_split(url, &parts), "%s", row->url);
                refine_url_write(&text, &parts);
                ck_assert_str_eq(text_get(&text).p, row->written);
                ck_assert_msg(slice_eq(parts.host, slice_str(row->host)), "%s", row->url);
                ck_assert_int_eq(parts.port, row->port);
                arena_done(&arena);
        }
}
END_TEST

START_TEST(test_refine_url_split_when_relative)
{
        static const char *const rows[] = {"",          "/",         "*",       "h:80", "http",
                                           "http:",     "http:/",    "http:/h", "://h", "1http://h",
                                           "h ttp://h", "/http://h", "\x00://"};
        struct refine_url parts;

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                size_t len = strlen(rows[i]);

                ck_assert_msg(!refine_url_split(slice_make(unit_guarded(rows[i], len), len), &parts), "%s",
                              rows[i]);
        }
}
END_TEST

/* No prefix of a URL makes it read further or write a password. */
START_TEST(test_refine_url_split_when_cut)
{
        static const char url[] = "https://user:hunter2@example.com:8443/p?sig=hunter2&a=b#f";

        for (size_t len = 0; len <= strlen(url); len++) {
                struct arena arena = {.max = 0};
                struct text text = {.arena = &arena};
                struct refine_url parts;

                if (refine_url_split(slice_make(unit_guarded(url, len), len), &parts)) {
                        refine_url_write(&text, &parts);
                        if (len >= strlen("https://user:hunter2@"))
                                ck_assert_ptr_null(strstr(text_get(&text).p, "hunter2"));
                }
                arena_done(&arena);
        }
}
END_TEST

START_TEST(test_refine_url_scheme_when_known)
{
        ck_assert_int_eq(refine_url_scheme(SLICE("HTTP"))->port, 80);
        ck_assert_int_eq(refine_url_scheme(SLICE("https"))->port, 443);
        ck_assert(!refine_url_scheme(SLICE("ftp"))->http);
        ck_assert_ptr_null(refine_url_scheme(SLICE("httpx")));
        ck_assert_ptr_null(refine_url_scheme(SLICE_NULL));
}
END_TEST

UNIT_MAIN("refine-url", test_refine_url_split_when_absolute, test_refine_url_split_when_relative,
          test_refine_url_split_when_cut, test_refine_url_scheme_when_known)
