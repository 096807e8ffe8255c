/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A connection of the host's and what is under way on it. Type-stable memory (slab): a thread that
 * looks a descriptor up takes a reference, so a close in another thread never frees what is in use.
 *
 * Two independent directions: each is touched only by the thread inside a call on it, which holds
 * the direction's try-lock; whoever finds it taken makes the connection opaque and passes.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/base/stats.h"
#include "agent/flow/exchange.h"
#include "agent/flow/names.h"
#include "agent/proto/fcgi.h"
#include "agent/proto/http1.h"
#include "agent/proto/http2.h"

enum conn_phase {
        CONN_CONNECTING, /* connect(2) has not answered yet */
        CONN_OPEN,       /* established; the protocol is not known yet */
        CONN_HTTP1,
        CONN_FCGI,
        CONN_HTTP2,
        CONN_OPAQUE, /* hands off for good */
};

/* Who opened it: decides which direction carries requests. */
enum conn_role { CONN_CLIENT, CONN_SERVER };

struct out_scratch;

/*
 * Its parser comes with the first message. A server, whose clients decide how many connections stand idle,
 * gives it up after each message; a client keeps it.
 */
struct direction {
        _Atomic uint32_t
                busy;   /* try-lock: DIRECTION_*, with the thread that is in a call, where that is known */
        uint32_t index; /* of the parser in its slab */
        union {
                struct http1 *http1;
                struct fcgi *fcgi; /* of a connection that is fcgi */
        };
        struct http2 *http2; /* then there is none of the others */
};

#define CONN_QUEUE_SHORT 2

/* A request that waits for its response. */
struct conn_waiting {
        uint32_t at; /* which of the queue's */
        uint32_t exchange;
};

struct conn {
        _Atomic uint32_t refs;       /* descriptors that name it, and threads inside a call on it */
        uint32_t index;              /* in the slab */
        uint32_t serial;             /* of this use of the memory: makes table slots unique */
        uint32_t generation;         /* process_generation that owns it */
        _Atomic uint32_t phase;      /* enum conn_phase */
        _Atomic uint32_t error;      /* errno that ended it, 0 = none */
        _Atomic uint32_t timed_out;  /* a wait of the host's ran out on it */
        _Atomic uint32_t setup_told; /* its set-up was told or needs no telling */
        bool eof;                    /* the peer ended the stream */
        bool spoke_http;             /* a request head went out whole */
        bool fcgi;                   /* FastCGI, not HTTP */
        bool maybe_http2;            /* HTTP/1 so far, by so few bytes that they may be HTTP/2's preface */
        bool kept;                   /* server, closed: for requests that children may answer */
        bool silent;                 /* server: no byte of a response has left that we did not see */
        bool was_shared;             /* server: with a child, which may have written on it */
        _Atomic bool peeked;         /* the host looked at bytes before it took them */
        bool others;                 /* server, opaque: counted by cause_others() */
        bool tcp;
        bool tls;              /* plaintext of a TLS object (tls.h), which has no descriptor of its own */
        bool carries;          /* its bytes are a TLS object's, which tells what there is to tell */
        bool unseen_tls;       /* a TLS handshake that no object known to us has begun */
        struct room tls_facts; /* plaintext: struct span_tls, where that is wanted and known */
        int tls_error;         /* why TLS failed, as RAW_TLS_ERROR; 0: it did not */
        uint8_t role;          /* enum conn_role */
        struct cause_opening opening; /* client: for which server request it was opened */
        union {                       /* server: our own side of it, once a request was read */
                struct sockaddr any;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } local;
        uint32_t local_len;
        uint64_t sent;               /* server: bytes of responses that we saw leave ... */
        _Atomic uint64_t sent_after; /* ... and will have, when the call under way has taken all */
        uint64_t received;           /* bytes that we saw come in */
        uint64_t connect_start_ns, connect_end_ns, error_ns; /* CLOCK_MONOTONIC; 0 = not yet */
        struct peer peer;

        struct direction out, in;
        const void *_Atomic reader;         /* names the call that took the incoming direction last */
        struct http2_flow *http2;           /* HTTP/2: what only that needs; else NULL */
        struct exchange *sending;           /* the requests' side: request begun and not finished */
        struct exchange *leftover;          /* text of ours went out in part ... */
        uint32_t leftover_at, leftover_end; /* ... but for this ... */
        bool leftover_held;                 /* ... and then the host's next byte has left with it: */
        bool swallow;                       /* it is not to be sent again */
        uint16_t owed_from;
        struct exchange *owed; /* the rest of its text has to go out, from owed_from on ... */
        size_t owed_in;        /* ... in place of the host's byte that comes after so many others */
        struct out_scratch *owed_scratch; /* working memory for that */
        _Atomic uint32_t sender;          /* thread inside a planned outgoing call, 0 = none ... */
        struct out_scratch *under_way;    /* ... and its working memory, if it has any */

        /* Requests that wait for their response; pushed by the requests' side, popped by the responses'. */
        _Atomic uint32_t queue_head, queue_tail;
        struct conn_waiting queue[CONN_QUEUE_SHORT]; /* those that came when it was that short; ... */
        struct room more;                            /* ... where the others stand, LIMIT_PIPELINE numbers */
};

/* --- conn.c: life of one connection; all Context: signal --- */

/* A connecting connection with one reference (its descriptor's), or NULL. */
struct conn *conn_new(const struct sockaddr *addr, socklen_t len, uint64_t start_ns);
/* True when a reference was taken; false when the connection is on its way out. */
bool conn_ref(struct conn *conn);
/* The last one finishes what is open and frees the connection. */
void conn_unref(struct conn *conn);

static inline enum conn_phase conn_phase(const struct conn *conn)
{
        return (enum conn_phase)atomic_load_explicit(&conn->phase, memory_order_acquire);
}

/* Of a protocol that we follow? */
static inline bool conn_speaks(const struct conn *conn)
{
        enum conn_phase phase = conn_phase(conn);

        return phase == CONN_HTTP1 || phase == CONN_FCGI || phase == CONN_HTTP2;
}

/* Its first bytes are FastCGI: the parsers become that. Return: false when there is no room for them. */
bool conn_becomes_fcgi(struct conn *conn);

/* Nobody uses the connection any more. */
void conn_drop_parsers(struct conn *conn);

/* The parser of one of its directions, a new one between messages; NULL when there is no room. */
struct http1 *conn_http1_new(struct conn *conn, struct direction *direction);
static inline struct http1 *conn_http1(struct conn *conn, struct direction *direction)
{
        return direction->http1 ? direction->http1 : conn_http1_new(conn, direction);
}
/* A clean one of HTTP/2 in place of whatever it had; NULL when there is no room. */
struct http2 *conn_becomes_http2(struct direction *direction);
/* Between messages it can be given up. */
void direction_http1_rest(struct direction *direction);

/* Of a connection that is HTTP/1, or of no protocol yet: in mid-message? */
static inline bool direction_http1_busy(const struct direction *direction)
{
        return direction->http1 && http1_busy(direction->http1);
}

static inline uint64_t direction_http1_body_left(const struct direction *direction)
{
        return direction->http1 ? http1_body_left(direction->http1) : 0;
}

/* A forked child uses its parent's connection: it becomes the child's when nothing is under way, opaque
 * otherwise. */
void conn_adopt(struct conn *conn);
/* The parent's connection is the child's from now on, as it is. */
void conn_take_over(struct conn *conn);
/* Hands off from here on, for the reason counted under @why. */
void conn_opaque(struct conn *conn, enum stat_id why);
/* Hands off because a TLS library has it: nothing is counted, and nothing told that its plaintext tells. */
void conn_carries(struct conn *conn);
/* The connection stands; tells nothing yet. */
void conn_established(struct conn *conn, uint64_t now_ns);
/* It broke with @error (errno): what is under way fails when the connection is finished. */
void conn_failed(struct conn *conn, int error, uint64_t now_ns);
/* Its set-up is all we will ever know: the span named connect. */
void conn_tell_setup(struct conn *conn);
/* The process is about to end with the connection open: tell what is known of its set-up and its requests. */
void conn_last_words(struct conn *conn);

enum { DIRECTION_FREE, DIRECTION_IN_CALL, DIRECTION_SETTLING, DIRECTION_STATES };

/*
 * True when nobody else is inside a call on the direction. Whoever has only its own work left to do after the
 * call is waited for, a bounded time: the peer may have answered faster than that was done.
 */
bool direction_enter_settling(struct direction *direction, uint32_t wanted);

/* The same for @thread (of the kernel; 0: it does not matter which), that it can be found out whether the
 * call ever comes back. */
static inline bool direction_enter_by(struct direction *direction, uint32_t thread)
{
        uint32_t seen = DIRECTION_FREE, wanted = thread * DIRECTION_STATES + DIRECTION_IN_CALL;

        return atomic_compare_exchange_strong_explicit(&direction->busy, &seen, wanted, memory_order_acquire,
                                                       memory_order_relaxed) ||
               (seen == DIRECTION_SETTLING && direction_enter_settling(direction, wanted));
}

static inline bool direction_enter(struct direction *direction)
{
        return direction_enter_by(direction, 0);
}

/* Server, HTTP/1: the client may have its answer, as it goes on with its next request, or to the end. */
bool conn_client_went_on(const struct conn *conn);

/*
 * It is held by a call of another thread that is over for the kernel: the thread lost its core when its call
 * woke the peer, or soon after. It is waited for, a bounded time. @thread as above.
 */
bool direction_enter_returning(struct direction *direction, uint32_t thread);

/*
 * The call that holds it was left for good, or goes on only after the one that asks: its thread is @thread,
 * in a new call, or has ended. Then the direction is @thread's; what the old call did is not known.
 */
bool direction_take_over(struct direction *direction, uint32_t thread);

/* The real call is over, only our own work is left. */
static inline void direction_settle(struct direction *direction)
{
        atomic_store_explicit(&direction->busy, DIRECTION_SETTLING, memory_order_relaxed);
}

static inline void direction_leave(struct direction *direction)
{
        atomic_store_explicit(&direction->busy, DIRECTION_FREE, memory_order_release);
}

/* Must something of ours still go out on it, whatever becomes of it? */
static inline bool conn_owes(const struct conn *conn)
{
        return conn->owed || conn->swallow;
}

/* The oldest request is over, as @outcome says: its span goes out, and it leaves the queue. The responses'
 * side only. */
struct exchange_outcome;
void conn_answered(struct conn *conn, const struct exchange_outcome *outcome);
/* The same for one that may not be the oldest, or a stream. */
void conn_exchange_answered(struct conn *conn, struct exchange *exchange,
                            const struct exchange_outcome *outcome);
/* No response will come any more: what waits ends with what is known of the connection. */
void conn_unanswered(struct conn *conn, const struct exchange_outcome *outcome);

/* Server: has a response to the oldest request begun, interim ones aside? Responses' side. */
bool conn_answer_begun(const struct conn *conn, const struct exchange *exchange);
/* Server: a request waits for a response of which we have not seen the begin. */
bool conn_owes_answer(struct conn *conn);

/* --- conn_queue.c: requests that wait for their response; all Context: signal --- */

/* The queue, of HTTP/2 the open streams. push and withdraw: outgoing side; first and pop: incoming side.
 * All but push and withdraw know nothing of streams. */
bool conn_queue_push(struct conn *conn, struct exchange *exchange);
bool conn_queue_withdraw(struct conn *conn, struct exchange *exchange);
struct exchange *conn_queue_first(struct conn *conn);
/* The one at a place from queue_head up to queue_tail. */
struct exchange *conn_queue_at(const struct conn *conn, uint32_t at);
/* The oldest FastCGI request with that id that is not answered, or NULL. Responses' side. */
struct exchange *conn_queue_find(struct conn *conn, uint16_t id);
void conn_queue_pop(struct conn *conn);
/* The oldest one leaves, and stays whoever took it has. */
void conn_queue_leave(struct conn *conn);

/* --- conn_table.c: descriptor -> connection; all Context: signal --- */

/* One table look-up: is there a connection behind this number? */
bool conn_table_has(int fd);
/* The connection with a reference taken, or NULL. */
struct conn *conn_table_get(int fd);
/* @fd names @conn from now on (whose reference for it the caller gives away). False: number out of range. */
bool conn_table_set(int fd, struct conn *conn);
/* @fd names nothing any more. Return: the connection, with the table's reference now the caller's; or NULL.
 */
struct conn *conn_table_clear(int fd);
/* Highest descriptor that was ever set, for close_range. */
int conn_table_highest(void);
/* How many descriptors name a connection now. */
uint32_t conn_table_count(void);
/* @visit each connection once per descriptor that names it, with a reference held. */
void conn_table_each(void (*visit)(struct conn *conn));
