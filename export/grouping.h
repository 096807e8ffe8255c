/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Spans of many processes, sorted by process without losing their order. One thread. */
#include "export/encode/otlp_encode.h"

struct source;

/* A span and where it comes from. */
struct batch_entry {
        struct source *source;
        struct out_span span;
};

struct grouping {
        struct encode_group *groups;
        struct source **sources; /* a row per group */
        struct out_span *spans;
        size_t *from; /* a row per span: which entry it was */
        size_t count; /* of groups */
};

/* All zero is an empty one. */
void grouping_free_p(struct grouping *grouping);
#define cleanup_grouping __attribute__((cleanup(grouping_free_p)))

/**
 * grouping_make() - group @count entries
 * @ret_grouping: freed by grouping_free_p(), also on failure; the texts stay the entries'
 *
 * Context: worker.
 * Return: false when out of memory.
 */
bool grouping_make(struct grouping *ret_grouping, const struct batch_entry *entries, size_t count);
