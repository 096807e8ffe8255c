/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The words of the ring, for its two sides only (ring.c, ring_read.c). */
#include "agent/base/load.h"
#include "agent/ring/ring.h"

#define RING_HEADER_SIZE 4096
#define RING_RECORDS_MAX (1u << 23) /* half of what the count of records in a mark can tell apart */
#define RING_WORD_SIZE   8

_Static_assert(sizeof(struct ring_header) <= RING_HEADER_SIZE, "one page");
_Static_assert(STAT_COUNT <= 64, "the counters have room in the header");

/*
 * A mark (head or tail): 40 bits of position in cells, 24 bits of record count, both wrapping. The
 * position goes on counting over the laps, so that a word of an earlier lap is not taken for a new one.
 */
#define MARK_CELL_BITS 40
#define MARK_CELLS     ((1ull << MARK_CELL_BITS) - 1)
#define MARK_RECORDS   ((1ull << 24) - 1)

static inline uint64_t mark_cells(uint64_t mark)
{
        return mark & MARK_CELLS;
}

static inline uint64_t mark_advance(uint64_t mark, uint64_t cells, uint64_t records)
{
        uint64_t count = ((mark >> MARK_CELL_BITS) + records) & MARK_RECORDS;

        return count << MARK_CELL_BITS | ((mark + cells) & MARK_CELLS);
}

static inline uint64_t mark_cells_between(uint64_t tail, uint64_t head)
{
        return (head - tail) & MARK_CELLS;
}

static inline uint32_t mark_records_between(uint64_t tail, uint64_t head)
{
        return (uint32_t)(((head >> MARK_CELL_BITS) - (tail >> MARK_CELL_BITS)) & MARK_RECORDS);
}

/* A cell word: 2 bits of state, 22 bits of length (bytes of the record, without the word), the position. */
enum word_state { WORD_FREE, WORD_RESERVED, WORD_COMMITTED, WORD_PADDING };

#define WORD_LEN_MAX ((1u << 22) - 1)

_Static_assert(LIMIT_RECORD <= WORD_LEN_MAX && LIMIT_RING_MIN >= 4 * LIMIT_RECORD, "a record fits, padded");

static inline uint64_t word_make(enum word_state state, size_t len, uint64_t position)
{
        return (uint64_t)state << 62 | (uint64_t)len << MARK_CELL_BITS | mark_cells(position);
}

static inline enum word_state word_state(uint64_t word)
{
        return (enum word_state)(word >> 62);
}

static inline size_t word_len(uint64_t word)
{
        return word >> MARK_CELL_BITS & WORD_LEN_MAX;
}

static inline uint64_t len_cells(size_t len)
{
        return (len + RING_WORD_SIZE + RING_CELL - 1) / RING_CELL;
}

static inline unsigned char *ring_cell(const struct ring *ring, uint64_t position)
{
        return ring->data + (position & (ring->cells - 1)) * RING_CELL;
}

static inline _Atomic uint64_t *ring_word(const struct ring *ring, uint64_t position)
{
        return (_Atomic uint64_t *)(void *)ring_cell(ring, position);
}

/* A slot of an open span: this word, then the record. 0 = free or being written, else its length. */
static inline _Atomic uint64_t *open_word(const struct ring *ring, unsigned slot)
{
        return (_Atomic uint64_t *)(void *)(ring->open + (size_t)slot * ring->open_slot_size);
}
