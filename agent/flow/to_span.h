/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From what the flow knows to a raw span for the worker: facts only, nothing is composed here. */
#include "agent/flow/conn.h"

/* How a request ended. All zero: its response was read to its end. */
struct exchange_outcome {
        uint64_t end_ns; /* CLOCK_MONOTONIC */
        int error;       /* errno of the connection */
        bool truncated;  /* the peer ended the stream too early */
        bool timed_out;  /* the program waited for it and gave up */
        bool incomplete; /* we lost sight of it */
        bool unanswered; /* server: no byte of a response was written */
        bool cancelled;  /* whoever asked wanted it no more */
        bool reset;      /* HTTP/2: the stream was ended with ... */
        uint32_t reset_code;
};

/* The exchange's span goes out (nothing when it is not traced or not sampled). Context: signal. */
void to_span_exchange(const struct conn *conn, struct exchange *exchange,
                      const struct exchange_outcome *outcome);

/* Somebody else tells of it: no span, and nothing of it stays visible. Context: signal. */
void to_span_dropped(struct exchange *exchange);

/* Another process may tell of it, too. Return: it is shown. Context: signal. */
bool to_span_share(const struct exchange *exchange);

/* The request is on its way: make it visible in case the process dies. Context: signal. */
void to_span_open(const struct conn *conn, struct exchange *exchange);

/* A connection's set-up: established, or failed as @outcome says. Context: signal. */
void to_span_connect(const struct conn *conn, const struct exchange_outcome *outcome);

/* A name was not found: @eai is getaddrinfo's result. Context: signal. */
void to_span_lookup(struct slice name, int port, int eai, uint64_t start_ns, uint64_t end_ns);

/* What failed on this thread before was put right by another address of look-up @lookup, or a good look-up of
 * @name: the worker takes the failure back. Context: signal. */
void to_span_superseded(uint32_t lookup, struct slice name, uint64_t now_ns);
