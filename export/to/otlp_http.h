/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One OTLP/HTTP request at a time over one kept connection, by libcurl's multi interface: it never
 * waits, its sockets and its timer are the worker's. What an answer means is decided elsewhere
 * (export/deliver). One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/slice.h"
#include "export/endpoint.h"
#include "export/loop.h"

struct otlp_http;

/* How an attempt ended. */
struct http_answer {
        long status;             /* 0: no answer came */
        bool transient;          /* no (whole) answer, but the next attempt may well have one */
        struct slice body;       /* borrowed for the call */
        const char *retry_after; /* the field's text, or NULL */
        const char *error;       /* libcurl's words where there was no answer, else NULL */
};

/* Called from otlp_http_step(), never from otlp_http_post(). */
typedef void http_done_fn(void *ctx, const struct http_answer *answer);

/**
 * otlp_http_new() - a client for one endpoint
 * @endpoint: borrowed for the client's life
 * @resolve_inline: look names up in this thread instead of leaving it to a thread of libcurl's
 *
 * Context: worker.
 * Return: NULL when out of memory.
 */
struct otlp_http *otlp_http_new(struct loop *loop, const struct endpoint *endpoint, bool resolve_inline,
                                http_done_fn *done, void *ctx);
struct otlp_http *otlp_http_free(struct otlp_http *http); /* NULL accepted, NULL returned */

/**
 * otlp_http_post() - begin an attempt; the one before must have ended
 * @body: stays the caller's, unchanged until the attempt has ended
 * @timeout_ms: for this attempt, 0 = no limit
 *
 * Context: worker.
 * Return: 0 or -ENOMEM.
 */
int otlp_http_post(struct otlp_http *http, struct slice body, int64_t timeout_ms);

/* Give up the attempt under way, if any; @done is not called. Context: worker. */
void otlp_http_cancel(struct otlp_http *http);

/* When otlp_http_step() is due, CLOCK_MONOTONIC ns; UINT64_MAX = not before a socket is ready. */
uint64_t otlp_http_due(const struct otlp_http *http);
void otlp_http_step(struct otlp_http *http, uint64_t now_ns);
