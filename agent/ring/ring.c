/* SPDX-License-Identifier: Apache-2.0 */
/* The producer's side: the traced program. */
#include "agent/ring/ring.h"

#include <errno.h>

#include "agent/base/sys.h"
#include "agent/record/record.h"
#include "agent/ring/ring_layout.h"

/* Cells that a producer has got for itself. */
struct claim {
        uint64_t position; /* of the record */
        uint64_t padding;  /* position of the padding before it */
        bool padded;
        bool crossed; /* the high-water mark was passed by this very claim */
};

static bool past_half(const struct ring *ring, uint64_t cells, uint32_t records)
{
        return cells >= ring->cells / 2 || records >= (ring->record_max + 1) / 2;
}

/*
 * What the consumer wrote into the tail is its word only: a nonsensical one makes the ring look full,
 * never a claim outside of it.
 */
static bool claim_cells(struct ring *ring, uint64_t cells, struct claim *ret_claim)
{
        struct ring_header *header = ring->header;
        uint64_t head, to_end, padding, tail, used;
        uint32_t records;

        do {
                /*
                 * Acquire: what the consumer zeroed before it moved the tail is zero for us, and the head
                 * read after it is not behind it.
                 */
                tail = atomic_load_explicit(&header->tail, memory_order_acquire);
                head = atomic_load_explicit(&header->head, memory_order_relaxed);
                used = mark_cells_between(tail, head);
                records = mark_records_between(tail, head);
                to_end = ring->cells - (head & (ring->cells - 1));
                padding = cells > to_end ? to_end : 0;
                if (used + padding + cells > ring->cells || records >= ring->record_max)
                        return false;
        } while (!atomic_compare_exchange_weak_explicit(&header->head, &head,
                                                        mark_advance(head, padding + cells, 1),
                                                        memory_order_relaxed, memory_order_relaxed));
        *ret_claim = (struct claim){
                .position = mark_cells(head + padding),
                .padding = mark_cells(head),
                .padded = padding > 0,
                .crossed = !past_half(ring, used, records) &&
                           past_half(ring, used + padding + cells, records + 1),
        };
        return true;
}

bool ring_wake_due(struct ring *ring, uint64_t now_mono_ns)
{
        _Atomic uint64_t *wake_after = &ring->header->wake_after_ns;
        uint64_t moment = atomic_load(wake_after);

        if (now_mono_ns < moment)
                return false;
        return atomic_compare_exchange_strong(wake_after, &moment, now_mono_ns + RING_WAKE_AGAIN_NS);
}

/*
 * Between the claim and the commit nothing blocks, but the thread may be stopped for long. Past
 * LIMIT_ABANDONED_NS the consumer has given the record up; then the commit below fails and nothing
 * happens. That such a late writer writes over another's record takes more: the others must have
 * filled the whole ring meanwhile. Records are checked when they are read.
 */
enum ring_push ring_push(struct ring *ring, const struct span *span, uint64_t now_mono_ns)
{
        size_t len = record_size(span);
        struct claim claim;
        uint64_t word;

        if (len > LIMIT_RECORD)
                return RING_TOO_LARGE;
        if (!claim_cells(ring, len_cells(len), &claim))
                return RING_FULL;
        if (claim.padded) {
                size_t cells = mark_cells_between(claim.padding, claim.position);

                atomic_store_explicit(
                        ring_word(ring, claim.padding),
                        word_make(WORD_PADDING, cells * RING_CELL - RING_WORD_SIZE, claim.padding),
                        memory_order_release);
        }
        word = word_make(WORD_RESERVED, len, claim.position);
        atomic_store_explicit(ring_word(ring, claim.position), word, memory_order_relaxed);
        /* Killed from here on, the length is known: the compiler must not write the record first. */
        atomic_signal_fence(memory_order_seq_cst);
        record_write(ring_cell(ring, claim.position) + RING_WORD_SIZE, span);
        /*
         * Sequentially consistent, as is the look at wake_after_ns: either the consumer that falls asleep
         * sees this record, or we see that it is asleep.
         */
        (void)atomic_compare_exchange_strong(ring_word(ring, claim.position), &word,
                                             word_make(WORD_COMMITTED, len, claim.position));
        if (ring_wake_due(ring, now_mono_ns) || claim.crossed)
                return RING_PUSHED_WAKE;
        return RING_PUSHED;
}

uint32_t ring_pending(const struct ring *ring)
{
        /* The tail first: the head read after it cannot be behind it. */
        uint64_t tail = atomic_load(&ring->header->tail);
        uint32_t records = mark_records_between(tail, atomic_load(&ring->header->head));

        return MIN(records, ring->record_max);
}

/* Return: a slot that is now the caller's, or -1. */
static int open_claim(struct ring *ring)
{
        for (unsigned i = 0; i < ARRAY_LEN(ring->open_used); i++) {
                uint64_t used = atomic_load_explicit(&ring->open_used[i], memory_order_relaxed);

                while (~used) {
                        uint64_t bit = ~used & (used + 1);
                        unsigned slot = i * 64 + (unsigned)__builtin_ctzll(bit);

                        if (slot >= ring->open_slots)
                                return -1;
                        if (atomic_compare_exchange_weak_explicit(&ring->open_used[i], &used, used | bit,
                                                                  memory_order_acquire, memory_order_relaxed))
                                return (int)slot;
                }
        }
        return -1;
}

int ring_open_put(struct ring *ring, const struct span *span)
{
        size_t len = record_size(span);
        int slot;

        if (len > ring->open_slot_size - RING_WORD_SIZE)
                return -1;
        slot = open_claim(ring);
        if (slot < 0)
                return -1;
        record_write((unsigned char *)open_word(ring, (unsigned)slot) + RING_WORD_SIZE, span);
        atomic_store_explicit(open_word(ring, (unsigned)slot), len, memory_order_release);
        return slot;
}

void ring_open_clear(struct ring *ring, int slot)
{
        if (slot < 0 || (unsigned)slot >= ring->open_slots)
                return;
        atomic_store_explicit(open_word(ring, (unsigned)slot), 0, memory_order_release);
        atomic_fetch_and_explicit(&ring->open_used[slot / 64], ~(1ull << slot % 64), memory_order_release);
}

void ring_open_share(struct ring *ring, int slot)
{
        struct record_span *record;

        if (slot < 0 || (unsigned)slot >= ring->open_slots)
                return;
        record = (void *)((unsigned char *)open_word(ring, (unsigned)slot) + RING_WORD_SIZE);
        record->shared = true;
}

void ring_add_meta(struct ring *ring, struct slice text)
{
        uint32_t used = atomic_load_explicit(&ring->header->meta_len, memory_order_relaxed);

        if (used > ring->meta_size || text.len > ring->meta_size - used)
                return;
        if (text.len)
                memcpy(ring->meta + used, text.p, text.len);
        atomic_store_explicit(&ring->header->meta_len, used + (uint32_t)text.len, memory_order_release);
}

void ring_set_meta(struct ring *ring, struct slice text)
{
        atomic_store_explicit(&ring->header->meta_len, 0, memory_order_relaxed);
        ring_add_meta(ring, text);
}

void ring_drop(struct ring *ring)
{
        if (ring->header)
                (void)sys_munmap(ring->header, ring->map_len); /* ours: cannot fail */
        if (ring->fd >= 0)
                (void)sys_close(ring->fd); /* memory: nothing is lost */
        *ring = (struct ring){.fd = -1};
}
