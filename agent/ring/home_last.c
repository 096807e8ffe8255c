/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home_last.h"

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/ring/handover.h"
#include "agent/ring/home_fds.h"
#include "agent/ring/home_futex.h"
#include "agent/ring/relay_client.h"

#define LOOK_NS 50000000ull /* while waiting: does the relay still live? */

START_TEXT bool home_last_wanted(void)
{
        return sys_getpid() == 1 && config_now.relay != RELAY_OFF &&
               config_now.traces_exporter != EXPORTER_NONE;
}

/* Return: false when the relay cannot be asked. */
static bool ask(struct home_last *last)
{
        int ring_handle;
        bool asked;

        if (ring_create(&last->ring, 1) < 0)
                return false;
        ring_handle = home_fd_keep(last->ring.fd);
        last->ring.fd = -1;
        atomic_store(&last->ring.header->flush_wanted, 1);
        asked = relay_client_hand_over(last->handle, ring_handle, HANDOVER_FLUSH_ALL);
        home_fd_close(ring_handle);
        if (!asked)
                ring_drop(&last->ring);
        return asked;
}

void home_last_ask(struct home_last *ret_last)
{
        ret_last->handle = relay_client_join();
        if (ret_last->handle >= 0 && !ask(ret_last)) {
                home_fd_close(ret_last->handle);
                ret_last->handle = -1;
        }
}

bool home_last_wait(struct home_last *last, uint64_t end_ns)
{
        uint64_t now = clock_mono_ns();
        _Atomic uint32_t *done;
        bool answered;

        if (last->handle < 0)
                return true;
        done = &last->ring.header->flush_done;
        for (; !atomic_load(done) && now < end_ns && relay_client_lives(last->handle); now = clock_mono_ns())
                home_futex_wait(done, 0, MIN(end_ns - now, LOOK_NS));
        answered = atomic_load(done) != 0;
        home_fd_close(last->handle);
        ring_drop(&last->ring);
        return answered;
}
