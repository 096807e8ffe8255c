/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/abandoned.h"

#include <errno.h>
#include <sys/syscall.h>

#include "agent/base/sys.h"

void abandoned_name_thread(void)
{
        thread_state.tid = (uint32_t)sys_gettid();
        thread_state.tid_generation = process_generation;
}

/* What thread @sender's call on it holds; whoever is first. Return: false when there is nothing. */
static bool give_back(struct conn *conn, uint32_t sender)
{
        struct out_scratch *scratch = conn->under_way;

        if (!sender || !atomic_compare_exchange_strong(&conn->sender, &sender, 0))
                return false;
        conn->under_way = NULL;
        stream_out_abandoned(conn, scratch);
        return true;
}

/* All that are nested in @outer; NULL: all. */
static void give_up_above(const struct thread_send *outer)
{
        while (thread_state.send != outer) {
                struct thread_send *send = thread_state.send;

                thread_state.send = abandoned_outer(send);
                conn_opaque(send->conn,
                            STAT_OPAQUE_UNSEEN); /* also when it was left in the midst of our work */
                if (send->planned)
                        (void)give_back(send->conn, atomic_load(&send->conn->sender));
                conn_unref(send->conn);
        }
}

/* What is nested in a call that comes back lies deeper in the stack, or on the stack of signal handlers. */
void abandoned_reclaim(uintptr_t at)
{
        struct thread_send *live = thread_state.send;

        while (live && at >= live->at)
                live = abandoned_outer(live);
        if (live != thread_state.send && !guard_on_signal_stack())
                give_up_above(live);
}

struct thread_send *abandoned_next(uintptr_t at)
{
        struct thread_send *send;

        OBSERVE(abandoned_reclaim(at));
        send = thread_state.send ? thread_state.send + 1 : thread_state.sends;
        return send < thread_state.sends + THREAD_SENDS ? send : NULL;
}

bool abandoned_nested(const struct thread_send *send, const struct conn *conn)
{
        if (!thread_state.send || thread_state.send < send || send->conn != conn)
                return false;
        OBSERVE(give_up_above(send));
        return thread_state.send == send;
}

void abandoned_look(struct conn *conn)
{
        uint32_t sender = atomic_load_explicit(&conn->sender, memory_order_acquire);

        if (LIKELY(sender == 0) || conn->generation != process_generation)
                return;
        if (sys_call(SYS_tgkill, sys_getpid(), sender, 0, 0, 0, 0) == -ESRCH && give_back(conn, sender))
                conn_unref(conn);
}
