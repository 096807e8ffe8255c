/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Time for spans. Hot paths read CLOCK_MONOTONIC only (one vDSO call); the wall clock is that plus
 * an offset which is measured at most once a second, so that one step of the wall clock cannot make
 * a span end before it starts.
 */
#include <stdint.h>

/**
 * clock_mono_ns() - nanoseconds of CLOCK_MONOTONIC
 *
 * Context: signal.
 */
uint64_t clock_mono_ns(void);

/**
 * clock_wall_ns() - a CLOCK_MONOTONIC moment as nanoseconds since the Unix epoch
 * @mono_ns: a recent result of clock_mono_ns()
 *
 * Two calls may lie on both sides of a new measurement: the end of a span is its converted start
 * plus the monotonic difference.
 *
 * Context: signal.
 */
uint64_t clock_wall_ns(uint64_t mono_ns);
