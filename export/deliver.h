/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Delivery of encoded requests, one at a time, in order: attempts, pauses between them, and giving
 * up. A request's time limit covers all its attempts and begins with the first one, so an outage
 * costs one request per limit while the others wait in the queue. Pauses belong to the collector,
 * not to a request: after a failure nothing at all is sent before the pause is over. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/loop.h"
#include "export/meter.h"

struct deliver;

/**
 * deliver_new() - a way to the collector that the settings name
 * @resolve_inline: see otlp_http_new()
 *
 * Settings that name no usable endpoint are said once in the log; everything pushed is then counted
 * and dropped.
 *
 * Context: worker.
 * Return: NULL when out of memory.
 */
struct deliver *deliver_new(const struct config *config, struct loop *loop, struct meter *meter,
                            bool resolve_inline);
struct deliver *deliver_free(struct deliver *deliver); /* NULL accepted and returned; counts what is left */

/* Queue a request; @bytes (malloc'ed) are taken over. Context: worker. */
void deliver_push(struct deliver *deliver, uint8_t *bytes, size_t len, uint64_t spans);

/**
 * deliver_hurry() - somebody waits: end a pause early
 *
 * Only a pause of our own choice, and not within RETRY_FIRST_MS of the last attempt; never one that
 * the collector asked for. Context: worker.
 */
void deliver_hurry(struct deliver *deliver);

/* A mark for deliver_passed(): all that was pushed so far. */
uint64_t deliver_mark(const struct deliver *deliver);
/* True once everything up to the mark is delivered or given up. */
bool deliver_passed(const struct deliver *deliver, uint64_t mark);

/* When deliver_step() is due, CLOCK_MONOTONIC ns, UINT64_MAX = nothing to do; touches no third-party code. */
uint64_t deliver_due(const struct deliver *deliver);
void deliver_step(struct deliver *deliver, uint64_t now_ns);
