/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server that forks: serving.h, and children as the fork handlers make them. */
#include "agent/flow/handoff.h"
#include "agent/process.h"
#include "agent/trace/scope.h"
#include "tests/unit/serving.h"

static inline void forking_begin_child(void)
{
        process_begin();
        handoff_after_fork();
        scope_after_fork();
}

static inline void forking_setup(void)
{
        serving_setup();
        process_watch_forks();
        process_after_fork = forking_begin_child;
}

static inline void in_child(void (*work)(void *))
{
        handoff_before_fork();
        ck_assert_int_eq(unit_in_child(work, NULL), 0);
}
