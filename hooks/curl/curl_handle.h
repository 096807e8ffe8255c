/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the seam remembers of each easy handle: the library that made it, the options that it must
 * know to lend a transfer its header list and give the host's back, and the transfer in progress.
 * Only handles whose making we saw are known; a transfer of another handle passes through untouched.
 *
 * libcurl's own rule holds for this state too: one thread uses a handle at a time.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/tap/tap_http.h"
#include "agent/trace/traceparent.h"
#include "hooks/curl/curl_library.h"

#define CURL_AGENT_MAX 256 /* remembered bytes of a user agent */

/* HTTP stands for HTTPS too. */
enum curl_protocol { CURL_PROTOCOL_NONE, CURL_PROTOCOL_HTTP, CURL_PROTOCOL_OTHER };

enum curl_mode {
        CURL_IDLE,
        CURL_MUTED,  /* a transfer that must not be recorded, here or below: it has a context of its own */
        CURL_TRACED, /* a transfer with our header and a span */
};

/* The request of a transfer that is on its way: one at a time, redirects and retries follow each other. */
struct curl_hop {
        int count;               /* requests of this transfer so far */
        curl_off_t header_bytes; /* received before this one was sent */
        curl_off_t redirect_us;  /* CURLINFO_REDIRECT_TIME_T when it was sent */
        struct sockaddr_in6 peer;
        uint32_t peer_len;
        char method[LIMIT_HTTP_METHOD];
        char url[LIMIT_CURL_URL]; /* no terminator; without per-hop spans: what the host set */
        uint32_t url_len;
};

/* What the seam remembers of a multi handle. */
struct curl_multi {
        const struct curl_library *real;
        struct curl_handle *first; /* transfers of ours that were added to it */
        bool all_done;             /* its last run reported no running transfer */
};

struct curl_handle {
        CURL *easy;
        const struct curl_library *real;

        /* as the host set them */
        struct curl_slist *headers;
        curl_prereq_callback prereq;
        void *prereq_data;
        CURLU *url_object;
        enum curl_protocol protocol;         /* of the URL */
        enum curl_protocol default_protocol; /* for a URL without one */
        bool protocol_guessed;               /* from the host's name: the URL has none */
        bool connect_only;
        bool has_prereq; /* this libcurl calls back before each request */
        const char *method;
        char custom_method[LIMIT_HTTP_METHOD];
        char user_agent[CURL_AGENT_MAX];

        /* the multi handle that it was added to: ours, and its neighbours there */
        struct curl_multi *multi;
        struct curl_handle *next, *prev;

        /* the transfer in progress */
        enum curl_mode mode;
        bool lent; /* our header list and callback are set */
        uint32_t generation;
        uint64_t start_ns;
        struct tap_request request;
        bool replaces;                  /* a context line of the host's, passed on, is replaced by ours ... */
        char replaced[TRACEPARENT_LEN]; /* ... what it said ... */
        struct curl_slist copied[LIMIT_CURL_COPIED]; /* ... and the lines before it */
        struct curl_slist traceparent, tracestate, baggage;
        char traceparent_text[sizeof("traceparent: ") + TRACEPARENT_LEN];
        char tracestate_text[sizeof("tracestate: ") + LIMIT_TRACESTATE];
        char baggage_text[sizeof("baggage: ") + LIMIT_BAGGAGE];
        struct curl_hop hop;
};

/* The state of @easy, or NULL when it is not known. Context: signal. */
struct curl_handle *curl_handle_find(CURL *easy);

/**
 * curl_handle_new() - @easy was made by @real just now
 * @from: the handle that it is a copy of, or NULL
 *
 * Context: hook.
 */
void curl_handle_new(CURL *easy, const struct curl_library *real, const struct curl_handle *from);

/* BEFORE libcurl frees it: the address may be another thread's new handle right after. Context: hook. */
void curl_handle_drop(struct curl_handle *handle);

/* After curl_easy_reset. */
void curl_handle_reset(struct curl_handle *handle);

/* Remember what the host has just set. Context: hook. */
void curl_handle_keep(struct curl_handle *handle, CURLoption option, void *value);

/* The multi handle that the handle was added to: a list there. Context: hook. */
void curl_handle_link(struct curl_handle *handle, struct curl_multi *multi);
void curl_handle_unlink(struct curl_handle *handle);

/* Would a transfer of this handle, as it is now, be HTTP(S)? Context: hook. */
bool curl_handle_is_http(struct curl_handle *handle);
