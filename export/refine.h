/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From raw records to exportable spans: what the host's thread left undone. Names, url.full and its
 * redaction, method normalisation, addresses as text, error.type and status, UTF-8 repair. By
 * facts of the semantic conventions 1.44.0 (HTTP, CLI programs, general attributes). One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/record/span.h"
#include "export/arena.h"

struct out_attr {
        const char *key;
        uint8_t type;     /* ATTR_STR, ATTR_INT, ATTR_BOOL */
        struct slice str; /* valid UTF-8, terminated as well */
        int64_t num;
};

struct out_span {
        uint8_t trace_id[16], span_id[8], parent_id[8];
        bool has_parent;
        uint32_t flags;                /* OTLP: trace flags | 0x100 | 0x200 when the parent is remote */
        uint8_t kind, status;          /* OTLP numbers */
        struct slice name, tracestate; /* valid UTF-8, terminated as well */
        uint64_t start_ns, end_ns;     /* end >= start always */
        const struct out_attr *attrs;
        unsigned attr_count;
};

/*
 * What one process's stream remembers between spans: the failed connects and look-ups that a
 * SHAPE_CONNECT_SUPERSEDED record, or a later failure of the same look-up, may still take back.
 */
struct refine;

struct refine *refine_new(void);
struct refine *refine_free(struct refine *refine); /* NULL */

/* The routes of the process's server requests (export/refine_route.h). Context: worker. */
void refine_set_routes(struct refine *refine, struct slice patterns);

/* Receives each finished span, in order; the texts live in the arena given to the call that led here. */
typedef void refine_emit_fn(void *ctx, const struct out_span *span);

/**
 * refine_span() - one record's span
 * @incomplete: found open in a dead process: end becomes @now_wall_ns, otel.instrument.incomplete=true
 *
 * Calls @emit once, or not at all (superseded, held back), or more than once (held ones are released).
 */
void refine_span(struct refine *refine, struct arena *arena, const struct span *raw, bool incomplete,
                 uint64_t now_wall_ns, refine_emit_fn *emit, void *ctx);

/* Release what is held back and older than @older_than_ns (wall clock), or everything for UINT64_MAX. */
void refine_release(struct refine *refine, struct arena *arena, uint64_t older_than_ns, refine_emit_fn *emit,
                    void *ctx);

/* True while something is held back. */
bool refine_holds(const struct refine *refine);

/* Spans lost because memory or the arena's cap ran out. */
uint64_t refine_lost(const struct refine *refine);
