/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_thread.h"

#include "agent/trace/cause.h"

_Atomic bool tap_thread_serves_at_all;

void tap_thread_new_slice(void)
{
        OBSERVE(cause_waited(&thread_state.cause));
}

uint64_t tap_thread_request(void)
{
        uint64_t request = CAUSE_NONE;

        OBSERVE(request = cause_current(&thread_state.cause));
        return request;
}

void tap_thread_begin(uint64_t request)
{
        OBSERVE({
                thread_state.cause.inherited = request;
                thread_state.cause.called = false;
        });
}

uint64_t tap_thread_enter(uint64_t request)
{
        uint64_t before = thread_state.cause.inherited;

        tap_thread_begin(request);
        return before;
}

void tap_thread_leave(uint64_t before)
{
        tap_thread_begin(before);
}
