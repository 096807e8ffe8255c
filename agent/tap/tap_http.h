/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The door between API seams (libcurl) and agent: whole requests. Same laws as tap_net.h.
 * The seam injects the context itself; what lies below is muted while its calls run, and a
 * connection made under mute stays the seam's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/guard.h"
#include "agent/base/slice.h"
#include "agent/trace/scope.h"

/* One request at an API seam; lives in the seam's own state, and is not moved: the decision points into it.
 */
struct tap_request {
        struct scope_decision decision;
        uint64_t start_mono_ns;
        int open_slot; /* of home_open(), -1 = none */
        bool active;
        struct scope_carry carry;
};

/* What is known when the request is over. Empty slices and zeros are "not known". */
struct tap_request_result {
        struct slice method, url, scheme, user_agent;
        const void *peer; /* struct sockaddr_in / sockaddr_in6, or NULL */
        uint32_t peer_len;
        int http_version;     /* 10, 11, 20, 30; 0 unknown */
        int status;           /* 0: no response */
        int curle;            /* CURLE_*; 0 = ok, -1 = failed and nobody asked why */
        int resend_count;     /* 0: first attempt */
        bool cancelled;       /* by the caller: status stays unset */
        uint64_t end_mono_ns; /* 0: now */
};

/* What the seam knows when a request begins. */
struct tap_request_start {
        uint64_t mono_ns;
        struct slice traceparent; /* a context header of the caller's own; empty: none */
        bool deferred; /* what follows runs later, on any thread: for what this one works for now */
};

/**
 * tap_http_begin() - a request begins: decide parent and ids
 *
 * Context: hook.
 * Return: false when it must stay as it is, here and below: it has a context of its own. With one that is
 * passed on from a server request: true, and ours replaces it.
 */
bool tap_http_begin(struct tap_request *request, const struct tap_request_start *start);

/**
 * tap_http_resend() - the request that just ended goes out again: redirect, authentication round, retry
 *
 * A sibling under the same parent with a span id of its own; where there was no parent, a new root
 * (the convention for attempts without an enclosing span). Context: hook.
 */
void tap_http_resend(struct tap_request *request, uint64_t start_mono_ns);

/* Its span, visible for a consumer in case the process dies. Optional. Context: hook. */
void tap_http_open(struct tap_request *request, const struct tap_request_result *so_far);

/* A request is over: its span goes out (unless it is not sampled). Context: hook. */
void tap_http_end(struct tap_request *request, const struct tap_request_result *result);

/* Give up without a span. */
void tap_http_forget(struct tap_request *request);

/* Around a call into the library: sockets below make no spans of their own. Context: signal. */
static inline void tap_http_mute(void)
{
        thread_state.mute++;
}

static inline void tap_http_unmute(void)
{
        thread_state.mute--;
}
