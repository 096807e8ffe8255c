/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/curl/curl_transfer.h"

#include <arpa/inet.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/stats.h"
#include "hooks/curl/curl_headers.h"

static curl_off_t info_number(struct curl_handle *handle, CURLINFO info)
{
        curl_off_t number = 0;

        if (handle->real->curl_easy_getinfo(handle->easy, info, &number) != CURLE_OK)
                return 0;
        return number;
}

static struct slice info_text(struct curl_handle *handle, CURLINFO info)
{
        const char *text = NULL;

        if (handle->real->curl_easy_getinfo(handle->easy, info, &text) != CURLE_OK)
                return SLICE_NULL;
        return slice_str(text);
}

/* --- the header list --- */

/* Put our nodes into the list that libcurl gets, or leave the host's alone where it has a context of its own.
 */
static void link_nodes(struct curl_handle *handle)
{
        struct curl_slist *list = handle->headers;

        if (handle->mode == CURL_TRACED && !curl_headers_respected(handle))
                list = curl_headers_list(handle);
        handle->real->curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, list);
}

static void count_injected(const struct curl_handle *handle)
{
        stat_add(handle->replaces ? STAT_REPLACED : STAT_INJECTED, 1);
}

static int on_request(void *clientp, char *peer_ip, char *local_ip, int peer_port, int local_port);

static void lend(struct curl_handle *handle)
{
        curl_headers_write(handle);
        link_nodes(handle);
        if (handle->has_prereq) {
                handle->real->curl_easy_setopt(handle->easy, CURLOPT_PREREQFUNCTION, on_request);
                handle->real->curl_easy_setopt(handle->easy, CURLOPT_PREREQDATA, handle);
        } else {
                count_injected(handle);
        }
        handle->lent = true;
}

static void give_back(const struct curl_handle *handle, CURL *easy)
{
        handle->real->curl_easy_setopt(easy, CURLOPT_HTTPHEADER, handle->headers);
        if (!handle->has_prereq)
                return;
        handle->real->curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, handle->prereq);
        handle->real->curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle->prereq_data);
}

void curl_transfer_clean_copy(const struct curl_handle *handle, CURL *copy)
{
        if (handle->lent)
                give_back(handle, copy);
}

bool curl_transfer_setopt(struct curl_handle *handle, CURLoption option, void *value)
{
        bool held =
                option == CURLOPT_HTTPHEADER ||
                (handle->has_prereq && (option == CURLOPT_PREREQFUNCTION || option == CURLOPT_PREREQDATA));

        if (!handle->lent || !held)
                return false;
        curl_handle_keep(handle, option, value);
        if (option == CURLOPT_HTTPHEADER)
                link_nodes(handle);
        return true;
}

/* --- what is known of a request --- */

static int http_version(struct curl_handle *handle)
{
        static const struct {
                long curl;
                int ours;
        } versions[] = {{CURL_HTTP_VERSION_1_0, 10},
                        {CURL_HTTP_VERSION_1_1, 11},
                        {CURL_HTTP_VERSION_2_0, 20},
                        {CURL_HTTP_VERSION_3, 30}};
        long version = (long)info_number(handle, CURLINFO_HTTP_VERSION);

        for (size_t i = 0; i < ARRAY_LEN(versions); i++)
                if (versions[i].curl == version)
                        return versions[i].ours;
        return 0;
}

static void set_peer(struct curl_hop *hop, const char *ip, long port)
{
        struct sockaddr_in *in = (struct sockaddr_in *)&hop->peer;

        hop->peer_len = 0;
        if (!ip || !ip[0])
                return;
        if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
                in->sin_family = AF_INET;
                in->sin_port = htons((uint16_t)port);
                hop->peer_len = sizeof(*in);
        } else if (inet_pton(AF_INET6, ip, &hop->peer.sin6_addr) == 1) {
                hop->peer.sin6_family = AF_INET6;
                hop->peer.sin6_port = htons((uint16_t)port);
                hop->peer.sin6_flowinfo = 0;
                hop->peer.sin6_scope_id = 0;
                hop->peer_len = sizeof(hop->peer);
        }
}

static struct slice method_now(struct curl_handle *handle)
{
        struct slice method = info_text(handle, CURLINFO_EFFECTIVE_METHOD);

        if (method.len)
                return method;
        return slice_str(handle->custom_method[0] ? handle->custom_method : handle->method);
}

/* @text and the bytes of @hop->url may be the same. */
static void set_url(struct curl_hop *hop, struct slice text)
{
        text = slice_to(text, sizeof(hop->url));
        memmove(hop->url, text.len ? text.p : "", text.len);
        hop->url_len = (uint32_t)text.len;
}

/*
 * The URL of the request that is about to be sent. Only libcurl knows it after a redirect; but where it
 * cannot tell us of each request, the convention wants the URL that the host asked for.
 */
static void set_url_now(struct curl_handle *handle)
{
        bool redirected = info_number(handle, CURLINFO_REDIRECT_COUNT) > 0;
        char *text = NULL;

        if (redirected && !handle->has_prereq)
                return;
        if (redirected || !handle->url_object) {
                set_url(&handle->hop, info_text(handle, CURLINFO_EFFECTIVE_URL));
        } else if (handle->real->curl_url_get(handle->url_object, CURLUPART_URL, &text, 0) == CURLUE_OK) {
                set_url(&handle->hop, slice_str(text));
                handle->real->curl_free(text);
        }
}

static struct slice scheme_of(struct slice url)
{
        struct slice scheme = slice_to(url, slice_find(url, ':'));

        if (slice_eq_nocase(scheme, SLICE("https")))
                return SLICE("https");
        return slice_eq_nocase(scheme, SLICE("http")) ? SLICE("http") : SLICE_NULL;
}

static struct slice user_agent(const struct curl_handle *handle)
{
        struct slice agent = curl_headers_find(handle->headers, SLICE("user-agent"));

        return slice_to(agent.p ? agent : slice_str(handle->user_agent), CURL_AGENT_MAX);
}

/* Remember the request that libcurl is about to send: a redirect overwrites what it says of it. */
static void remember(struct curl_handle *handle, const char *peer_ip, int peer_port)
{
        struct curl_hop *hop = &handle->hop;
        struct slice method = slice_to(method_now(handle), sizeof(hop->method) - 1);

        memcpy(hop->method, method.p, method.len);
        hop->method[method.len] = '\0';
        set_url_now(handle);
        set_peer(hop, peer_ip, peer_port);
        hop->header_bytes = info_number(handle, CURLINFO_HEADER_SIZE);
        hop->redirect_us = info_number(handle, CURLINFO_REDIRECT_TIME_T);
}

static struct tap_request_result result_so_far(struct curl_handle *handle)
{
        struct curl_hop *hop = &handle->hop;
        struct slice url = slice_make(hop->url, hop->url_len);

        return (struct tap_request_result){.method = slice_str(hop->method),
                                           .url = url,
                                           .scheme = scheme_of(url),
                                           .user_agent = user_agent(handle),
                                           .peer = hop->peer_len ? &hop->peer : NULL,
                                           .peer_len = hop->peer_len,
                                           .resend_count = hop->count - 1};
}

/*
 * Return: has anything been received for this request? Its status can be missing all the same: libcurl
 * forgets it when it asks a proxy for the next request's tunnel.
 */
static bool add_response(struct curl_handle *handle, struct tap_request_result *result)
{
        if (info_number(handle, CURLINFO_HEADER_SIZE) == handle->hop.header_bytes)
                return false;
        result->status = (int)info_number(handle, CURLINFO_RESPONSE_CODE);
        if (result->status)
                result->http_version = http_version(handle);
        return true;
}

/* --- the life of a transfer --- */

bool curl_transfer_begin(struct curl_handle *handle, bool deferred)
{
        struct tap_request_start start = {.deferred = deferred};
        struct curl_own own;

        if (handle->mode != CURL_IDLE || handle->connect_only || !curl_handle_is_http(handle))
                return false;
        handle->generation = process_generation;
        handle->hop.count = 0;
        handle->start_ns = start.mono_ns = clock_mono_ns();
        own = curl_headers_own(handle);
        start.traceparent = own.value;
        if ((own.count && !own.value.len) || !tap_http_begin(&handle->request, &start)) {
                stat_add(STAT_SPANS_RESPECTED, 1);
                handle->mode = CURL_MUTED;
                return true;
        }
        if (!handle->request.active)
                return false;
        handle->mode = CURL_TRACED;
        handle->replaces = own.count > 0;
        if (handle->replaces)
                memcpy(handle->replaced, own.value.p, sizeof(handle->replaced));
        lend(handle);
        return true;
}

/* The request before this moment is over: libcurl goes on to another one. */
static void end_hop(struct curl_handle *handle, uint64_t end_ns)
{
        struct tap_request_result result = result_so_far(handle);

        /* libcurl repeats a request without an answer only when a reused connection turned out dead. */
        if (!add_response(handle, &result))
                result.curle = CURLE_GOT_NOTHING;
        result.end_mono_ns = end_ns;
        tap_http_end(&handle->request, &result);
}

/* When libcurl decided to make another request of this transfer, in our clock. */
static uint64_t turned_at(struct curl_handle *handle)
{
        return handle->start_ns + (uint64_t)info_number(handle, CURLINFO_REDIRECT_TIME_T) * 1000;
}

/*
 * In a multi handle, libcurl's clock starts at the first run after the handle was added. How long
 * ago that was is told by the last step that it has the time of.
 */
static void adjust_start(struct curl_handle *handle)
{
        static const CURLINFO steps[] = {CURLINFO_NAMELOOKUP_TIME_T, CURLINFO_CONNECT_TIME_T,
                                         CURLINFO_APPCONNECT_TIME_T, CURLINFO_TOTAL_TIME_T};
        uint64_t now = clock_mono_ns(), ago = 0;

        if (!handle->multi)
                return;
        for (size_t i = 0; i < ARRAY_LEN(steps); i++)
                ago = MAX(ago, (uint64_t)info_number(handle, steps[i]) * 1000);
        if (ago < now - handle->start_ns)
                handle->start_ns = now - ago;
        handle->request.start_mono_ns = handle->start_ns;
}

static bool hop_is_ours(struct curl_handle *handle)
{
        struct slice scheme = info_text(handle, CURLINFO_SCHEME);

        if (!slice_eq_nocase(scheme, SLICE("http")) && !slice_eq_nocase(scheme, SLICE("https")))
                return false;
        if (!curl_headers_respected(handle))
                return true;
        stat_add(STAT_SPANS_RESPECTED, 1);
        return false;
}

/* libcurl has a connection and builds its request from the header list as soon as this returns. */
static void begin_hop(struct curl_handle *handle, const char *peer_ip, int peer_port)
{
        struct tap_request_result so_far;

        if (handle->hop.count > 0) {
                uint64_t turned_ns = turned_at(handle);

                end_hop(handle, turned_ns);
                tap_http_resend(&handle->request, turned_ns);
        } else {
                adjust_start(handle);
        }
        if (!handle->request.active || !hop_is_ours(handle)) {
                tap_http_forget(&handle->request);
                handle->mode = CURL_MUTED;
                link_nodes(handle);
                return;
        }
        handle->hop.count++;
        curl_headers_write(handle);
        link_nodes(handle);
        remember(handle, peer_ip, peer_port);
        count_injected(handle);
        so_far = result_so_far(handle);
        tap_http_open(&handle->request, &so_far);
}

static int on_request(void *clientp, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
        struct curl_handle *handle = clientp;
        int answer = CURL_PREREQFUNC_OK;

        if (handle->prereq) {
                uint32_t mute = thread_state.mute;

                thread_state.mute = 0; /* the host's code: what it does is not this transfer */
                answer = handle->prereq(handle->prereq_data, peer_ip, local_ip, peer_port, local_port);
                thread_state.mute = mute;
        }
        if (answer == CURL_PREREQFUNC_OK && handle->mode == CURL_TRACED)
                begin_hop(handle, peer_ip, peer_port);
        return answer;
}

/* The last request of the transfer, or the one that it did not come to send. */
static void end_last_hop(struct curl_handle *handle, enum curl_end end, CURLcode code)
{
        struct tap_request_result result;
        uint64_t total_ns = (uint64_t)info_number(handle, CURLINFO_TOTAL_TIME_T) * 1000;
        bool turned = handle->hop.count > 0 &&
                      info_number(handle, CURLINFO_REDIRECT_TIME_T) != handle->hop.redirect_us;

        if (turned) {
                uint64_t turned_ns = turned_at(handle);

                end_hop(handle, turned_ns);
                tap_http_resend(&handle->request, turned_ns);
        }
        if (turned || handle->hop.count == 0) {
                long port = (long)info_number(handle, CURLINFO_PRIMARY_PORT);

                remember(handle, turned ? NULL : info_text(handle, CURLINFO_PRIMARY_IP).p, (int)port);
                if (!turned)
                        handle->hop.header_bytes = 0;
                handle->hop.count++;
        }
        result = result_so_far(handle);
        if (turned && !result.scheme.len) { /* redirected to another protocol, and failed there */
                tap_http_forget(&handle->request);
                return;
        }
        (void)add_response(handle, &result);
        result.cancelled = end == CURL_END_CANCELLED || code == CURLE_ABORTED_BY_CALLBACK;
        if (end == CURL_END_UNSAID)
                result.curle = result.status ? CURLE_OK : -1;
        else if (code != CURLE_HTTP_RETURNED_ERROR || result.status < 400)
                result.curle = (int)code;
        if (handle->multi && end != CURL_END_CANCELLED && total_ns)
                result.end_mono_ns = MIN(handle->start_ns + total_ns, clock_mono_ns());
        tap_http_end(&handle->request, &result);
}

void curl_transfer_end(struct curl_handle *handle, enum curl_end end, CURLcode code)
{
        if (handle->mode == CURL_TRACED && handle->generation == process_generation)
                end_last_hop(handle, end, code);
        else if (handle->mode == CURL_TRACED)
                handle->request.active = false; /* the parent process has this transfer, and tells of it */
        if (handle->lent)
                give_back(handle, handle->easy);
        handle->lent = false;
        handle->mode = CURL_IDLE;
}
