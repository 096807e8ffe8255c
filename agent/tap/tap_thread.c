/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_thread.h"

#include "agent/trace/cause.h"

_Atomic bool tap_thread_serves_at_all;

void tap_thread_new_slice(void)
{
        OBSERVE(cause_waited(&thread_state.cause));
}

uint64_t tap_thread_hand_over(void)
{
        uint64_t request = CAUSE_NONE;

        OBSERVE(request = cause_hand_over(&thread_state.cause));
        return request;
}

void tap_thread_begin(uint64_t request)
{
        OBSERVE({
                thread_state.cause.inherited = request;
                thread_state.cause.called = false;
        });
}

void tap_thread_enter(uint64_t request, struct thread_cause *ret_before)
{
        *ret_before = thread_state.cause;
        OBSERVE(cause_enter(&thread_state.cause, request, ret_before));
}

void tap_thread_leave(const struct thread_cause *before)
{
        OBSERVE(cause_leave(&thread_state.cause, before));
}
