/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The ring: one per process, in a sealed memfd mapped shared by the traced program (any number of
 * producers, lock-free) and its one consumer (relay, or a thread of the same process). Valid when
 * zero and untouched until used. Its layout is versioned and self-describing, because the consumer
 * may be another build, may come late, and may come after the process was killed.
 *
 *      [struct ring_header, one page][meta text][open spans][data]
 *
 * Data is a byte ring of records aligned to 64 bytes, none of which runs over its end. A record
 * begins with a cell word:
 *      0                            free, or reserved by somebody who has not got further yet
 *      RESERVED | length | position reserved
 *      COMMITTED | length | position readable
 *      PADDING | length | position  no record: the rest of the data before its end
 * The consumer zeroes what it has read before it moves the tail. A record that stays uncommitted
 * longer than LIMIT_ABANDONED_NS, or whose process is dead, is skipped and counted.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/slice.h"
#include "agent/base/stats.h"
#include "agent/record/span.h"

#define RING_MAGIC   0x676e6972656c746full /* "oteLring" */
#define RING_VERSION 4
#define RING_CELL    64

#define RING_WAKE_AGAIN_NS 1000000000ull

struct ring_header {
        uint64_t magic;
        uint32_t version;
        uint32_t header_size;                     /* where the meta text begins */
        uint64_t meta_size, open_size, data_size; /* bytes; data_size is a power of two */
        uint32_t open_slots, open_slot_size;
        uint32_t record_max; /* records that may be outstanding: OTEL_BSP_MAX_QUEUE_SIZE */
        uint32_t pid;
        uint64_t generation_start_ns; /* wall clock when the ring was made */
        _Atomic uint32_t meta_len;    /* bytes of meta text, stored last */
        uint32_t reserved;
        /* Producers: cells taken (low 40 bits) and records made (high 24 bits), in one word. */
        _Alignas(64) _Atomic uint64_t head;
        /* Consumer: the same two numbers, of what has been read. */
        _Alignas(64) _Atomic uint64_t tail;
        /*
         * CLOCK_MONOTONIC ns after which a producer must send a wake-up: 0 = the consumer is asleep,
         * wake it at the first record; the consumer keeps it in the future while it is awake, so that
         * a dead consumer is noticed as well. Whoever sends one moves it on by RING_WAKE_AGAIN_NS, so
         * that a wake-up that nobody heard is repeated by a later record.
         */
        _Alignas(64) _Atomic uint64_t wake_after_ns;
        _Atomic uint32_t flush_wanted;           /* counted up by a producer that waits in ring flush */
        _Atomic uint32_t flush_done;             /* the consumer's answer; futex word */
        _Alignas(64) _Atomic uint64_t stats[64]; /* STAT_COUNT used */
};

struct ring {
        struct ring_header *header;
        unsigned char *meta, *open, *data;
        size_t map_len;
        int fd; /* memfd; -1 after ring_attach() */
        /* What the header said when it was checked: the other side may change it at any time. */
        uint32_t cells; /* of data, a power of two */
        uint32_t meta_size, record_max, open_slots, open_slot_size;
        _Atomic uint64_t open_used[LIMIT_OPEN_SPANS / 64]; /* producer: slots taken */
        /* Consumer: its own tail, and what it has been waiting for at that place since when. */
        uint64_t tail, stuck_at, stuck_head, stuck_since_ns;
};

/* --- producer: the traced program --- */

/**
 * ring_create() - make the ring
 * @record_max: OTEL_BSP_MAX_QUEUE_SIZE; data bytes follow from it within LIMIT_RING_MIN/MAX
 *
 * Honours RLIMIT_FSIZE (ftruncate on a memfd would raise SIGXFSZ) by making a smaller ring or none.
 * The descriptor is close-on-exec, moved high, sealed (shrink, grow, seal); the mapping is shared.
 *
 * Context: hook.
 * Return: 0 or -errno; *ret_ring untouched on failure.
 */
int ring_create(struct ring *ret_ring, uint64_t record_max);

/* What the consumer must know of this process: "key=value\0" strings; what does not fit is left out whole.
 * ring_add_meta() appends, before the ring is handed over, by one thread. Context: hook. */
void ring_set_meta(struct ring *ring, struct slice text);
void ring_add_meta(struct ring *ring, struct slice text);

enum ring_push {
        RING_PUSHED = 0,
        RING_PUSHED_WAKE = 1, /* stored, and this caller is the one that must send a wake-up */
        RING_FULL = -1,
        RING_TOO_LARGE = -2,
};

/**
 * ring_push() - hand one finished span to the consumer
 * @now_mono_ns: the current CLOCK_MONOTONIC time, which the caller has anyway
 *
 * Lock-free; one attempt loop, never waits. The high-water mark (half of the records or bytes) asks
 * for a wake-up as well.
 *
 * Context: signal.
 */
enum ring_push ring_push(struct ring *ring, const struct span *span, uint64_t now_mono_ns);

/**
 * ring_wake_due() - must the caller send a wake-up now?
 *
 * For a full ring, whose consumer may be dead; true for one caller.
 *
 * Context: signal.
 */
bool ring_wake_due(struct ring *ring, uint64_t now_mono_ns);

/**
 * ring_open_put() - make a span that has begun visible, in case the process dies under it
 *
 * Context: signal.
 * Return: a slot for ring_open_clear(), or -1 when all are taken or it does not fit.
 */
int ring_open_put(struct ring *ring, const struct span *span);
void ring_open_clear(struct ring *ring, int slot);
/* Another process may tell of it from now on. Context: signal. */
void ring_open_share(struct ring *ring, int slot);

/* The raw munmap and close. For a forked child that drops its parent's ring: never touches its contents.
 * Context: signal. */
void ring_drop(struct ring *ring);

/* --- consumer: relay or thread --- */

/**
 * ring_attach() - map a ring that somebody handed over
 * @fd: stays the caller's; checked: a memfd of plausible size, sealed against shrinking, header valid
 *
 * Context: worker.
 * Return: 0, -EINVAL for a bad one, or -errno.
 */
int ring_attach(struct ring *ret_ring, int fd);

/**
 * ring_pop() - the next committed record
 * @buf: copied out to here, LIMIT_RECORD bytes
 * @dead: the producer's process is gone: nothing uncommitted will ever be committed
 *
 * Context: worker, one consumer at a time.
 * Return: record length (> 0), 0 when there is none now.
 */
size_t ring_pop(struct ring *ring, void *buf, bool dead, uint64_t now_mono_ns);

/* Records that are waiting, roughly. Either side. Context: signal. */
uint32_t ring_pending(const struct ring *ring);

/**
 * ring_sleep() - say when the producers must wake the consumer again
 * @wake_after_ns: 0 at the next record; else not before that CLOCK_MONOTONIC moment
 *
 * With 0, a record that is not committed yet does not keep the consumer awake: its producer will wake it.
 *
 * Return: false when a record can be read: drain again first.
 * Context: worker.
 */
bool ring_sleep(struct ring *ring, uint64_t wake_after_ns);

/* The open spans left by a dead process: copied out one by one; 0 at the end. Context: worker. */
size_t ring_open_take(struct ring *ring, unsigned *cursor, void *buf);

/* The same of a living process, which goes on: they stay, and may be garbage. Longer ones than @size are left
 * out. Context: worker. */
size_t ring_open_peek(const struct ring *ring, unsigned *cursor, void *buf, size_t size);

void ring_detach(struct ring *ring); /* worker */
