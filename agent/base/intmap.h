/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A fixed-capacity concurrent map from a non-zero 64-bit key (usually a pointer of the host's) to a
 * 32-bit value (usually a slab index). Open addressing, no lock, never grows.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/load.h"

struct intmap_slot {
        _Atomic uint64_t key; /* 0 = never used, UINT64_MAX = erased */
        _Atomic uint32_t value;
};

struct intmap {
        uint32_t capacity; /* power of two */
        struct intmap_slot *slots;
        _Atomic uint32_t reach; /* farthest from its home that a key was ever put */
};

#define INTMAP_DEFINE(name, slot_count)                                 \
        static LARGE_TABLE struct intmap_slot name##_slots[slot_count]; \
        static struct intmap name = {(slot_count), name##_slots}

/**
 * intmap_put() - map @key to @value; an existing mapping is replaced
 *
 * Two threads may put different keys at once; the same key is put by one thread at a time (the
 * host's own rule for its handles).
 *
 * Context: signal.
 * Return: false when the map is full.
 */
bool intmap_put(struct intmap *map, uint64_t key, uint32_t value);

/* Context: signal. Return: true and *ret_value when @key is mapped. */
bool intmap_get(struct intmap *map, uint64_t key, uint32_t *ret_value);

/* Context: signal. Return: true and *ret_value when @key was mapped; it no longer is. */
bool intmap_take(struct intmap *map, uint64_t key, uint32_t *ret_value);
