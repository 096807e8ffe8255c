/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A small OTLP/HTTP collector on the loopback, in threads of the test's process. It answers by a
 * plan, a row per request; after the plan every request is taken with an empty 200. Keeps what it saw.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_kind {
        REPLY_HTTP,    /* status, fields, body */
        REPLY_CLOSE,   /* read the request, close without an answer */
        REPLY_HALF,    /* half of an answer, then close */
        REPLY_NEVER,   /* a black hole */
        REPLY_GARBAGE, /* bytes that are no HTTP */
        REPLY_HUGE,    /* an answer without end */
};

struct reply {
        enum reply_kind kind;
        int status;
        const char *fields; /* "Name: value\r\n", may be NULL */
        const char *body;
        size_t body_len;
};

/* One request as it came in. */
struct seen {
        char head[2048];
        unsigned resources, spans; /* decoded from the body */
        uint64_t moment_ns;        /* CLOCK_MONOTONIC */
};

#define COLLECTOR_SEEN_MAX 4096

struct collector;

/* @port 0: any free one. The plan's texts stay the caller's. */
struct collector *collector_start(uint16_t port, const struct reply *plan, size_t plan_len);
void collector_stop(struct collector *collector);

uint16_t collector_port(const struct collector *collector);
unsigned collector_requests(struct collector *collector);
unsigned collector_spans(struct collector *collector); /* of all requests, refused ones included */
unsigned collector_taken(struct collector *collector); /* of the requests that were answered with 200 */
unsigned collector_connections(struct collector *collector);
struct seen collector_seen(struct collector *collector, unsigned index);

/* Waits until that many spans were taken. Return: false when they were not within @timeout_ms. */
bool collector_wait(struct collector *collector, unsigned spans, unsigned timeout_ms);

/* A port of the loopback that nobody listens on. */
uint16_t collector_free_port(void);
