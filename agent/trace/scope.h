/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whose child is the next request, is it recorded, and under which ids. The one place that decides;
 * the rungs of design 9 that need servers come with SERVER spans.
 */
#include "agent/trace/context.h"

/* What became of the question. */
struct scope_decision {
        struct trace_context context; /* of the new span; its tracestate is the parent's */
        uint8_t parent_id[8];         /* all zero: root */
        bool parent_remote;
        bool sampled; /* false: no span, but the context is still passed on */
};

/**
 * scope_start() - take the process's own context from TRACEPARENT and TRACESTATE
 * @traceparent, @tracestate: values or NULL; kept by the caller for the life of the process
 *
 * Context: start.
 */
void scope_start(const char *traceparent, const char *tracestate);

/**
 * scope_decide() - a new outgoing request begins on this thread
 *
 * New span id always; new trace id (with the random flag) where there is no parent; the sampler is
 * parentbased_always_on.
 *
 * Context: signal.
 */
void scope_decide(struct scope_decision *ret_decision);
