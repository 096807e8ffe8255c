/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the console exporter prints when. Processes that write to the same terminal or file show what they did
 * together as one tree: so a trace waits while the span that it hangs on is still open in a process there
 * that lives, but no longer than LIMIT_PRINT_HELD_NS. One thread.
 */
#include <sys/queue.h>

#include "export/grouping.h"
#include "export/meter.h"

enum print_when {
        PRINT_LATER, /* nothing yet: rings are still to be drained */
        PRINT_WHOLE, /* traces that wait for nothing */
        PRINT_ALL
};

struct print_entry {
        struct batch_entry entry;
        uint64_t since_ns; /* CLOCK_MONOTONIC */
};

struct printer {
        TAILQ_HEAD(, source) sources; /* those that live and have a terminal */
        struct print_entry *held;     /* each with one of its source's batch_refs */
        size_t held_count;
        struct arena arena; /* their texts */
        struct meter *meter;
};

void printer_init(struct printer *printer, struct meter *meter);
void printer_done(struct printer *printer); /* what is held is printed */

/* A process with a terminal has come, or is about to be forgotten. Context: worker. */
void printer_add_source(struct printer *printer, struct source *source);
void printer_remove_source(struct printer *printer, struct source *source);

/**
 * printer_print() - new spans, and what was held
 *
 * The texts of @entries, and their references to sources, stay the caller's.
 *
 * Context: worker.
 */
void printer_print(struct printer *printer, const struct batch_entry *entries, size_t count,
                   enum print_when when, uint64_t now_ns);

/* When something has been held for long enough; UINT64_MAX: nothing is. Context: worker. */
uint64_t printer_due(const struct printer *printer);
