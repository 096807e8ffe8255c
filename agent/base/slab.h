/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Objects of one size from memory that we map ourselves: no malloc, no lock. The memory of freed
 * objects stays mapped and stays objects of this slab (type-stable), so a stale pointer is never
 * worse than a wrong object; counters inside the objects survive a free unless the user resets them.
 * Free objects are kept as an index list with a tag against ABA.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/load.h"

#define SLAB_NONE       UINT32_MAX
#define SLAB_CHUNKS_MAX 1024

struct slab {
        LARGE_TABLE uint32_t object_size; /* bytes, multiple of 64 */
        uint32_t chunk_objects;     /* objects mapped at a time */
        uint32_t count_max;         /* cap */
        _Atomic uint32_t made;      /* objects ever handed out */
        _Atomic uint64_t free_head; /* tag << 32 | index + 1; 0 = empty */
        _Atomic(unsigned char *) chunks[SLAB_CHUNKS_MAX];
};

/* Static initialiser: a slab needs no start. @size bytes each, at most @max of them, mapped @per at a time.
 */
#define SLAB_INIT(size, per, max)                                                                \
        {                                                                                        \
                .object_size = ((size) + 63u) & ~63u, .chunk_objects = (per), .count_max = (max) \
        }

/**
 * slab_alloc() - take an object
 * @ret_index: its number, the name under which other structures may keep it; may be NULL
 *
 * A fresh object is all zero; a reused one holds what its last user left, but for the first 8 bytes,
 * which the slab uses while it is free (they are zero on return).
 *
 * Context: signal. errno kept.
 * Return: the object, or NULL when the cap is reached or no memory can be mapped.
 */
void *slab_alloc(struct slab *slab, uint32_t *ret_index);

/**
 * slab_free() - give an object back by its index
 *
 * Context: signal.
 */
void slab_free(struct slab *slab, uint32_t index);

/**
 * slab_at() - the object with an index that slab_alloc() returned, whether it is free or not
 *
 * Context: signal.
 */
static inline void *slab_at(struct slab *slab, uint32_t index)
{
        unsigned char *chunk =
                atomic_load_explicit(&slab->chunks[index / slab->chunk_objects], memory_order_acquire);

        return chunk + (size_t)(index % slab->chunk_objects) * slab->object_size;
}
