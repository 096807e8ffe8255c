/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A span in the making: reads facts out of the raw record, collects attributes without doubling a
 * key. Shared by the refine_* files. One thread; everything lives in the batch's arena.
 */
#include "export/refine.h"

struct refine_routes;

struct refine_draft {
        struct arena *arena;
        const struct span *raw;
        const struct refine_routes *routes; /* of its process; NULL: none */
        struct out_span out;
        struct out_attr attrs[SEMCONV_FIRST_RAW];
        unsigned attr_count;
        uint64_t taken; /* bit per enum semconv: has a value already */
        bool failed;    /* memory ran out: the span is lost */
};

/* Context of all: worker. */

/* The raw text under @key; empty when there is none or it is no text. */
struct slice refine_draft_str(const struct refine_draft *draft, enum semconv key);

/* The raw number under @key; 0 when there is none or it is no number. */
int64_t refine_draft_int(const struct refine_draft *draft, enum semconv key);

/* Add an attribute; the first value of a key stays. Texts are copied and repaired, empty ones left out. */
void refine_draft_add_str(struct refine_draft *draft, enum semconv key, struct slice value);
void refine_draft_add_given(struct refine_draft *draft, enum semconv key, struct slice value); /* empty too */
void refine_draft_add_int(struct refine_draft *draft, enum semconv key, int64_t value);
void refine_draft_add_bool(struct refine_draft *draft, enum semconv key, bool value);

/* A text of the span itself (name, tracestate), copied and repaired. */
struct slice refine_draft_copy(struct refine_draft *draft, struct slice text);

/* A socket address as text and port. */
struct refine_peer {
        char address[48]; /* empty: not known */
        int port;         /* 0: not known */
};

/* The raw one under @key. */
struct refine_peer refine_draft_peer(const struct refine_draft *draft, enum semconv key);

/* network.peer.address and network.peer.port, as far as known. */
void refine_draft_add_peer(struct refine_draft *draft, const struct refine_peer *peer);
