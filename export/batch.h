/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Spans of any number of processes that leave together: printed and, encoded, handed to delivery.
 * Their texts live in the batch's arena. One thread.
 */
#include <stdbool.h>
#include <stddef.h>

#include "export/deliver.h"
#include "export/printer.h"

struct batch {
        struct arena arena; /* for refine_span() */
        struct batch_entry *entries;
        size_t count, capacity;
        size_t max;              /* spans of one request */
        unsigned exporters;      /* enum config_exporter */
        struct deliver *deliver; /* NULL without EXPORTER_OTLP */
        struct meter *meter;
        struct printer printer;
};

void batch_init(struct batch *batch, const struct config *config, struct deliver *deliver,
                struct meter *meter);
void batch_done(
        struct batch *batch); /* what is in it is counted as dropped, but for what waits to be printed */

/**
 * batch_add() - take in a span of @source
 *
 * The source stays in memory until batch_send(), even if its process goes. Without memory the span is
 * counted as dropped.
 *
 * Context: worker.
 */
void batch_add(struct batch *batch, struct source *source, const struct out_span *span);

/* True when it is time for batch_send(), in spans or in bytes. Not before refine_span() has returned. */
bool batch_full(const struct batch *batch);

/* Print it, and hand it over in requests of at most batch->max spans each. Context: worker. */
void batch_send(struct batch *batch, enum print_when when);
