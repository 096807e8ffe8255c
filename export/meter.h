/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What became of the spans, one row each: for delivery, every span that was taken from a process ends in
 * exactly one of the rows below. One thread.
 */
#include <stdint.h>

struct ring_header;

/*   id                what it counts */
#define METER_ROWS(X)                                                    \
        X(DRAINED, "spans taken from processes")                         \
        X(SENT, "spans delivered")                                       \
        X(PRINTED, "spans printed")                                      \
        X(REJECTED, "spans rejected by the collector (partial success)") \
        X(FAILED_ANSWER, "spans lost: collector refused them")           \
        X(FAILED_DEADLINE, "spans lost: not delivered in time")          \
        X(FAILED_TRANSPORT, "spans lost: connection failed for good")    \
        X(DROPPED_QUEUE, "spans dropped: queue full")                    \
        X(DROPPED_MEMORY, "spans dropped: out of memory")                \
        X(DROPPED_LARGE, "spans dropped: request too large")             \
        X(DROPPED_ENDPOINT, "spans dropped: no usable endpoint")         \
        X(DROPPED_CONSOLE, "spans not printed: stderr takes nothing")    \
        X(DROPPED_STOPPED, "spans dropped: undelivered at the end")      \
        X(BAD_RECORDS, "records dropped: not understood")                \
        X(LOST_IN_PROCESS, "spans dropped inside the processes")         \
        X(CLIENTS_REFUSED, "processes turned away")

enum meter_id {
#define X(id, text) METER_##id,
        METER_ROWS(X)
#undef X
                METER_COUNT
};

struct meter {
        uint64_t count[METER_COUNT];
};

static inline void meter_add(struct meter *meter, enum meter_id id, uint64_t n)
{
        meter->count[id] += n;
}

/**
 * meter_ring() - count what one process dropped by itself, and say so
 * @header: its ring's, once nothing will be drained any more; nothing in it is trusted
 *
 * Context: worker.
 */
void meter_ring(struct meter *meter, const struct ring_header *header);

/**
 * meter_log() - one line per row that is not zero, at level info
 *
 * Context: worker.
 */
void meter_log(const struct meter *meter);
