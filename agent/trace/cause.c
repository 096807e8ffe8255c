/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/cause.h"

#include "agent/base/load.h"

uint64_t cause_open(struct thread_cause *thread, const struct cause_arrival *arrival)
{
        return CAUSE_UNKNOWN;
}

void cause_close(uint64_t request)
{
}

void cause_waited(struct thread_cause *thread)
{
}

void cause_read(struct thread_cause *thread, uint64_t owner)
{
}

void cause_wrote(struct thread_cause *thread, uint64_t owner)
{
}

void cause_connect(struct thread_cause *thread, struct cause_opening *ret_opening)
{
}

enum cause_rung cause_find(struct thread_cause *thread, const struct cause_departure *departure,
                           uint64_t *ret_request)
{
        *ret_request = CAUSE_NONE;
        return CAUSE_BY_NOTHING;
}

uint64_t cause_current(const struct thread_cause *thread)
{
        return CAUSE_NONE;
}

bool cause_context(uint64_t request, char *tracestate, char *baggage, struct cause_arrival *ret_arrival)
{
        return false;
}

uint64_t cause_by_header(const struct trace_context *header)
{
        return CAUSE_NONE;
}

bool cause_is_open(uint64_t request)
{
        return false;
}

void cause_after_fork(struct thread_cause *thread)
{
}
