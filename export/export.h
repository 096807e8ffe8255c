/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The export library: drains rings, makes spans of their records, batches per resource, encodes and
 * delivers. One code with two homes: the relay process and a thread inside the traced program. It is
 * driven by its home: the worker waits in worker_wait() (our own poll, no third-party code) and works in
 * worker_step() (third-party code); the in-process home holds its fork lock exactly around the latter.
 *
 * One thread. May block only in worker_wait().
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"

struct worker;
struct source;

/**
 * worker_new() - a worker for one export configuration
 * @config: copied; its texts must live as long as the worker
 * @resolve_inline: look names up within worker_step() instead of leaving it to threads of libcurl's,
 *                  which would be outside of the in-process home's lock
 *
 * Return: NULL when out of memory.
 */
struct worker *worker_new(const struct config *config, bool resolve_inline);
struct worker *worker_free(struct worker *worker); /* NULL; what is queued is lost and counted */

/**
 * worker_add() - a process's ring to drain
 * @ring_fd: memfd, taken over (also on failure); -1 with @ring for the in-process home
 * @ring: a ring mapped already (in process), or NULL
 * @tty_fd: where this process's console output goes (its stderr), or -1; taken over. It is closed as soon as
 *          the process is gone and its output printed: a shell's $(...) may be waiting for that.
 *
 * Return: the source, owned by the worker, or NULL.
 */
struct ring;
struct source *worker_add(struct worker *worker, int ring_fd, struct ring *ring, int tty_fd);

/*
 * The process is gone (its socket hung up, its pidfd fired): drain to the end, then drop the source;
 * @source is not the caller's to use any more. What a dead process left is sent after WORKER_COALESCE_MS
 * at the latest, not at once: the short processes of one script shall share a batch.
 */
#define WORKER_COALESCE_MS 250
void worker_gone(struct worker *worker, struct source *source);

/* The kernel says that a signal ended process @pid, which may be one of the sources. */
void worker_ended(struct worker *worker, int64_t pid, int signal);

/* The process sent a wake-up. */
void worker_woken(struct worker *worker, struct source *source);

/* Add a descriptor of the home's (listener, client socket) to the wait; worker_step() calls @ready. */
typedef void worker_ready_fn(void *ctx, uint32_t epoll_events);
int worker_watch(struct worker *worker, int fd, uint32_t epoll_events, worker_ready_fn *ready, void *ctx,
                 void **ret_watch);
void worker_unwatch(struct worker *worker, void *watch);

/* Wait for whatever comes next: descriptors, timers. At most @timeout_ms (-1: no limit). */
void worker_wait(struct worker *worker, int timeout_ms);

/* Do what is due. */
void worker_step(struct worker *worker);

/* Drain and send now, do not wait for timers; answers ring flush requests when the data is out. */
void worker_flush(struct worker *worker);

/* Nothing queued, nothing in flight, no source with records. */
bool worker_idle(const struct worker *worker);
unsigned worker_sources(const struct worker *worker);

/* Until then, CLOCK_MONOTONIC ns, somebody who was never heard of may tell of what a dead process left; 0:
 * there is no such thing. */
uint64_t worker_awaits_until(const struct worker *worker);

/* A console descriptor of some process that is still there, or -1; the source's. */
int worker_tty(const struct worker *worker);

/* True once waiting is impossible (somebody closed our descriptors): the home must leave. */
bool worker_broken(const struct worker *worker);

/* What became of the spans so far. */
struct meter;
const struct meter *worker_meter(const struct worker *worker);
