/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the export library inside the program: counts records, answers flushes, stops when told. */
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/ring/ring.h"
#include "export/inproc/inproc.h"

static void futex_set(_Atomic uint32_t *word, uint32_t value)
{
        atomic_store(word, value);
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Records are counted where the test finds the number: in a counter of the ring that means something else. */
static void drain(struct ring *ring)
{
        static char record[LIMIT_RECORD];
        uint32_t wanted = atomic_load(&ring->header->flush_wanted);

        while (ring_pop(ring, record, false, 1))
                atomic_fetch_add(&ring->header->stats[STAT_INJECTED], 1);
        futex_set(&ring->header->flush_done, wanted);
}

/* OTEL_SERVICE_NAME says what is played: "busy" never leaves third-party code, "rotten" does not even begin.
 */
static bool plays(const struct inproc *inproc, char role)
{
        return inproc->config->service_name[0] == role;
}

__attribute__((visibility("default"))) int otel_inproc_run(struct inproc *inproc)
{
        struct pollfd bell = {.fd = inproc->wake_fd, .events = POLLIN};
        sigset_t blocked;
        uint64_t rings;

        if (plays(inproc, 'r'))
                return -1;
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        if (!sigismember(&blocked, SIGTERM))
                abort();
        atomic_store(&inproc->ready, 1);
        do {
                while (plays(inproc, 'b') && atomic_exchange(&inproc->third_party, 1))
                        ;
                drain(inproc->ring);
                if (ring_sleep(inproc->ring, 0) && poll(&bell, 1, -1) == 1 && read(bell.fd, &rings, 8) != 8)
                        return -1;
        } while (atomic_load(&inproc->stop) != INPROC_STOP_NOW);
        futex_set(&inproc->gone, 1);
        return 0;
}
