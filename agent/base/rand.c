/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/rand.h"

#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"

/* splitmix64: spreads the few unpredictable bits of a poor seed over a whole word. */
static uint64_t mix(uint64_t *state)
{
        uint64_t z = *state += 0x9e3779b97f4a7c15ull;

        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return z ^ z >> 31;
}

/* Without the kernel's generator: clock, thread and process tell two threads apart. */
static void seed_poorly(uint64_t state[4])
{
        const void *start_bytes = (const void *)getauxval(AT_RANDOM);
        uint64_t word = clock_mono_ns();

        if (start_bytes)
                word = hash_bytes(start_bytes, 16, word);
        word ^= mix(&word) ^ (uint64_t)(uintptr_t)state;
        word ^= mix(&word) ^ (uint64_t)sys_getpid() << 32 ^ (uint64_t)sys_gettid();
        for (int i = 0; i < 4; i++)
                state[i] = mix(&word);
}

static void seed(uint64_t state[4])
{
        const size_t len = 4 * sizeof(state[0]);

        if (sys_call(SYS_getrandom, (long)state, (long)len, GRND_NONBLOCK, 0, 0, 0) != (long)len)
                seed_poorly(state);
        state[0] +=
                !(state[0] | state[1] | state[2] | state[3]); /* the one state that xoshiro never leaves */
}

static uint64_t rotate_left(uint64_t v, int by)
{
        return v << by | v >> (64 - by);
}

uint64_t rand_u64(void)
{
        uint64_t *s = thread_state.rand;
        uint32_t generation = __atomic_load_n(&process_generation, __ATOMIC_RELAXED);
        uint64_t result, t;

        /* Generation 0 (launcher, relay, before the start) looks like "not seeded": the state tells. */
        if (UNLIKELY(thread_state.rand_generation != generation || !(s[0] | s[1] | s[2] | s[3]))) {
                seed(s);
                thread_state.rand_generation = generation;
        }
        result = rotate_left(s[1] * 5, 7) * 9;
        t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate_left(s[3], 45);
        return result;
}
