/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Failures that may yet turn out to be none: a connect to the first of a name's addresses that is
 * followed by one to the next, a look-up that is followed by a good one. They are held back, copied,
 * until it is known. One thread; bounded by LIMIT_HELD_SPANS.
 */
#include "agent/record/span.h"

struct refine_held;

/* All zero is an empty list. */
struct refine_hold {
        struct refine_held *first;
        unsigned count;
};

/* Receives each span that is final after all. */
typedef void refine_hold_release_fn(void *ctx, const struct span *raw);

/**
 * refine_hold_take() - a connect or look-up came in
 *
 * A failed one is held back, and takes back an earlier one to another address of the same look-up. An
 * earlier one to the same address was an attempt of its own: it is released.
 *
 * Context: worker.
 * Return: false when @raw is no matter for this list (or memory is short): it is final.
 */
bool refine_hold_take(struct refine_hold *hold, const struct span *raw, refine_hold_release_fn *release,
                      void *ctx);

/* @superseded: a SHAPE_CONNECT_SUPERSEDED record. What it names was no failure. Context: worker. */
void refine_hold_drop(struct refine_hold *hold, const struct span *superseded);

/* Release, in order, what ended before @older_than_ns; everything for UINT64_MAX. Context: worker. */
void refine_hold_release(struct refine_hold *hold, uint64_t older_than_ns, refine_hold_release_fn *release,
                         void *ctx);

void refine_hold_done(struct refine_hold *hold);
