/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Objects of one size from memory that we map ourselves: no malloc, no lock. The memory of freed
 * objects stays mapped and stays objects of this slab (type-stable), so a stale pointer is never
 * worse than a wrong object.
 *
 * A word per chunk says which of its objects are free; the lowest free one is taken, so that what is
 * left after a burst lies together and the rest goes back to the system. Which objects are free stands
 * outside of them: they may become zero, and nothing else, while they are.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/load.h"

#define SLAB_NONE       UINT32_MAX
#define SLAB_CHUNKS_MAX 1024
#define SLAB_KEPT       (64u * 1024) /* bytes of the first chunks, which never go back */

struct slab_chunk {
        _Atomic(unsigned char *) memory; /* NULL: not mapped yet */
        _Atomic uint64_t used;           /* a bit for each object */
};

/* A bit for each chunk. */
struct slab_chunk_set {
        _Atomic uint64_t words[SLAB_CHUNKS_MAX / 64];
};

/* What changes, its chunks behind it. In most processes most slabs stay empty: then it is never touched. */
struct slab_state {
        _Alignas(64) struct slab_chunk_set some; /* may have a free object */
        struct slab_chunk_set resting;           /* beyond the kept ones: have memory and no object in use */
        _Atomic int32_t resting_count;           /* may be behind */
};

/* All slabs lie in a page of the start: the dynamic linker writes the pointer. */
struct slab {
        struct slab_state *state;
        uint64_t all;          /* a bit for each object of a chunk */
        uint32_t object_size;  /* bytes, multiple of 64 */
        uint16_t chunks_max;   /* cap */
        uint16_t kept;         /* the first chunks, which never go back */
        _Atomic uint32_t made; /* chunks mapped so far */
        uint32_t shift;        /* a chunk has 1 << shift objects */
};

#define SLAB_SIZE(size)       (((size) + 63u) & ~63u)
#define SLAB_CHUNKS(per, max) ((max) / (per))

/*
 * A static slab (@storage: static or nothing) needs no start: @size bytes each, at most @max of them, mapped
 * @per at a time: a power of two, at most 64.
 */
#define SLAB_DEFINE(storage, name, size, per, max)                                           \
        static LARGE_TABLE struct {                                                          \
                struct slab_state state;                                                     \
                struct slab_chunk chunks[SLAB_CHUNKS(per, max)];                             \
        } name##_state;                                                                      \
        _Static_assert((per) <= 64 && ((per) & ((per)-1)) == 0, "a word says what is used"); \
        _Static_assert((max) % (per) == 0, "chunks are whole");                              \
        _Static_assert(SLAB_CHUNKS(per, max) <= SLAB_CHUNKS_MAX, "too many chunks");         \
        storage START_DATA struct slab name = {                                              \
                .state = &name##_state.state,                                                \
                .all = ~0ull >> (64 - (per)),                                                \
                .object_size = SLAB_SIZE(size),                                              \
                .chunks_max = SLAB_CHUNKS(per, max),                                         \
                .kept = SLAB_KEPT / (SLAB_SIZE(size) * (per)) + 1,                           \
                .shift = (uint32_t)__builtin_ctz(per),                                       \
        }

/**
 * slab_alloc() - take an object
 * @ret_index: its number, the name under which other structures may keep it; may be NULL
 *
 * What is in it: zero, or what its last user left.
 *
 * Context: signal. errno kept.
 * Return: the object, or NULL when the cap is reached or no memory can be mapped.
 */
void *slab_alloc(struct slab *slab, uint32_t *ret_index);

/**
 * slab_free() - give an object back by its index
 *
 * Where more chunks rest than are kept, the memory of the last of them goes back to the system.
 *
 * Context: signal.
 */
void slab_free(struct slab *slab, uint32_t index);

/* Context: signal. */
static inline struct slab_chunk *slab_chunk(const struct slab *slab, uint32_t number)
{
        return (struct slab_chunk *)(slab->state + 1) + number;
}

/* Numbers of objects are below this. Context: signal. */
static inline uint32_t slab_end(const struct slab *slab)
{
        return atomic_load_explicit(&slab->made, memory_order_acquire) << slab->shift;
}

/* Is the object of a number below the slab's end in use? Context: signal. */
static inline bool slab_has(const struct slab *slab, uint32_t index)
{
        const struct slab_chunk *chunk = slab_chunk(slab, index >> slab->shift);

        return atomic_load_explicit(&chunk->used, memory_order_acquire) >>
                       (index & ((1u << slab->shift) - 1)) &
               1;
}

/**
 * slab_at() - the object with an index that slab_alloc() returned, whether it is free or not
 *
 * Context: signal.
 */
static inline void *slab_at(const struct slab *slab, uint32_t index)
{
        const struct slab_chunk *chunk = slab_chunk(slab, index >> slab->shift);

        return atomic_load_explicit(&chunk->memory, memory_order_acquire) +
               (size_t)(index & ((1u << slab->shift) - 1)) * slab->object_size;
}
