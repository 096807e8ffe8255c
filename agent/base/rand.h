/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Random numbers for ids: xoshiro256** per thread, seeded from getrandom(2), seeded anew in every
 * forked child (process_generation). Not for secrets.
 */
#include <stddef.h>
#include <stdint.h>

/**
 * rand_u64() - 64 random bits
 *
 * Where the kernel gives no seed (seccomp), the clock, the thread's address and the pid are mixed.
 *
 * Context: signal. errno kept.
 */
uint64_t rand_u64(void);
