/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for their response, oldest first; those of HTTP/2, which know no order, are passed on.
 */
#include "agent/flow/http2_flow.h"

struct exchange *conn_queue_at(const struct conn *conn, uint32_t at)
{
        const struct conn_waiting *waiting = &conn->queue[at % CONN_QUEUE_SHORT];

        return exchange_at(waiting->at == at ? waiting->exchange
                                             : ((const uint32_t *)conn->more.p)[at % LIMIT_PIPELINE]);
}

bool conn_queue_push(struct conn *conn, struct exchange *exchange)
{
        uint32_t tail = atomic_load_explicit(&conn->queue_tail, memory_order_relaxed);
        uint32_t waiting = tail - atomic_load_explicit(&conn->queue_head, memory_order_acquire);

        if (exchange->stream)
                return http2_flow_put(conn->http2, exchange);
        if (waiting == 0)
                room_give(&conn->more); /* nobody looks into it */
        if (waiting < CONN_QUEUE_SHORT)
                conn->queue[tail % CONN_QUEUE_SHORT] = (struct conn_waiting){tail, exchange->index};
        else if (waiting < LIMIT_PIPELINE && room_grow(&conn->more, LIMIT_PIPELINE * sizeof(uint32_t), 0))
                ((uint32_t *)conn->more.p)[tail % LIMIT_PIPELINE] = exchange->index;
        else
                return false;
        atomic_store_explicit(&conn->queue_tail, tail + 1, memory_order_release);
        return true;
}

bool conn_queue_withdraw(struct conn *conn, struct exchange *exchange)
{
        uint32_t none = CLAIM_NONE;

        /* Newest first, so it is the last one of the queue. */
        if (!atomic_compare_exchange_strong(&exchange->claim, &none, CLAIM_WITHDRAWN))
                return false;
        if (exchange->stream)
                return http2_flow_take(conn->http2, exchange);
        atomic_fetch_sub_explicit(&conn->queue_tail, 1, memory_order_acq_rel);
        return true;
}

struct exchange *conn_queue_first(struct conn *conn)
{
        uint32_t head = atomic_load_explicit(&conn->queue_head, memory_order_relaxed);

        if (head == atomic_load_explicit(&conn->queue_tail, memory_order_acquire))
                return NULL;
        return conn_queue_at(conn, head);
}

struct exchange *conn_queue_find(struct conn *conn, uint16_t id)
{
        uint32_t tail = atomic_load_explicit(&conn->queue_tail, memory_order_acquire);

        for (uint32_t at = atomic_load_explicit(&conn->queue_head, memory_order_relaxed); at != tail; at++) {
                struct exchange *exchange = conn_queue_at(conn, at);

                if (exchange->fcgi_id == id && !exchange->done)
                        return exchange;
        }
        return NULL;
}

void conn_queue_leave(struct conn *conn)
{
        uint32_t head = atomic_load_explicit(&conn->queue_head, memory_order_relaxed);

        atomic_store_explicit(&conn->queue_head, head + 1, memory_order_release);
}

void conn_queue_pop(struct conn *conn)
{
        struct exchange *exchange =
                conn_queue_at(conn, atomic_load_explicit(&conn->queue_head, memory_order_relaxed));

        conn_queue_leave(conn);
        exchange_drop(exchange);
}
