/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/scope.h"

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/rand.h"
#include "agent/base/stats.h"
#include "agent/trace/traceparent.h"

/* Of the whole process: what it was started with. Its ids are zero when it was given none. */
static START_DATA struct trace_context process_context;
static START_DATA struct slice process_baggage;
static START_DATA bool process_remote;
static LARGE_TABLE char cut_tracestate[LIMIT_TRACESTATE];

/* What may stand in a header line of ours: all of it, or nothing. */
static struct slice baggage_fit(struct slice value)
{
        for (size_t i = 0; i < value.len; i++)
                if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
                        return SLICE_NULL;
        return value.len <= LIMIT_BAGGAGE ? value : SLICE_NULL;
}

START_TEXT void scope_start(const char *traceparent, const char *tracestate, const char *baggage)
{
        struct slice state = slice_trim(slice_str(tracestate));

        process_context = (struct trace_context){.tracestate = SLICE_NULL};
        process_baggage = baggage_fit(slice_trim(slice_str(baggage)));
        process_remote = true;
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

/* The ids of a span below @parent, or of a root. */
static void begin_below(struct scope_decision *ret_decision, const struct trace_context *parent, bool remote)
{
        struct scope_decision decision = {.parent_remote = parent && remote, .sampled = is_sampled(parent)};

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

const struct trace_context *scope_process_context(struct slice *ret_baggage)
{
        if (ret_baggage)
                *ret_baggage = process_baggage;
        return trace_context_valid(&process_context) ? &process_context : NULL;
}

void scope_process(const struct trace_context *context, struct slice baggage, bool remote)
{
        process_context = *context;
        process_baggage = baggage;
        process_remote = remote;
}

void scope_begin(struct scope_decision *ret_decision)
{
        begin_below(ret_decision, scope_process_context(NULL), process_remote);
        ret_decision->baggage = process_baggage;
}

void scope_serve(struct scope_decision *ret_decision, const struct trace_context *incoming)
{
        begin_below(ret_decision, incoming && trace_context_valid(incoming) ? incoming : NULL, true);
}

static void found(struct scope_decision *decision, uint64_t request, enum cause_rung rung)
{
        decision->request = request;
        decision->rung = (uint8_t)rung;
        stat_add(STAT_PARENT_SEAM + (rung - CAUSE_BY_SEAM), 1);
}

static void decide_below(struct scope_decision *decision, const struct cause_arrival *arrival,
                         uint64_t request, enum cause_rung rung)
{
        begin_below(decision, &arrival->context, false);
        decision->sampled = arrival->sampled;
        decision->baggage = arrival->baggage;
        found(decision, request, rung);
}

bool scope_below(struct scope_decision *decision, uint64_t request, enum cause_rung rung,
                 struct scope_carry *carry)
{
        struct cause_arrival arrival;

        if (!cause_context(request, carry ? carry->tracestate : NULL, carry ? carry->baggage : NULL,
                           &arrival))
                return false;
        decide_below(decision, &arrival, request, rung);
        return true;
}

static void decide_alone(struct scope_decision *decision, uint64_t request)
{
        scope_begin(decision);
        found(decision, request, span_id_valid(decision->parent_id) ? CAUSE_BY_ENVIRON : CAUSE_BY_NOTHING);
}

void scope_decide(struct scope_decision *ret_decision, const struct cause_departure *departure,
                  struct scope_carry *carry)
{
        uint64_t request;
        enum cause_rung rung = cause_find(&thread_state.cause, departure, &request);

        if (rung == CAUSE_BY_NOTHING || !scope_below(ret_decision, request, rung, carry))
                decide_alone(ret_decision, request);
}

void scope_decide_into(struct scope_decision *ret_decision, const struct cause_departure *departure,
                       struct room *carry)
{
        struct cause_arrival arrival;
        uint64_t request;
        enum cause_rung rung = cause_find(&thread_state.cause, departure, &request);

        if (rung != CAUSE_BY_NOTHING && cause_context_into(request, carry, &arrival))
                decide_below(ret_decision, &arrival, request, rung);
        else
                decide_alone(ret_decision, request);
}

void scope_again(struct scope_decision *decision)
{
        struct scope_decision before = *decision;

        if (span_id_valid(decision->parent_id)) {
                make_span_id(decision->context.span_id);
        } else {
                begin_below(decision, NULL, false);
                decision->baggage = before.baggage;
        }
        found(decision, before.request, (enum cause_rung)before.rung);
}

struct slice scope_rung_text(unsigned rung)
{
        static const char *const texts[CAUSE_RUNGS] = {
                [CAUSE_BY_SEAM] = "seam",       [CAUSE_BY_HEADER] = "header",
                [CAUSE_BY_OPENING] = "opening", [CAUSE_BY_DEBT] = "debt",
                [CAUSE_BY_TARGET] = "target",   [CAUSE_BY_THREAD] = "thread",
                [CAUSE_BY_PROCESS] = "process", [CAUSE_BY_ENVIRON] = "environ",
                [CAUSE_BY_NOTHING] = "none",
        };

        return slice_str(rung < CAUSE_RUNGS ? texts[rung] : NULL);
}

bool scope_current(struct trace_context *ret_context, struct slice *ret_baggage, struct scope_carry *carry)
{
        uint64_t request = cause_current(&thread_state.cause);
        struct cause_arrival arrival;

        if (request != CAUSE_NONE && request != CAUSE_UNKNOWN &&
            cause_context(request, carry->tracestate, carry->baggage, &arrival)) {
                *ret_context = arrival.context;
                *ret_baggage = arrival.baggage;
                return true;
        }
        if (!scope_process_context(ret_baggage))
                return false;
        *ret_context = process_context;
        return true;
}

void scope_after_fork(void)
{
        static LARGE_TABLE struct scope_carry carry; /* of the one thread that a new child has */
        struct trace_context context;
        struct slice baggage;
        uint64_t request = cause_current(&thread_state.cause);

        if (cause_is_open(request) && scope_current(&context, &baggage, &carry))
                scope_process(&context, baggage, false);
        cause_after_fork(&thread_state.cause);
}
