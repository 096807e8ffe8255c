/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/slab.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "agent/base/load.h"
#include "agent/base/sys.h"

static bool set_add(struct slab_chunk_set *set, uint32_t number)
{
        uint64_t bit = 1ull << number % 64;

        return !(atomic_fetch_or(&set->words[number / 64], bit) & bit);
}

static bool set_remove(struct slab_chunk_set *set, uint32_t number)
{
        uint64_t bit = 1ull << number % 64;

        return atomic_fetch_and(&set->words[number / 64], ~bit) & bit;
}

static size_t chunk_len(const struct slab *slab)
{
        return (size_t)slab->object_size << slab->shift;
}

/* --- chunks without an object in use --- */

__attribute__((noinline)) static void stop_resting(struct slab *slab, uint32_t number)
{
        if (set_remove(&slab->state->resting, number))
                atomic_fetch_sub_explicit(&slab->state->resting_count, 1, memory_order_relaxed);
}

/* While all its objects are taken nobody else touches them, but for a reader of a stale pointer. */
static void give_back(struct slab *slab, uint32_t number)
{
        struct slab_chunk *chunk = slab_chunk(slab, number);
        uint64_t used = 0;

        if (!atomic_compare_exchange_strong(&chunk->used, &used, slab->all))
                return;
        stop_resting(slab, number);
        (void)sys_call(SYS_madvise, (long)chunk->memory, (long)chunk_len(slab), MADV_DONTNEED, 0, 0, 0);
        atomic_store(&chunk->used, 0);
        (void)set_add(&slab->state->some, number); /* whoever took the last one may have looked meanwhile */
}

static void give_back_last(struct slab *slab)
{
        for (uint32_t i = ARRAY_LEN(slab->state->resting.words); i-- > 0;) {
                uint64_t word = atomic_load_explicit(&slab->state->resting.words[i], memory_order_relaxed);

                if (word) {
                        give_back(slab, i * 64 + 63 - (uint32_t)__builtin_clzll(word));
                        return;
                }
        }
}

__attribute__((noinline)) static void rest(struct slab *slab, uint32_t number)
{
        int32_t count = atomic_load_explicit(&slab->state->resting_count, memory_order_relaxed);

        if (set_add(&slab->state->resting, number))
                count = atomic_fetch_add_explicit(&slab->state->resting_count, 1, memory_order_relaxed) + 1;
        if (atomic_load(&slab_chunk(slab, number)->used)) /* somebody who did not see the mark took from it */
                stop_resting(slab, number);
        else if (count > (int32_t)slab->kept)
                give_back_last(slab);
}

/* --- objects --- */

/* The chunk's last free one was taken. Looked at once more: one may have been freed before we say that. */
__attribute__((noinline)) static void forget_some(struct slab *slab, uint32_t number)
{
        if (set_remove(&slab->state->some, number) &&
            atomic_load(&slab_chunk(slab, number)->used) != slab->all)
                (void)set_add(&slab->state->some, number);
}

static inline void *take(struct slab *slab, uint32_t number, uint32_t *ret_index)
{
        struct slab_chunk *chunk = slab_chunk(slab, number);
        uint64_t used = atomic_load_explicit(&chunk->used, memory_order_relaxed);
        uint64_t bit;
        uint32_t at;

        do {
                bit = ~used & (used + 1);
                if (!(bit & slab->all))
                        return NULL;
        } while (!atomic_compare_exchange_weak(&chunk->used, &used, used | bit));
        if (UNLIKELY((used | bit) == slab->all))
                forget_some(slab, number);
        if (UNLIKELY(!used && number >= slab->kept))
                stop_resting(slab, number);
        at = (uint32_t)__builtin_ctzll(bit);
        if (ret_index)
                *ret_index = (number << slab->shift) + at;
        return atomic_load_explicit(&chunk->memory, memory_order_relaxed) + (size_t)at * slab->object_size;
}

__attribute__((noinline)) static void *take_lowest(struct slab *slab, uint32_t *ret_index)
{
        uint32_t made = atomic_load_explicit(&slab->made, memory_order_acquire);
        void *object;

        for (uint32_t first = 0; first < made; first += 64) {
                uint64_t word = atomic_load(&slab->state->some.words[first / 64]);

                for (; word; word &= word - 1) {
                        object = take(slab, first + (uint32_t)__builtin_ctzll(word), ret_index);
                        if (object)
                                return object;
                }
        }
        return NULL;
}

/* One more chunk, made by us or by a faster thread. Return: false at the cap, and where nothing can be
 * mapped. */
static bool make_chunk(struct slab *slab)
{
        uint32_t number = atomic_load_explicit(&slab->made, memory_order_acquire);
        unsigned char *memory = NULL, *fresh;

        if (number >= slab->chunks_max)
                return false;
        if (!atomic_load_explicit(&slab_chunk(slab, number)->memory, memory_order_acquire)) {
                fresh = sys_mmap(chunk_len(slab), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
                if (!fresh)
                        return false;
                if (!atomic_compare_exchange_strong(&slab_chunk(slab, number)->memory, &memory, fresh))
                        sys_munmap(fresh, chunk_len(slab));
        }
        (void)set_add(&slab->state->some, number);
        (void)atomic_compare_exchange_strong(&slab->made, &number, number + 1);
        return true;
}

void *slab_alloc(struct slab *slab, uint32_t *ret_index)
{
        uint64_t word = atomic_load_explicit(&slab->state->some.words[0], memory_order_acquire);
        void *object = LIKELY(word) ? take(slab, (uint32_t)__builtin_ctzll(word), ret_index) : NULL;

        while (UNLIKELY(!object)) {
                object = take_lowest(slab, ret_index);
                if (!object && !make_chunk(slab))
                        break;
        }
        return object;
}

void slab_free(struct slab *slab, uint32_t index)
{
        uint32_t number = index >> slab->shift;
        uint64_t bit = 1ull << (index & ((1u << slab->shift) - 1));
        uint64_t used = atomic_fetch_and(&slab_chunk(slab, number)->used, ~bit);

        if (UNLIKELY(used == slab->all))
                (void)set_add(&slab->state->some, number);
        if (UNLIKELY(used == bit && number >= slab->kept))
                rest(slab, number);
}
