/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/intmap.h"

#include <stddef.h>

#define KEY_NEVER  0ull
#define KEY_ERASED UINT64_MAX
#define KEY_BUSY   (UINT64_MAX - 1) /* taken, its value is being written */

static bool key_usable(uint64_t key)
{
        return key != KEY_NEVER && key < KEY_BUSY;
}

static struct intmap_slot *slot_at(const struct intmap *map, uint64_t key, uint32_t distance)
{
        uint32_t home = (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 32);

        return &map->slots[(home + distance) & (map->capacity - 1)];
}

/*
 * Erased slots cannot become "never used" again while others probe across them, so the end of a
 * search is not only an unused slot but also the farthest distance from its home at which any key
 * was ever put. That keeps misses short in a map that has seen many keys come and go.
 */
static struct intmap_slot *find(struct intmap *map, uint64_t key)
{
        uint32_t reach = atomic_load_explicit(&map->reach, memory_order_acquire);

        for (uint32_t d = 0; d <= reach && d < map->capacity; d++) {
                struct intmap_slot *slot = slot_at(map, key, d);
                uint64_t here = atomic_load_explicit(&slot->key, memory_order_acquire);

                if (here == key)
                        return slot;
                if (here == KEY_NEVER)
                        return NULL;
        }
        return NULL;
}

static void raise_reach(struct intmap *map, uint32_t distance)
{
        uint32_t reach = atomic_load_explicit(&map->reach, memory_order_relaxed);

        while (reach < distance &&
               !atomic_compare_exchange_weak_explicit(&map->reach, &reach, distance, memory_order_release,
                                                      memory_order_relaxed))
                ;
}

/* False when another thread was faster. */
static bool claim(struct intmap *map, uint32_t distance, uint64_t key, uint32_t value)
{
        struct intmap_slot *slot = slot_at(map, key, distance);
        uint64_t here = atomic_load_explicit(&slot->key, memory_order_relaxed);

        if (here != KEY_NEVER && here != KEY_ERASED)
                return false;
        if (!atomic_compare_exchange_strong_explicit(&slot->key, &here, KEY_BUSY, memory_order_acquire,
                                                     memory_order_relaxed))
                return false;
        atomic_store_explicit(&slot->value, value, memory_order_relaxed);
        raise_reach(map, distance);
        atomic_store_explicit(&slot->key, key, memory_order_release);
        return true;
}

/* Distance of the first slot on @key's way that is free, or the capacity when there is none. */
static uint32_t first_free(const struct intmap *map, uint64_t key)
{
        uint32_t d = 0;

        for (; d < map->capacity; d++) {
                uint64_t here = atomic_load_explicit(&slot_at(map, key, d)->key, memory_order_relaxed);

                if (here == KEY_NEVER || here == KEY_ERASED)
                        break;
        }
        return d;
}

bool intmap_put(struct intmap *map, uint64_t key, uint32_t value)
{
        struct intmap_slot *slot;
        uint32_t distance;

        if (!key_usable(key))
                return false;
        slot = find(map, key);
        if (slot) {
                atomic_store_explicit(&slot->value, value, memory_order_release);
                return true;
        }
        do {
                distance = first_free(map, key);
                if (distance == map->capacity)
                        return false;
        } while (!claim(map, distance, key, value));
        return true;
}

bool intmap_get(struct intmap *map, uint64_t key, uint32_t *ret_value)
{
        struct intmap_slot *slot;
        uint32_t value;

        if (!key_usable(key))
                return false;
        slot = find(map, key);
        if (!slot)
                return false;
        value = atomic_load_explicit(&slot->value, memory_order_acquire);
        /* The slot may have been given to another key between the two loads. */
        if (atomic_load_explicit(&slot->key, memory_order_relaxed) != key)
                return false;
        *ret_value = value;
        return true;
}

bool intmap_take(struct intmap *map, uint64_t key, uint32_t *ret_value)
{
        struct intmap_slot *slot;
        uint32_t value;

        if (!key_usable(key))
                return false;
        slot = find(map, key);
        if (!slot)
                return false;
        value = atomic_load_explicit(&slot->value, memory_order_acquire);
        if (!atomic_compare_exchange_strong_explicit(&slot->key, &key, KEY_ERASED, memory_order_acq_rel,
                                                     memory_order_relaxed))
                return false;
        *ret_value = value;
        return true;
}
