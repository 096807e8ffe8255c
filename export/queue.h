/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Encoded requests that wait for delivery, oldest first, bounded in bytes: a request that does not
 * fit pushes out the oldest ones. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
        struct request *next;
        uint8_t *bytes; /* malloc'ed, owned */
        size_t len;
        uint64_t spans;    /* in it, for counting */
        uint64_t sequence; /* counted up from 1 in the order of queue_push() */
};

struct queue {
        struct request *head, **tail; /* tail: NULL while nothing was ever pushed */
        size_t bytes, bytes_max;
        uint64_t sequence; /* of the newest */
};

/* @bytes_max: of the requests' contents together. */
void queue_init(struct queue *queue, size_t bytes_max);

/**
 * queue_push() - append a request
 * @bytes: taken over, also on failure
 * @ret_dropped_spans: spans of the requests that had to go (with this one, if it cannot be kept at all)
 *
 * Context: worker.
 * Return: 0, -ENOMEM, -E2BIG (larger than the whole queue).
 */
int queue_push(struct queue *queue, uint8_t *bytes, size_t len, uint64_t spans, uint64_t *ret_dropped_spans);

/* The oldest, now the caller's (request_free()), or NULL. Context: worker. */
struct request *queue_take(struct queue *queue);

struct request *request_free(struct request *request); /* NULL accepted, NULL returned */

/* Empties it. Return: spans that were in it. Context: worker. */
uint64_t queue_clear(struct queue *queue);
