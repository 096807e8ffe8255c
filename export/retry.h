/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * When to try again (OTLP 1.11.0): which answers are worth it, exponential back-off with jitter,
 * and what the collector asked for by Retry-After. No state but the length of the next pause, no
 * clock of its own. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#define RETRY_FIRST_MS     1000
#define RETRY_LAST_MS      5000    /* the pause grows up to here */
#define RETRY_AFTER_MAX_MS 3600000 /* a collector can ask for at most this */

struct retry {
        uint32_t pause_ms; /* the last pause without its jitter; 0 = no failure yet */
};

/* Is an answer with this HTTP status worth another attempt? Context: worker. */
bool retry_status(long status);

/**
 * retry_pause() - milliseconds to wait after another failure
 * @random: 64 random bits, which move the pause by up to a fifth either way
 *
 * Context: worker.
 */
uint32_t retry_pause(struct retry *retry, uint64_t random);

/* It went well: the next failure begins with the first pause again. Context: worker. */
void retry_reset(struct retry *retry);

/**
 * retry_after() - the pause that a Retry-After field asks for
 * @text: seconds or an HTTP date
 * @now_wall_s: for the date, seconds since the Unix epoch
 *
 * Context: worker.
 * Return: milliseconds (0 for a date gone by, at most RETRY_AFTER_MAX_MS), or -1 when it is neither.
 */
int64_t retry_after(const char *text, int64_t now_wall_s);
