/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Unaligned loads and small helpers that every module needs. No state. */
#include <stdint.h>
#include <string.h>

#define LIKELY(x)       __builtin_expect(!!(x), 1)
#define UNLIKELY(x)     __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)    (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(n, to) (((n) + (to)-1) & ~((__typeof__(n))(to)-1))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))

/*
 * How the library lies in memory: a page fault costs a short command more than anything that we compute.
 * START_DATA: small, and written at the start of every process. LARGE_TABLE: never touched by most processes;
 * the build sorts data by alignment, so these stay out of the others' pages. START_TABLE: zero, and its first
 * rows are written at the start: it lies right behind START_DATA. START_TEXT: runs once, at the start, the
 * end, or the first call of a function.
 */
#define START_DATA  __attribute__((section(".data.start")))
#define LARGE_TABLE _Alignas(128)
#define START_TABLE _Alignas(256)
#define START_TEXT  __attribute__((cold))

static inline uint32_t load_u32(const void *p)
{
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

static inline uint64_t load_u64(const void *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

static inline uint16_t load_be16(const void *p)
{
        const unsigned char *b = p;

        return (uint16_t)(b[0] << 8 | b[1]);
}

/* FNV-1a, 64 bit: for names and table look-ups, never for anything an enemy must not predict. */
#define HASH_SEED 0xcbf29ce484222325ull

static inline uint64_t hash_bytes(const void *p, size_t len, uint64_t seed)
{
        const unsigned char *b = p;

        for (size_t i = 0; i < len; i++)
                seed = (seed ^ b[i]) * 0x100000001b3ull;
        return seed;
}
