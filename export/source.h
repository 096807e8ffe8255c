/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One process whose ring is drained. The ring's contents are hostile until proven otherwise: lengths
 * come from our own mapping, records are copied before they are read. One thread.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "agent/ring/ring.h"
#include "export/batch.h"
#include "export/refine.h"
#include "export/refine_ending.h"
#include "export/refine_shared.h"
#include "export/resource/resource.h"

/* Where a source stands; the worker keeps a list of each. */
enum source_state {
        SOURCE_COLD, /* drained; its next record will wake us */
        SOURCE_WARM, /* drained a moment ago; again when the batch is due */
        SOURCE_HOT,  /* to be drained now */
        SOURCE_STATES
};

TAILQ_HEAD(source_list, source);

struct source {
        TAILQ_ENTRY(source) link;       /* of its state's list */
        TAILQ_ENTRY(source) flush_link; /* of the list of those whose process waits for a flush */
        enum source_state state;
        struct ring own_ring, *ring; /* ring: &own_ring, or the in-process home's */
        struct resource *resource;   /* made at the first span */
        struct refine *refine;
        TAILQ_ENTRY(source) tty_link; /* of the printer's list of those that live */
        int tty_fd;
        bool tty_stuck; /* it did not take what was printed last */
        bool has_tty;   /* which is: */
        dev_t tty_device;
        ino_t tty_inode;
        size_t batch_refs;  /* spans of it in the batch, in the printer, among the endings, shared */
        int group;          /* scratch of grouping_make() */
        bool dying;         /* its process is gone: drain to the end */
        bool ended;         /* drained to the end; freed with its last reference */
        bool flush_waits;   /* its process waits for flush_value */
        bool flush_drained; /* ...and flush_mark is set */
        uint32_t flush_value;
        uint64_t flush_mark;   /* deliver_mark() */
        uint64_t records_left; /* of a dying one: no honest ring holds more */
};

/* What draining needs, one for all sources. */
struct intake {
        struct batch *batch;
        struct meter *meter;
        uint64_t mono_ns, wall_ns; /* now */
        struct refine_endings endings;
        struct refine_shared shared;
        _Alignas(8) unsigned char record[LIMIT_RECORD];
};

/**
 * source_new() - arguments as for worker_add()
 *
 * Context: worker.
 * Return: NULL when the ring is no ring, or out of memory; the descriptors are closed then.
 */
struct source *source_new(int ring_fd, struct ring *ring, int tty_fd);

/* Not while the batch refers to it. A living process is told that nobody drains it. Context: worker. */
struct source *source_free(struct source *source);

/**
 * source_drain() - records into the batch, which is sent whenever it is full
 * @budget: at most so many, so that one busy process cannot keep the others waiting
 *
 * Context: worker.
 * Return: true when the ring is empty.
 */
bool source_drain(struct source *source, struct intake *intake, unsigned budget);

/* Is a span of trace @id, of a living process, visible as open? Context: worker. */
bool source_has_open(const struct source *source, const uint8_t *id);

/* Let go of spans that were held back and began before @older_than_ns (wall clock). Context: worker. */
void source_release(struct source *source, struct intake *intake, uint64_t older_than_ns);

/**
 * source_ended_by() - somebody knows how a process ended
 *
 * Its span, of whichever source, goes into the batch, or meets this word later.
 *
 * Context: worker.
 */
void source_ended_by(struct intake *intake, const struct refine_notice *notice);

/* Let go of the spans of dead processes that have waited long enough, or of @all. When is the first one due?
 * CLOCK_MONOTONIC ns; UINT64_MAX = none waits. Context: worker. */
void source_release_open(struct intake *intake, bool all);
uint64_t source_release_due(const struct intake *intake);

/**
 * source_end() - after the last source_drain() of a dying source: its open spans, what was held back,
 * its own counters; the ring is detached
 *
 * Context: worker.
 */
void source_end(struct source *source, struct intake *intake);
