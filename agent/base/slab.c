/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/slab.h"

#include <stddef.h>
#include <sys/mman.h>

#include "agent/base/sys.h"

#define LINK_MASK 0xffffffffull /* index + 1 of the first free object */
#define TAG_ONE   (1ull << 32)

/*
 * Two threads may look at the same free object: the slower one reads a link that the new owner has
 * overwritten by then. It never uses it, because the tag of the list's head has changed; the
 * memory is still there, because chunks are never unmapped.
 */
__attribute__((noinline, no_sanitize("thread"))) static uint64_t read_link(const void *object)
{
        return *(const volatile uint64_t *)object & LINK_MASK;
}

static void *take_free(struct slab *slab, uint32_t *ret_index)
{
        uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_acquire);

        while (head & LINK_MASK) {
                uint32_t index = (uint32_t)(head & LINK_MASK) - 1;
                uint64_t *object = slab_at(slab, index);
                uint64_t next = ((head & ~LINK_MASK) + TAG_ONE) | read_link(object);

                if (atomic_compare_exchange_weak_explicit(&slab->free_head, &head, next, memory_order_acquire,
                                                          memory_order_acquire)) {
                        *object = 0;
                        *ret_index = index;
                        return object;
                }
        }
        return NULL;
}

/* The chunk is there afterwards, made by us or by a faster thread; NULL where nothing can be mapped. */
static unsigned char *ensure_chunk(struct slab *slab, uint32_t number)
{
        const size_t len = (size_t)slab->chunk_objects * slab->object_size;
        unsigned char *chunk = atomic_load_explicit(&slab->chunks[number], memory_order_acquire);
        unsigned char *fresh;

        if (chunk)
                return chunk;
        fresh = sys_mmap(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (!fresh)
                return NULL;
        if (atomic_compare_exchange_strong_explicit(&slab->chunks[number], &chunk, fresh,
                                                    memory_order_acq_rel, memory_order_acquire))
                return fresh;
        sys_munmap(fresh, len);
        return chunk;
}

static void *make_fresh(struct slab *slab, uint32_t *ret_index)
{
        uint32_t index = atomic_load_explicit(&slab->made, memory_order_relaxed);

        do {
                if (index >= slab->count_max || index / slab->chunk_objects >= SLAB_CHUNKS_MAX)
                        return NULL;
                /* Mapped before the number is taken: a failure leaves no hole in the numbers. */
                if (!ensure_chunk(slab, index / slab->chunk_objects))
                        return NULL;
        } while (!atomic_compare_exchange_weak_explicit(&slab->made, &index, index + 1, memory_order_relaxed,
                                                        memory_order_relaxed));
        *ret_index = index;
        return slab_at(slab, index);
}

void *slab_alloc(struct slab *slab, uint32_t *ret_index)
{
        uint32_t index = SLAB_NONE;
        void *object = take_free(slab, &index);

        if (!object)
                object = make_fresh(slab, &index);
        if (object && ret_index)
                *ret_index = index;
        return object;
}

void slab_free(struct slab *slab, uint32_t index)
{
        uint64_t *object = slab_at(slab, index);
        uint64_t head = atomic_load_explicit(&slab->free_head, memory_order_relaxed);
        uint64_t next;

        do {
                *object = head & LINK_MASK;
                next = ((head & ~LINK_MASK) + TAG_ONE) | (index + 1);
        } while (!atomic_compare_exchange_weak_explicit(&slab->free_head, &head, next, memory_order_release,
                                                        memory_order_relaxed));
}
