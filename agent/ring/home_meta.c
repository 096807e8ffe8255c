/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home_meta.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "agent/base/load.h"
#include "agent/base/rand.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/ring/home_place.h"

static _Atomic uint64_t
        instance[2]; /* made once; a process that has to make a second ring stays the same one */

/* In pieces: a hook has no stack for a path. */
static void add_text(struct ring *ring, struct slice key, struct slice value)
{
        size_t used = atomic_load_explicit(&ring->header->meta_len, memory_order_relaxed);

        if (value.len == 0 || used + key.len + value.len + 2 > ring->meta_size)
                return;
        ring_add_meta(ring, key);
        ring_add_meta(ring, SLICE("="));
        ring_add_meta(ring, value);
        ring_add_meta(ring, slice_make("", 1));
}

static void add_number(struct ring *ring, struct slice key, uint64_t number)
{
        char digits[24];
        size_t at = sizeof(digits);

        do
                digits[--at] = (char)('0' + number % 10);
        while (number /= 10);
        add_text(ring, key, slice_make(digits + at, sizeof(digits) - at));
}

/* Of two threads that both make a ring, each half is the first one's. */
static void add_instance(struct ring *ring)
{
        char digits[ARRAY_LEN(instance) * 16];
        size_t at = 0;

        for (size_t i = 0; i < ARRAY_LEN(instance); i++) {
                uint64_t half = 0, fresh = rand_u64();

                if (atomic_compare_exchange_strong(&instance[i], &half, fresh))
                        half = fresh;
                for (int shift = 60; shift >= 0; shift -= 4)
                        digits[at++] = "0123456789abcdef"[half >> shift & 15];
        }
        add_text(ring, SLICE("@instance"), slice_make(digits, sizeof(digits)));
}

/* Read to where it is to stand; overwritten by what comes next if it is not whole. */
static void add_exe(struct ring *ring)
{
        size_t at = atomic_load_explicit(&ring->header->meta_len, memory_order_relaxed) + sizeof("@exe=") - 1;
        char *path = (char *)ring->meta + at;
        ssize_t n;

        if (at + PATH_MAX > ring->meta_size)
                return;
        n = sys_readlink("/proc/self/exe", path, PATH_MAX);
        if (n > 0 && n < PATH_MAX)
                add_text(ring, SLICE("@exe"), slice_make(path, (size_t)n));
}

void home_meta_write(struct ring *ring)
{
        add_number(ring, SLICE("@pid"), (uint64_t)sys_getpid());
        add_number(ring, SLICE("@ppid"), (uint64_t)sys_call(SYS_getppid, 0, 0, 0, 0, 0, 0));
        add_number(ring, SLICE("@uid"), (uint64_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0));
        add_number(ring, SLICE("@start_ns"), home_place.start_ns);
        add_instance(ring);
        add_text(ring, SLICE("@version"), SLICE(OTEL_INSTRUMENT_VERSION));
        add_text(ring, SLICE("@argv0"), slice_str(program_invocation_name));
        add_text(ring, SLICE("@term"), slice_str(home_place.term));
        add_text(ring, SLICE("@no_color"), slice_str(home_place.no_color));
        add_exe(ring);
        for (size_t i = 0; i < config_env_now.count; i++) {
                struct slice string = slice_str(config_env_now.envp[i]);

                if (slice_starts(string, SLICE("OTEL_")))
                        ring_add_meta(ring, slice_make(string.p, string.len + 1));
        }
}

void home_meta_after_fork(void)
{
        for (size_t i = 0; i < ARRAY_LEN(instance); i++)
                atomic_store(&instance[i], 0);
}
