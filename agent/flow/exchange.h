/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One request and its response. Owned by two sides: the outgoing direction (until the request is
 * sent) and the incoming one (until the response is read); freed when both have let go. Text is
 * captured by the request parser straight into its room, which grows with what there is.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/base/room.h"
#include "agent/proto/fcgi.h"
#include "agent/proto/http1.h"
#include "agent/trace/scope.h"

/* Who has the exchange in the queue of its connection: settled by one compare-and-swap. */
enum exchange_claim {
        CLAIM_NONE,
        CLAIM_ANSWERED,  /* the incoming side saw a response begin */
        CLAIM_WITHDRAWN, /* the outgoing side took it back: none of its bytes left */
};

/* Of open_slot: not shown yet; over, so that a late outgoing side does not show it any more. */
#define OPEN_NONE (-1)
#define OPEN_OVER (-2)

enum exchange_inject { INJECT_NONE, INJECT_STARTED, INJECT_DONE };

/* Bytes: a line with a traceparent, and the texts of most heads. */
#define EXCHANGE_ADDED 104
#define EXCHANGE_TEXT  448

struct exchange {
        uint32_t index;
        _Atomic uint32_t owners;
        _Atomic uint32_t claim; /* enum exchange_claim */

        /* Written by the outgoing side, read by the incoming one after the queue's release. */
        uint64_t start_ns; /* CLOCK_MONOTONIC */
        struct scope_decision decision;
        bool decided;  /* parent, ids and injection are settled */
        bool traced;   /* false: the head had a context header of its own */
        bool replaces; /* the head's context header, which the program passes on, becomes ours */
        bool blanks;   /* a tracestate that means nothing has left as blanks in part, or beside our context */
        _Atomic bool head_done; /* from here on what stands above and the texts do not change */
        bool request_done;
        bool is_head, is_connect;
        uint8_t minor;
        uint8_t inject; /* enum exchange_inject */
        uint16_t inject_len;
        _Atomic int open_slot; /* of home_open(), OPEN_NONE, or OPEN_OVER */
        struct http1_span text_at[HTTP1_TEXTS];
        _Atomic uint64_t request; /* server side: its number as a cause; client side: see decision */
        uint16_t fcgi_id;         /* FastCGI: its request id; 0: HTTP */
        uint32_t stream;          /* HTTP/2: its stream; 0: another protocol */
        bool grpc;                /* HTTP/2: its content-type says so */
        bool https;               /* FastCGI, HTTP/2: what was asked by */
        bool shared;              /* server side: a child was forked that has it, too ... */
        bool guest;               /* ... and this is that child's */

        /* Written by the incoming side. */
        uint64_t handoff; /* see handoff.h; HANDOFF_NONE: nobody else may tell of it */
        bool done;        /* told, but an older one keeps it in the queue */
        struct fcgi_reply reply;
        uint16_t status;
        uint8_t response_minor;
        bool grpc_answered;
        int32_t grpc_status; /* where grpc_answered */

        struct room added; /* what is added, inject_len bytes */
        struct room carry; /* what the decision's texts point into, unless that is the text */
        struct room text;

        /* What these two begin with: enough for most. Never cleaned. */
        char added_first[EXCHANGE_ADDED];
        char text_first[EXCHANGE_TEXT];
};

/* A clean exchange with two owners, or NULL. Context: signal. */
struct exchange *exchange_new(uint64_t start_ns);
struct exchange *exchange_at(uint32_t index);

/* The text gets room for @need bytes, with the first @used of them: see http1_sink.grow. Context: signal. */
bool exchange_grow(struct exchange *exchange, size_t need, size_t used, char **ret_text, uint16_t *ret_max);

/* One owner lets go. Context: signal. */
void exchange_drop(struct exchange *exchange);

/* Empty when it is absent or cut. */
struct slice exchange_text(const struct exchange *exchange, enum http1_text which);

/* The target's first bytes, at most @most, as far as they were kept: to be shown and not to be compared. */
struct slice exchange_target(const struct exchange *exchange, size_t most);
