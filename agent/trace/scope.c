/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/scope.h"

#include "agent/base/limits.h"
#include "agent/base/rand.h"
#include "agent/trace/traceparent.h"

/* Of the whole process: what it was started with. Its ids are zero when it was given none. */
static struct trace_context process_context;
static char cut_tracestate[LIMIT_TRACESTATE];

void scope_start(const char *traceparent, const char *tracestate)
{
        struct slice state = slice_trim(slice_str(tracestate));

        process_context = (struct trace_context){.tracestate = SLICE_NULL};
        if (!traceparent_parse(slice_str(traceparent), &process_context))
                return;
        if (tracestate_check(state))
                process_context.tracestate = tracestate_fit(state, cut_tracestate, sizeof(cut_tracestate));
}

/* The sampler parentbased_always_on: a parent's word counts, a root is recorded. */
static bool is_sampled(const struct trace_context *parent)
{
        return !parent || parent->flags & TRACE_FLAG_SAMPLED;
}

static void make_span_id(uint8_t id[8])
{
        uint64_t word;

        do
                word = rand_u64();
        while (word == 0);
        memcpy(id, &word, sizeof(word));
}

static void make_trace_id(uint8_t id[16])
{
        uint64_t words[2];

        do {
                words[0] = rand_u64();
                words[1] = rand_u64();
        } while ((words[0] | words[1]) == 0);
        memcpy(id, words, sizeof(words));
}

/* The nearest context that a new request belongs under, or NULL: then it is a root. */
static const struct trace_context *find_parent(void)
{
        return trace_context_valid(&process_context) ? &process_context : NULL;
}

void scope_decide(struct scope_decision *ret_decision)
{
        const struct trace_context *parent = find_parent();
        struct scope_decision decision = {.parent_remote = parent != NULL, .sampled = is_sampled(parent)};

        if (parent) {
                decision.context = *parent;
                memcpy(decision.parent_id, parent->span_id, sizeof(decision.parent_id));
        } else {
                make_trace_id(decision.context.trace_id);
                decision.context.flags = TRACE_FLAG_RANDOM;
        }
        make_span_id(decision.context.span_id);
        decision.context.flags &= (uint8_t)~TRACE_FLAG_SAMPLED;
        if (decision.sampled)
                decision.context.flags |= TRACE_FLAG_SAMPLED;
        *ret_decision = decision;
}
