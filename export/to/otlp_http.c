/* SPDX-License-Identifier: Apache-2.0 */
#include "export/to/otlp_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "export/to/resolve.h"

#define USER_AGENT "otel-instrument/" OTEL_INSTRUMENT_VERSION " OTel-OTLP-Exporter-C/" OTEL_INSTRUMENT_VERSION

/* A socket that libcurl wants watched. */
struct http_socket {
        struct http_socket *next;
        struct otlp_http *http;
        struct watch *watch;
        curl_socket_t fd;
};

struct otlp_http {
        struct loop *loop;
        struct http_socket *sockets;
        const struct endpoint *endpoint;
        http_done_fn *done;
        void *ctx;
        CURLM *multi;
        CURL *easy;
        struct curl_slist *headers; /* ours and the user's */
        struct resolve resolve;
        bool resolve_inline;
        bool under_way;    /* an attempt has begun and not ended */
        bool in_multi;     /* ...and libcurl has it */
        CURLcode failed;   /* it has failed, by us: otlp_http_step() will say so */
        bool too_large;    /* the answer exceeded its cap */
        uint64_t timer_ns; /* libcurl's timer */
        char *body;        /* of the answer, LIMIT_RESPONSE at most */
        size_t body_len, body_max;
        char retry_after[64];
        char error[CURL_ERROR_SIZE];
};

/* Failures after which the same request may succeed: the network's, not the request's. */
static const CURLcode transient_codes[] = {
        CURLE_COULDNT_RESOLVE_HOST,
        CURLE_COULDNT_RESOLVE_PROXY,
        CURLE_COULDNT_CONNECT,
        CURLE_OPERATION_TIMEDOUT,
        CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR,
        CURLE_RECV_ERROR,
        CURLE_PARTIAL_FILE,
        CURLE_SSL_CONNECT_ERROR,
        CURLE_HTTP2,
        CURLE_HTTP2_STREAM,
        CURLE_AGAIN,
        CURLE_PROXY,
        CURLE_OUT_OF_MEMORY,
};

static bool code_transient(CURLcode code)
{
        for (size_t i = 0; i < ARRAY_LEN(transient_codes); i++)
                if (transient_codes[i] == code)
                        return true;
        return false;
}

static void socket_ready(void *ctx, uint32_t events)
{
        struct http_socket *socket = ctx;
        int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        int running = 0;

        /* May free @socket. */
        (void)curl_multi_socket_action(socket->http->multi, socket->fd, what, &running);
}

static void socket_forget(struct http_socket *socket)
{
        struct http_socket **at = &socket->http->sockets;

        while (*at != socket)
                at = &(*at)->next;
        *at = socket->next;
        loop_remove(socket->http->loop, socket->watch);
        free(socket);
}

/* Return: false when memory is out. */
static bool socket_watch(struct otlp_http *http, curl_socket_t fd, uint32_t events)
{
        struct http_socket *socket = calloc(1, sizeof(*socket));

        if (!socket)
                return false;
        *socket = (struct http_socket){.http = http, .fd = fd};
        if (loop_add(http->loop, fd, events, socket_ready, socket, &socket->watch)) {
                free(socket);
                return false;
        }
        socket->next = http->sockets;
        http->sockets = socket;
        (void)curl_multi_assign(http->multi, fd, socket); /* fails only for sockets it does not know */
        return true;
}

/* The attempt under way cannot go on. */
static void attempt_fail(struct otlp_http *http, CURLcode code)
{
        http->failed = code;
        http->timer_ns = 0;
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *per_socket)
{
        struct otlp_http *http = ctx;
        struct http_socket *socket = per_socket;
        uint32_t events = (what != CURL_POLL_OUT ? EPOLLIN : 0) | (what != CURL_POLL_IN ? EPOLLOUT : 0);

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (socket)
                        socket_forget(socket);
                return 0;
        }
        /* Never -1: libcurl would do nothing any more, for good. */
        if (socket ? loop_change(http->loop, socket->watch, events) != 0 : !socket_watch(http, fd, events))
                attempt_fail(http, CURLE_OUT_OF_MEMORY);
        return 0;
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
        struct otlp_http *http = ctx;

        (void)multi;
        http->timer_ns = timeout_ms < 0 ? UINT64_MAX : clock_mono_ns() + (uint64_t)timeout_ms * 1000000;
        return 0;
}

static size_t body_arrived(char *bytes, size_t size, size_t count, void *ctx)
{
        struct otlp_http *http = ctx;
        size_t len = size * count;

        if (len > LIMIT_RESPONSE - http->body_len) {
                http->too_large = true;
                return 0;
        }
        if (len > http->body_max - http->body_len) {
                size_t max = MAX(http->body_len + len, http->body_max * 2);
                char *larger = realloc(http->body, max);

                if (!larger)
                        return 0;
                http->body = larger;
                http->body_max = max;
        }
        memcpy(http->body + http->body_len, bytes, len);
        http->body_len += len;
        return len;
}

static size_t header_arrived(char *bytes, size_t size, size_t count, void *ctx)
{
        static const char name[] = "retry-after:";
        struct otlp_http *http = ctx;
        struct slice line = slice_make(bytes, size * count);

        if (slice_starts(line, SLICE("HTTP/"))) { /* an answer begins anew after 1xx and a proxy's own */
                http->retry_after[0] = '\0';
        } else if (line.len > sizeof(name) - 1 && strncasecmp(line.p, name, sizeof(name) - 1) == 0) {
                struct slice value = slice_from(line, sizeof(name) - 1);

                while (value.len && (value.p[value.len - 1] == '\n' || value.p[value.len - 1] == '\r'))
                        value.len--;
                value = slice_to(slice_trim(value), sizeof(http->retry_after) - 1);
                memcpy(http->retry_after, value.p, value.len);
                http->retry_after[value.len] = '\0';
        }
        return line.len;
}

static bool header_add(struct curl_slist **list, const char *line)
{
        struct curl_slist *longer = curl_slist_append(*list, line);

        if (longer)
                *list = longer;
        return longer;
}

static bool headers_make(struct otlp_http *http)
{
        /* An empty Expect keeps libcurl from waiting a second for "100 Continue". */
        static const char *const ours[] = {"Content-Type: application/x-protobuf", "Expect:"};

        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
                if (!header_add(&http->headers, ours[i]))
                        return false;
        for (const struct curl_slist *line = http->endpoint->headers; line; line = line->next)
                if (!header_add(&http->headers, line->data))
                        return false;
        return true;
}

/* Return: false when libcurl refuses something. */
static bool easy_setup(struct otlp_http *http)
{
        CURL *easy = http->easy;
        CURLcode code = CURLE_OK;

#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, (option), (value)))
        SET(CURLOPT_URL, http->endpoint->url);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        SET(CURLOPT_FOLLOWLOCATION, 0L);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_USERAGENT, USER_AGENT);
        SET(CURLOPT_HTTPHEADER, http->headers);
        SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy must not see the user's fields */
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_WRITEFUNCTION, body_arrived);
        SET(CURLOPT_WRITEDATA, http);
        SET(CURLOPT_HEADERFUNCTION, header_arrived);
        SET(CURLOPT_HEADERDATA, http);
        SET(CURLOPT_ERRORBUFFER, http->error);
#undef SET
        return !code;
}

static bool multi_setup(struct otlp_http *http)
{
        CURLM *multi = http->multi;
        CURLMcode code = CURLM_OK;

#define SET(option, value) (code = code ? code : curl_multi_setopt(multi, (option), (value)))
        SET(CURLMOPT_SOCKETFUNCTION, socket_wanted);
        SET(CURLMOPT_SOCKETDATA, http);
        SET(CURLMOPT_TIMERFUNCTION, timer_wanted);
        SET(CURLMOPT_TIMERDATA, http);
        SET(CURLMOPT_MAXCONNECTS, 1L);
#undef SET
        return !code;
}

struct otlp_http *otlp_http_new(struct loop *loop, const struct endpoint *endpoint, bool resolve_inline,
                                http_done_fn *done, void *ctx)
{
        struct otlp_http *http = calloc(1, sizeof(*http));

        if (!http)
                return NULL;
        http->loop = loop;
        http->endpoint = endpoint;
        http->done = done;
        http->ctx = ctx;
        http->resolve_inline = resolve_inline;
        http->timer_ns = UINT64_MAX;
        if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
                free(http);
                return NULL;
        }
        http->multi = curl_multi_init();
        http->easy = curl_easy_init();
        if (!http->multi || !http->easy || !multi_setup(http) || !headers_make(http) || !easy_setup(http))
                return otlp_http_free(http);
        return http;
}

struct otlp_http *otlp_http_free(struct otlp_http *http)
{
        if (!http)
                return NULL;
        otlp_http_cancel(http);
        curl_easy_cleanup(http->easy);
        if (http->multi)
                (void)curl_multi_cleanup(http->multi); /* closes the kept connection */
        while (http->sockets)
                socket_forget(http->sockets);
        curl_slist_free_all(http->headers);
        resolve_done(&http->resolve);
        free(http->body);
        free(http);
        curl_global_cleanup();
        return NULL;
}

int otlp_http_post(struct otlp_http *http, struct slice body, int64_t timeout_ms)
{
        http->body_len = 0;
        http->retry_after[0] = '\0';
        http->error[0] = '\0';
        http->too_large = false;
        http->under_way = true;
        if (http->resolve_inline && !resolve_fresh(&http->resolve, http->endpoint, clock_mono_ns())) {
                attempt_fail(http, CURLE_COULDNT_RESOLVE_HOST);
                return 0;
        }
        if (curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, body.p) ||
            curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) ||
            curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ||
            curl_easy_setopt(http->easy, CURLOPT_RESOLVE, http->resolve.list) ||
            curl_multi_add_handle(http->multi, http->easy)) {
                http->under_way = false;
                return -ENOMEM;
        }
        http->in_multi = true;
        return 0;
}

void otlp_http_cancel(struct otlp_http *http)
{
        if (http->in_multi)
                (void)curl_multi_remove_handle(http->multi, http->easy); /* it is in there */
        http->in_multi = false;
        http->under_way = false;
        http->failed = CURLE_OK;
}

uint64_t otlp_http_due(const struct otlp_http *http)
{
        return http->timer_ns;
}

static void attempt_ended(struct otlp_http *http, CURLcode code)
{
        struct http_answer answer = {0};

        (void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer.status);
        otlp_http_cancel(http);
        if (code) {
                answer.status = 0;
                answer.transient = !http->too_large && code_transient(code);
                answer.error = http->error[0] ? http->error : curl_easy_strerror(code);
                if (http->too_large)
                        answer.error = "the answer is too large";
                resolve_stale(&http->resolve);
        } else {
                answer.body = slice_make(http->body, http->body_len);
                answer.retry_after = http->retry_after[0] ? http->retry_after : NULL;
        }
        http->done(http->ctx, &answer);
}

void otlp_http_step(struct otlp_http *http, uint64_t now_ns)
{
        int running = 0;
        int left = 0;
        CURLMsg *message;

        if (http->failed) {
                http->timer_ns = UINT64_MAX;
                attempt_ended(http, http->failed);
        }
        if (now_ns >= http->timer_ns) {
                http->timer_ns = UINT64_MAX;
                (void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        while ((message = curl_multi_info_read(http->multi, &left)))
                if (message->msg == CURLMSG_DONE)
                        attempt_ended(http, message->data.result);
}
