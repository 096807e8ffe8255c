/* SPDX-License-Identifier: Apache-2.0 */
/* The libcurl seam against a libcurl of our own that says what each test wants it to say. */
#include <stdarg.h>

#include "agent/base/guard.h"
#include "agent/base/stats.h"
#include "agent/trace/scope.h"
#include "hooks/curl/curl_transfer.h"
#include "tests/unit/unit.h"

#define PARENT "00-12345678901234567890123456789012-1234567890123456-01"

/* --- the agent's side: what it was told --- */

static struct tap_request_result results[8];
static char urls[8][64];
static unsigned result_count, forgotten;

/* The context that is taken for one that is passed on. */
#define PASSED_ON "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-01"

static bool deferred;

bool tap_http_begin(struct tap_request *request, const struct tap_request_start *start)
{
        request->active = false;
        if (start->traceparent.len && !slice_eq(start->traceparent, SLICE(PASSED_ON)))
                return false;
        request->start_mono_ns = start->mono_ns;
        deferred = start->deferred;
        scope_decide(&request->decision, &(struct cause_departure){.opening = NULL}, NULL);
        request->active = true;
        return true;
}

void tap_http_resend(struct tap_request *request, uint64_t start_mono_ns)
{
        scope_again(&request->decision);
        request->start_mono_ns = start_mono_ns;
        request->active = true;
}

void tap_http_open(struct tap_request *request, const struct tap_request_result *so_far)
{
}

void tap_http_end(struct tap_request *request, const struct tap_request_result *result)
{
        ck_assert(request->active);
        ck_assert_uint_lt(result->url.len, sizeof(urls[0]));
        memcpy(urls[result_count], result->url.p, result->url.len);
        results[result_count++] = *result;
        request->active = false;
}

void tap_http_forget(struct tap_request *request)
{
        forgotten++;
        request->active = false;
}

/* --- libcurl's side: a handle is its options and what it answers --- */

struct easy {
        struct curl_slist *headers;
        curl_prereq_callback prereq;
        void *prereq_data;
        const char *url, *scheme;
        long status;
        curl_off_t header_size, redirect_us, redirects;
        bool old; /* without PREREQ */
};

static CURLcode fake_setopt(CURL *curl, CURLoption option, ...)
{
        struct easy *easy = curl;
        va_list args;
        void *value;

        va_start(args, option);
        value = va_arg(args, void *);
        va_end(args);
        if (easy->old && (option == CURLOPT_PREREQFUNCTION || option == CURLOPT_PREREQDATA))
                return CURLE_UNKNOWN_OPTION;
        if (option == CURLOPT_HTTPHEADER)
                easy->headers = value;
        else if (option == CURLOPT_PREREQFUNCTION)
                easy->prereq = (curl_prereq_callback)value;
        else if (option == CURLOPT_PREREQDATA)
                easy->prereq_data = value;
        return CURLE_OK;
}

static CURLcode fake_getinfo(CURL *curl, CURLINFO info, ...)
{
        struct easy *easy = curl;
        va_list args;
        void *to;

        va_start(args, info);
        to = va_arg(args, void *);
        va_end(args);
        if (info == CURLINFO_EFFECTIVE_URL)
                *(const char **)to = easy->url;
        else if (info == CURLINFO_SCHEME)
                *(const char **)to = easy->scheme;
        else if (info == CURLINFO_RESPONSE_CODE)
                *(long *)to = easy->status;
        else if (info == CURLINFO_HEADER_SIZE)
                *(curl_off_t *)to = easy->header_size;
        else if (info == CURLINFO_REDIRECT_TIME_T)
                *(curl_off_t *)to = easy->redirect_us;
        else if (info == CURLINFO_REDIRECT_COUNT)
                *(curl_off_t *)to = easy->redirects;
        else
                return CURLE_UNKNOWN_OPTION;
        return CURLE_OK;
}

static const struct curl_library library = {.curl_easy_setopt = fake_setopt,
                                            .curl_easy_getinfo = fake_getinfo};

/* As the hook does it. */
static void host_sets(struct curl_handle *handle, CURLoption option, void *value)
{
        if (curl_transfer_setopt(handle, option, value))
                return;
        fake_setopt(handle->easy, option, value);
        curl_handle_keep(handle, option, value);
}

static struct curl_handle *made(struct easy *easy)
{
        struct curl_handle *handle;

        process_generation = 1;
        agent_enabled = 1;
        easy->scheme = "HTTP";
        easy->url = "http://h/first";
        curl_handle_new(easy, &library, NULL);
        handle = curl_handle_find(easy);
        ck_assert_ptr_nonnull(handle);
        host_sets(handle, CURLOPT_URL, (void *)easy->url);
        return handle;
}

/* libcurl is about to send a request. */
static int requests(struct easy *easy)
{
        return easy->prereq(easy->prereq_data, "127.0.0.1", "127.0.0.1", 80, 1000);
}

static void answers(struct easy *easy, long status)
{
        easy->status = status;
        easy->header_size += 100;
}

static void redirects_to(struct easy *easy, const char *url)
{
        easy->url = url;
        easy->redirect_us += 10;
        easy->redirects++;
}

static unsigned contexts_in(const struct curl_slist *list)
{
        unsigned count = 0;

        for (; list; list = list->next)
                count += strncasecmp(list->data, "traceparent:", 12) == 0;
        return count;
}

START_TEST(test_transfer_gives_the_hosts_options_back)
{
        struct curl_slist list = {(char *)"X-Mine: 1", NULL};
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        host_sets(handle, CURLOPT_HTTPHEADER, &list);
        host_sets(handle, CURLOPT_PREREQDATA, &list);
        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_uint_eq(contexts_in(easy.headers), 1);
        ck_assert_ptr_eq(easy.headers->next, &list);
        ck_assert_ptr_null(list.next);
        ck_assert_ptr_ne(easy.prereq_data, &list);
        ck_assert(!curl_transfer_begin(handle, false)); /* libcurl's own call */
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
        ck_assert_ptr_eq(easy.headers, &list);
        ck_assert_ptr_null(easy.prereq);
        ck_assert_ptr_eq(easy.prereq_data, &list);
        ck_assert_uint_eq(result_count, 1);
        curl_handle_drop(handle);
        ck_assert_ptr_null(curl_handle_find(&easy));
}
END_TEST

START_TEST(test_transfer_when_requests_follow_each_other)
{
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);
        char first[80];

        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_int_eq(requests(&easy), CURL_PREREQFUNC_OK);
        strcpy(first, easy.headers->data);
        answers(&easy, 302);
        redirects_to(&easy, "http://h/second");
        ck_assert_int_eq(requests(&easy), CURL_PREREQFUNC_OK);
        ck_assert_str_ne(first, easy.headers->data);
        ck_assert_uint_eq(contexts_in(easy.headers), 1);
        easy.redirect_us += 10; /* no answer: a dead connection, asked again */
        ck_assert_int_eq(requests(&easy), CURL_PREREQFUNC_OK);
        answers(&easy, 200);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
        ck_assert_uint_eq(result_count, 3);
        ck_assert_int_eq(results[0].status, 302);
        ck_assert_str_eq(urls[0], "http://h/first");
        ck_assert_int_eq(results[1].status, 0);
        ck_assert_int_eq(results[1].curle, CURLE_GOT_NOTHING);
        ck_assert_int_eq(results[1].resend_count, 1);
        ck_assert_int_eq(results[2].status, 200);
        ck_assert_str_eq(urls[2], "http://h/second");
        ck_assert_int_eq(results[2].resend_count, 2);
}
END_TEST

START_TEST(test_transfer_when_a_redirect_cannot_be_followed)
{
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        ck_assert(curl_transfer_begin(handle, false));
        requests(&easy);
        answers(&easy, 302);
        redirects_to(&easy, "http://h/second");
        curl_transfer_end(handle, CURL_END_CODE, CURLE_COULDNT_CONNECT);
        ck_assert_uint_eq(result_count, 2);
        ck_assert_int_eq(results[0].status, 302);
        ck_assert_int_eq(results[0].curle, CURLE_OK);
        ck_assert_int_eq(results[1].status, 0);
        ck_assert_int_eq(results[1].curle, CURLE_COULDNT_CONNECT);
        ck_assert_str_eq(urls[1], "http://h/second");
}
END_TEST

START_TEST(test_transfer_when_libcurl_is_old)
{
        struct easy easy = {.old = true};
        struct curl_handle *handle = made(&easy);

        host_sets(handle, CURLOPT_POST, (void *)1);
        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_uint_eq(contexts_in(easy.headers), 1);
        answers(&easy, 302);
        redirects_to(&easy, "http://h/second");
        answers(&easy, 200);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
        ck_assert_uint_eq(result_count, 1);
        ck_assert_int_eq(results[0].status, 200);
        ck_assert_int_eq(results[0].resend_count, 0);
        ck_assert_str_eq(urls[0], "http://h/first");
        ck_assert(slice_eq(results[0].method, SLICE("POST")));
        ck_assert_ptr_null(easy.headers);
}
END_TEST

START_TEST(test_transfer_when_the_host_has_a_context)
{
        static const char *const lines[] = {"traceparent: x", "TRACEPARENT:x", "Traceparent : x",
                                            "traceparent;"};

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                struct curl_slist own = {(char *)lines[i], NULL}, list = {(char *)"A: 1", &own};
                struct easy easy = {.headers = NULL};
                struct curl_handle *handle = made(&easy);
                uint64_t before = stat_get(STAT_SPANS_RESPECTED);

                host_sets(handle, CURLOPT_HTTPHEADER, &list);
                ck_assert(curl_transfer_begin(handle, false));
                ck_assert_int_eq(handle->mode, CURL_MUTED);
                ck_assert_ptr_eq(easy.headers, &list);
                curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
                ck_assert_uint_eq(stat_get(STAT_SPANS_RESPECTED), before + 1);
                curl_handle_drop(handle);
        }
        ck_assert_uint_eq(result_count, 0);
}
END_TEST

START_TEST(test_transfer_when_the_list_changes_under_way)
{
        struct curl_slist own = {(char *)"traceparent: own", NULL}, other = {(char *)"X-Other: 1", NULL};
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        ck_assert(curl_transfer_begin(handle, false));
        requests(&easy);
        host_sets(handle, CURLOPT_HTTPHEADER, &other);
        ck_assert_uint_eq(contexts_in(easy.headers), 1);
        ck_assert_ptr_eq(easy.headers->next, &other);
        other.next = &own; /* appended in place, without a word */
        answers(&easy, 302);
        redirects_to(&easy, "http://h/second");
        requests(&easy);
        ck_assert_ptr_eq(easy.headers, &other);
        ck_assert_int_eq(handle->mode, CURL_MUTED);
        host_sets(handle, CURLOPT_HTTPHEADER, NULL);
        ck_assert_ptr_null(easy.headers);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
        ck_assert_uint_eq(result_count, 1);
        ck_assert_uint_eq(forgotten, 1);
        ck_assert_int_eq(results[0].status, 302);
        ck_assert_ptr_null(easy.prereq);
}
END_TEST

START_TEST(test_transfer_when_there_is_a_tracestate)
{
        struct curl_slist own = {(char *)"tracestate: own=1", NULL};
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        scope_start(PARENT, "k=v", NULL);
        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_str_eq(easy.headers->next->data, "tracestate: k=v");
        ck_assert_ptr_null(easy.headers->next->next);
        host_sets(handle, CURLOPT_HTTPHEADER, &own);
        ck_assert_ptr_eq(easy.headers->next, &own);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
}
END_TEST

START_TEST(test_transfer_when_there_is_a_baggage)
{
        struct curl_slist own = {(char *)"Baggage: own=1", NULL};
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        scope_start(PARENT, "k=v", "a=1,b=2");
        ck_assert(curl_transfer_begin(handle, true));
        ck_assert(deferred);
        ck_assert_str_eq(easy.headers->next->data, "tracestate: k=v");
        ck_assert_str_eq(easy.headers->next->next->data, "baggage: a=1,b=2");
        ck_assert_ptr_null(easy.headers->next->next->next);
        host_sets(handle, CURLOPT_HTTPHEADER, &own);
        ck_assert_ptr_eq(easy.headers->next->next, &own);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
}
END_TEST

#define LINES_MAX (LIMIT_CURL_COPIED + 3)

static struct curl_slist nodes[LINES_MAX];

/* A list of @count lines with the passed-on context as number @at. */
static struct curl_slist *list_with(unsigned count, unsigned at)
{
        static char texts[LINES_MAX][16];

        for (unsigned i = 0; i < count; i++) {
                snprintf(texts[i], sizeof(texts[i]), "X-%u: v", i);
                nodes[i].data = i == at ? (char *)"TraceParent: " PASSED_ON : texts[i];
                nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
        }
        return nodes;
}

/* Each of the host's lines in its place, but for number @at. */
static void expect_lines(const struct curl_slist *list, unsigned count, unsigned at)
{
        for (unsigned i = 0; i < count; i++, list = list->next) {
                ck_assert_ptr_nonnull(list);
                if (i != at) {
                        ck_assert_ptr_eq(list->data, nodes[i].data);
                        continue;
                }
                ck_assert_int_eq(strncmp(list->data, "traceparent: 00-", 16), 0);
                ck_assert_ptr_null(strstr(list->data, PASSED_ON));
                if (list->next && !strncmp(list->next->data, "tracestate: ", 12))
                        list = list->next;
        }
        ck_assert_ptr_null(list);
}

START_TEST(test_transfer_when_a_context_is_passed_on)
{
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);
        uint64_t before = stat_get(STAT_REPLACED);
        unsigned transfers = 0;

        scope_start(PARENT, "k=v", NULL);
        for (unsigned count = 1; count <= 5; count++)
                for (unsigned at = 0; at < count; at++, transfers++) {
                        struct curl_slist *list = list_with(count, at);

                        host_sets(handle, CURLOPT_HTTPHEADER, list);
                        ck_assert(curl_transfer_begin(handle, false));
                        ck_assert_int_eq(handle->mode, CURL_TRACED);
                        requests(&easy);
                        expect_lines(easy.headers, count, at);
                        answers(&easy, 302);
                        redirects_to(&easy, "http://h/second");
                        requests(&easy);
                        expect_lines(easy.headers, count, at);
                        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
                        ck_assert_ptr_eq(easy.headers, list);
                        ck_assert_str_eq(nodes[at].data, "TraceParent: " PASSED_ON);
                        result_count = 0;
                }
        ck_assert_uint_eq(stat_get(STAT_REPLACED), before + 2 * transfers);
}
END_TEST

START_TEST(test_transfer_when_a_passed_on_context_cannot_be_replaced)
{
        struct curl_slist twice = {(char *)"traceparent: " PASSED_ON, NULL},
                          list = {(char *)"traceparent: " PASSED_ON, &twice};
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        host_sets(handle, CURLOPT_HTTPHEADER, &list);
        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_int_eq(handle->mode, CURL_MUTED);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);

        host_sets(handle, CURLOPT_HTTPHEADER, list_with(LINES_MAX, LIMIT_CURL_COPIED + 1));
        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_int_eq(handle->mode, CURL_MUTED);
        ck_assert_ptr_eq(easy.headers, nodes);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);

        host_sets(handle, CURLOPT_HTTPHEADER, list_with(LINES_MAX, LIMIT_CURL_COPIED));
        ck_assert(curl_transfer_begin(handle, false));
        ck_assert_int_eq(handle->mode, CURL_TRACED);
        expect_lines(easy.headers, LINES_MAX, LIMIT_CURL_COPIED);
        /* Another context under way is none that we know of. */
        host_sets(handle, CURLOPT_HTTPHEADER, &(struct curl_slist){(char *)"traceparent: " PARENT, NULL});
        ck_assert_str_eq(easy.headers->data, "traceparent: " PARENT);
        host_sets(handle, CURLOPT_HTTPHEADER, NULL);
        ck_assert_uint_eq(contexts_in(easy.headers), 1);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_OK);
}
END_TEST

START_TEST(test_transfer_end_when_it_was_no_libcurl_that_ended_it)
{
        struct easy easy = {.headers = NULL};
        struct curl_handle *handle = made(&easy);

        curl_transfer_begin(handle, false);
        curl_transfer_end(handle, CURL_END_CANCELLED, CURLE_OK);
        ck_assert(results[0].cancelled);
        curl_transfer_begin(handle, false);
        curl_transfer_end(handle, CURL_END_CODE, CURLE_ABORTED_BY_CALLBACK);
        ck_assert(results[1].cancelled);
        curl_transfer_begin(handle, false);
        curl_transfer_end(handle, CURL_END_UNSAID, CURLE_OK);
        ck_assert_int_eq(results[2].curle, -1);
        curl_transfer_begin(handle, false);
        process_generation++; /* a forked child */
        curl_transfer_end(handle, CURL_END_CANCELLED, CURLE_OK);
        ck_assert_uint_eq(result_count, 3);
        ck_assert_ptr_null(easy.headers);
}
END_TEST

START_TEST(test_handle_is_http_by_its_url)
{
        static const struct {
                const char *url, *default_protocol;
                bool http;
        } rows[] = {{"http://h/", NULL, true},
                    {"HTTPS://h/", NULL, true},
                    {"ftp://h/", NULL, false},
                    {"ws://h/", NULL, false},
                    {"h/x", NULL, true},
                    {"ftp.h/x", NULL, false},
                    {"u:p@FTP.h/x", NULL, false},
                    {"h:80/ftp.x", NULL, true},
                    {"h/x", "ftp", false},
                    {"ftp.h/x", "https", true},
                    {"ftp://h/", "https", false},
                    {"http://h/", "ftp", true},
                    {"", NULL, true},
                    {NULL, NULL, false}};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct easy easy = {.headers = NULL};
                struct curl_handle *handle = made(&easy);

                host_sets(handle, CURLOPT_URL, (void *)rows[i].url);
                host_sets(handle, CURLOPT_DEFAULT_PROTOCOL, (void *)rows[i].default_protocol);
                ck_assert_msg(curl_handle_is_http(handle) == rows[i].http, "%s", rows[i].url);
                host_sets(handle, CURLOPT_CONNECT_ONLY, (void *)1);
                ck_assert(!curl_transfer_begin(handle, false));
                curl_handle_drop(handle);
        }
}
END_TEST

START_TEST(test_handle_new_when_the_table_is_full)
{
        static struct easy easies[LIMIT_CURL_HANDLES + 1];

        process_generation = 1;
        agent_enabled = 1;
        for (size_t i = 0; i < LIMIT_CURL_HANDLES; i++)
                curl_handle_new(&easies[i], &library, NULL);
        ck_assert_ptr_nonnull(curl_handle_find(&easies[LIMIT_CURL_HANDLES - 1]));
        curl_handle_new(&easies[LIMIT_CURL_HANDLES], &library, NULL);
        ck_assert_ptr_null(curl_handle_find(&easies[LIMIT_CURL_HANDLES]));
        ck_assert_uint_eq(stat_get(STAT_UNTRACED_SLAB_FULL), 1);
        curl_handle_drop(curl_handle_find(&easies[0]));
        curl_handle_new(&easies[LIMIT_CURL_HANDLES], &library, NULL);
        ck_assert_ptr_nonnull(curl_handle_find(&easies[LIMIT_CURL_HANDLES]));
}
END_TEST

UNIT_MAIN("curl-transfer", test_transfer_gives_the_hosts_options_back,
          test_transfer_when_requests_follow_each_other, test_transfer_when_a_redirect_cannot_be_followed,
          test_transfer_when_libcurl_is_old, test_transfer_when_the_host_has_a_context,
          test_transfer_when_the_list_changes_under_way, test_transfer_when_there_is_a_tracestate,
          test_transfer_when_there_is_a_baggage, test_transfer_when_a_context_is_passed_on,
          test_transfer_when_a_passed_on_context_cannot_be_replaced,
          test_transfer_end_when_it_was_no_libcurl_that_ended_it, test_handle_is_http_by_its_url,
          test_handle_new_when_the_table_is_full)
