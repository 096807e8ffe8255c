/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Under which ids does the next span go, below which parent, and is it recorded? The one place that
 * decides: asks agent/trace/cause for the server request that an outgoing one belongs to, falls back to
 * the process's own context, and applies the sampler (parentbased_always_on).
 */
#include "agent/base/limits.h"
#include "agent/trace/cause.h"
#include "agent/trace/context.h"

/* Room for what a decision carries on from its parent; never cleaned. */
struct scope_carry {
        char tracestate[LIMIT_TRACESTATE];
        char baggage[LIMIT_BAGGAGE];
};

/* What became of the question. */
struct scope_decision {
        struct trace_context context; /* of the new span; its tracestate is the parent's */
        struct slice baggage;         /* to be passed on */
        uint64_t request;             /* the server request that it belongs to, CAUSE_NONE, CAUSE_UNKNOWN */
        uint8_t parent_id[8];         /* all zero: root */
        uint8_t rung;                 /* enum cause_rung; 0: a server's */
        bool parent_remote;
        bool sampled; /* false: no span, but the context is still passed on */
};

/**
 * scope_start() - take the process's own context from its environment
 * @traceparent, @tracestate, @baggage: values or NULL; kept by the caller for the life of the process
 *
 * Context: start.
 */
void scope_start(const char *traceparent, const char *tracestate, const char *baggage);

/**
 * scope_process() - the process's own context from now on: its process span's, or that of the server
 * request that a forked child inherited
 * @context: its tracestate, and @baggage, are kept by the caller
 * @remote: was it made by another process?
 *
 * Context: signal, with no other thread of the process deciding.
 */
void scope_process(const struct trace_context *context, struct slice baggage, bool remote);

/* The process's own context; NULL when it has none. *ret_baggage may be NULL. Context: signal. */
const struct trace_context *scope_process_context(struct slice *ret_baggage);

/**
 * scope_decide() - a new outgoing request, or another span of a client, begins on this thread
 * @departure: what it says of itself
 * @carry: room for tracestate and baggage of a server request, kept by the caller as long as the decision;
 *         NULL: they are left out
 *
 * New span id always; new trace id (with the random flag) where there is no parent. Counts the rung.
 *
 * Context: signal.
 */
void scope_decide(struct scope_decision *ret_decision, const struct cause_departure *departure,
                  struct scope_carry *carry);

/* The same, with a @carry that gets as much room as it takes. Context: signal. */
void scope_decide_into(struct scope_decision *ret_decision, const struct cause_departure *departure,
                       struct room *carry);

/**
 * scope_below() - the same for a request that is known already, found by @rung
 *
 * Context: signal. Return: false when it is over by now; nothing was decided.
 */
bool scope_below(struct scope_decision *decision, uint64_t request, enum cause_rung rung,
                 struct scope_carry *carry);

/* What was decided about goes out once more: a sibling under the same parent; where there is none, a new
 * root. Context: signal. */
void scope_again(struct scope_decision *decision);

/* A decision's rung in a word: "header", "debt", ...; empty for none. Any thread. */
struct slice scope_rung_text(unsigned rung);

/**
 * scope_serve() - a server request begins
 * @incoming: what it came in with, its tracestate borrowed; NULL or invalid: a new root
 *
 * Context: signal.
 */
void scope_serve(struct scope_decision *ret_decision, const struct trace_context *incoming);

/* A span of the process itself begins, below the process's own context. Context: signal. */
void scope_begin(struct scope_decision *ret_decision);

/* What this thread works for, for what it starts: ids, tracestate and baggage of the innermost context.
 * Return: false when there is none. Context: signal. */
bool scope_current(struct trace_context *ret_context, struct slice *ret_baggage, struct scope_carry *carry);

/* In a forked child: what its parent's thread worked for is the context of this process from now on. Context:
 * signal. */
void scope_after_fork(void);
