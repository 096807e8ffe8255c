/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The in-process home: what the preload (which loads this library late, in its own thread) and the
 * worker share. Plain memory and futex words (used without FUTEX_PRIVATE_FLAG); the preload owns it
 * for the life of the process image.
 *
 * The thread leaves the process's descriptor table for one of its own where the kernel can do that
 * (5.9 and later): what it opens has no number in the host, is out of reach of the host's closing
 * loops, and is neither inherited by a fork nor by an exec. Only wake_fd is in both tables.
 */
#include <stdatomic.h>
#include <stdint.h>

#include "agent/config/config.h"

struct ring;

enum inproc_stop { INPROC_RUN, INPROC_STOP_FLUSH, INPROC_STOP_NOW };

struct inproc {
        struct ring *ring;
        const struct config *config;
        int wake_fd;                  /* eventfd: a record wants draining, or stop changed */
        _Atomic uint32_t third_party; /* lock word: 0 free, 1 held, 2 held and waited for (futex). The worker
                                         holds it exactly while it is inside third-party code. */
        _Atomic uint32_t stop;        /* enum inproc_stop, set by the host's side */
        _Atomic uint32_t gone;        /* futex word: 1 once the thread will touch nothing any more */
        _Atomic uint32_t ready;       /* futex word: 1 once libraries are loaded and initialised */
        void (*at_exit)(int status, void *unused); /* for on_exit(), so that it runs before theirs */
};

/*
 * The one symbol that libotel-export.so exports: runs until told to stop, or until it is the last
 * thread of the process (then it delivers what is there, within the exit timeout, as for
 * INPROC_STOP_FLUSH). Called on a thread with all signals blocked that the preload has marked as
 * ours. Sets gone before it returns. Returns 0 or -errno.
 */
#define INPROC_SYMBOL "otel_inproc_run"
typedef int inproc_run_fn(struct inproc *inproc);
int otel_inproc_run(struct inproc *inproc);
