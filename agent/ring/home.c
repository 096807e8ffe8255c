/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/home.h"

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "agent/base/slab.h"
#include "agent/base/stats.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/process.h"
#include "agent/ring/handover.h"
#include "agent/ring/home_fds.h"
#include "agent/ring/home_futex.h"
#include "agent/ring/home_last.h"
#include "agent/ring/home_meta.h"
#include "agent/ring/home_thread.h"
#include "agent/ring/relay_client.h"
#include "agent/ring/ring.h"

#define NS_PER_MS       1000000ull
#define MAKE_AGAIN_NS   1000000000ull /* no ring could be made: not with every span */
#define WAKER_GONE_NS   10000000000ll /* whoever was about to wake the consumer never came back (longjmp) */
#define LAST_TRY_NS     250000000ull  /* at the end, for a relay that is too busy to be connected to */
#define LOOK_NS         50000000ull   /* while waiting: does the relay still live? */
#define FORK_WAIT_NS    10000000ull
#define STOP_TIMEOUT_MS 250

#define RINGS_MAX    16 /* of one process; more than one only after a race, or when its descriptor was lost */
#define OPEN_SLOT_OF (1u << 16)
#define OPEN_RINGS   (1u << 15)

_Static_assert(LIMIT_OPEN_SPANS <= OPEN_SLOT_OF, "a slot and its ring are one int");

struct home_ring {
        struct ring ring;
        int handle;     /* of the memfd; kept for life, since a relay that dies is replaced, and gets the same
                           ring */
        uint32_t index; /* in the slab */
        uint32_t id;
};

enum way { WAY_NONE, WAY_RELAY, WAY_THREAD, WAY_SILENT };

struct home {
        _Atomic(struct home_ring *) ring;
        _Atomic uint32_t rings_made;
        _Atomic uint32_t making; /* somebody makes the ring just now */
        _Atomic uint64_t make_again_ns;
        /* Waking is one thread's work at a time; who comes meanwhile leaves a note and goes on. */
        _Atomic uint64_t waker_since_ns; /* 0 = nobody */
        _Atomic uint32_t waker;          /* which thread */
        _Atomic uint32_t wake_wanted;
        _Atomic uint32_t forks; /* under way: nobody becomes the waker */
        _Atomic uint32_t way;
        _Atomic uint32_t later;        /* the relay could not take the ring yet */
        _Atomic uint32_t last_in_vain; /* the relay of our children did not answer: not asked again */
        uint64_t flushed_head;
};

void (*home_ring_made)(void);
void (*home_closing)(int status);

static START_DATA struct home home;
SLAB_DEFINE(static, ring_slab, sizeof(struct home_ring), 4, RINGS_MAX);

/* The old number of a slot means nothing in a forked child, nor in another ring. */
static int open_name(const struct home_ring *own, int slot)
{
        return slot < 0 ? -1 : (int)(own->id % OPEN_RINGS * OPEN_SLOT_OF + (unsigned)slot);
}

static void ring_unbuild(struct home_ring *own)
{
        uint32_t index = own->index;

        home_fd_close(own->handle);
        ring_drop(&own->ring);
        slab_free(&ring_slab, index);
}

static struct home_ring *ring_build(void)
{
        uint32_t index;
        struct home_ring *own = slab_alloc(&ring_slab, &index);

        if (!own)
                return NULL;
        own->index = index;
        own->id = atomic_fetch_add(&home.rings_made, 1);
        if (ring_create(&own->ring, (uint64_t)config_now.bsp_max_queue_size) < 0) {
                slab_free(&ring_slab, index);
                return NULL;
        }
        own->handle = home_fd_keep(own->ring.fd);
        own->ring.fd = -1;
        if (own->handle < 0) {
                ring_unbuild(own);
                return NULL;
        }
        home_meta_write(&own->ring);
        return own;
}

#define MAKING_YIELDS 200

/* Return: the ring that somebody else makes, unless that takes too long. */
static struct home_ring *ring_await(void)
{
        for (unsigned i = 0; i < MAKING_YIELDS && atomic_load(&home.making) && !atomic_load(&home.ring); i++)
                (void)sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
        return atomic_load(&home.ring);
}

/* Two threads may both make one: the first is taken. */
static struct home_ring *ring_make_first(void)
{
        struct home_ring *own, *present = NULL;
        uint64_t now = clock_mono_ns();

        if (now < atomic_load(&home.make_again_ns) || !process_is_known())
                return atomic_load(&home.ring);
        process_watch_forks();
        own = ring_build();
        if (!own) {
                atomic_store(&home.make_again_ns, now + MAKE_AGAIN_NS);
                return atomic_load(&home.ring);
        }
        if (!atomic_compare_exchange_strong(&home.ring, &present, own)) {
                ring_unbuild(own);
                return present;
        }
        stats_move(own->ring.header->stats);
        if (home_ring_made)
                home_ring_made();
        return own;
}

/* Many threads of a server come here at once: one of them is enough. */
static struct home_ring *ring_make(void)
{
        struct home_ring *own = NULL;

        if (atomic_exchange(&home.making, 1))
                own = ring_await();
        if (!own)
                own = ring_make_first();
        atomic_store(&home.making, 0);
        return own;
}

static struct home_ring *ring_now(void)
{
        struct home_ring *own = atomic_load_explicit(&home.ring, memory_order_acquire);

        if (LIKELY(own != NULL))
                return own;
        return config_now.traces_exporter == EXPORTER_NONE ? NULL : ring_make();
}

static void way_set(enum way way)
{
        static const char *const texts[] = {
                [WAY_THREAD] = "no relay is possible here: exporting from inside the program",
                [WAY_SILENT] = "nothing can be exported from this process",
        };

        atomic_store(&home.way, way);
        if (texts[way])
                log_warn("%s", texts[way]);
}

static void wake_relay(struct home_ring *own, char what, uint64_t now_mono_ns)
{
        enum relay_result result = relay_client_wake(own->handle, what, now_mono_ns);

        atomic_store(&home.later, result == RELAY_LATER);
        if (result == RELAY_IMPOSSIBLE)
                way_set(WAY_THREAD);
        /* Another thread may be writing into it, so it stays mapped. */
        if (result == RELAY_NO_RING)
                atomic_compare_exchange_strong(&home.ring, &own, NULL);
}

/* The exit handlers of libraries that the thread uses come next. What is made after this is not exported. */
static void thread_end(int status, void *unused)
{
        OBSERVE({
                if (process_is_known() && home_thread_exists()) {
                        if (home_closing)
                                home_closing(status);
                        home_flush(config_now.exit_timeout);
                        atomic_store(&home.way, WAY_SILENT);
                }
        });
}

static void wake_once(char what, uint64_t now_mono_ns)
{
        struct home_ring *own = atomic_load(&home.ring);

        if (!own)
                return;
        stat_add(STAT_WAKEUPS, 1);
        if (atomic_load(&home.way) == WAY_NONE)
                atomic_store(&home.way, config_now.relay == RELAY_OFF ? WAY_THREAD : WAY_RELAY);
        if (atomic_load(&home.way) == WAY_RELAY)
                wake_relay(own, what, now_mono_ns);
        if (atomic_load(&home.way) == WAY_THREAD && !home_thread_wake(&own->ring, thread_end))
                way_set(WAY_SILENT);
}

static void waker_done(uint64_t now_mono_ns)
{
        atomic_store(&home.waker, 0);
        atomic_compare_exchange_strong(&home.waker_since_ns, &now_mono_ns, 0);
}

/* Return: true when this thread is now the waker: pair with waker_done(). */
static bool waker_begin(uint64_t now_mono_ns)
{
        uint64_t since = atomic_load(&home.waker_since_ns);
        uint32_t self = (uint32_t)sys_gettid();

        /* Signed: somebody may have begun after our clock was read. Ourselves: a signal handler jumped out.
         */
        if (since && (int64_t)(now_mono_ns - since) < WAKER_GONE_NS && atomic_load(&home.waker) != self)
                return false;
        if (!atomic_compare_exchange_strong(&home.waker_since_ns, &since, now_mono_ns))
                return false;
        atomic_store(&home.waker, self);
        if (atomic_load(&home.forks) == 0)
                return true;
        waker_done(now_mono_ns);
        return false;
}

/* Never from a vfork child: its descriptors are not those that the memory speaks of. */
static void wake(char what)
{
        uint64_t now = clock_mono_ns();

        if (!process_is_known())
                return;
        atomic_store(&home.wake_wanted, (uint32_t)what);
        while (atomic_load(&home.wake_wanted) && waker_begin(now)) {
                uint32_t wanted = atomic_exchange(&home.wake_wanted, 0);

                if (wanted)
                        wake_once((char)wanted, now);
                waker_done(now);
        }
}

static enum stat_id outcome_stat(enum ring_push result)
{
        if (result == RING_FULL)
                return STAT_DROPPED_RING_FULL;
        return result == RING_TOO_LARGE ? STAT_DROPPED_TOO_LARGE : STAT_SPANS_WRITTEN;
}

void home_span(const struct span *span, uint64_t now_mono_ns)
{
        bool counts = span->shape != SHAPE_CONNECT_SUPERSEDED && span->shape != SHAPE_PROCESS_ENDED;
        struct home_ring *own;
        enum ring_push result;

        process_notice_fork();
        own = ring_now();
        if (!own) {
                if (counts && config_now.traces_exporter != EXPORTER_NONE)
                        stat_add(STAT_DROPPED_NO_RING, 1);
                return;
        }
        result = ring_push(&own->ring, span, now_mono_ns);
        if (counts) {
                stat_add(STAT_SPANS_MADE, 1);
                stat_add(outcome_stat(result), 1);
        }
        if (result == RING_PUSHED_WAKE || (result == RING_FULL && ring_wake_due(&own->ring, now_mono_ns)))
                wake(HANDOVER_WAKE);
}

void home_prepare(void)
{
        process_notice_fork();
        if (ring_now() && config_now.relay != RELAY_OFF && atomic_load(&home.way) == WAY_NONE)
                wake(HANDOVER_WAKE);
}

bool home_is_prepared(void)
{
        return config_now.traces_exporter == EXPORTER_NONE || config_now.relay == RELAY_OFF ||
               (atomic_load(&home.way) != WAY_NONE && !atomic_load(&home.waker_since_ns));
}

int home_open(const struct span *span)
{
        struct home_ring *own;

        home_prepare();
        own = ring_now();
        return own ? open_name(own, ring_open_put(&own->ring, span)) : -1;
}

static void open_do(int slot, void (*work)(struct ring *ring, int slot))
{
        struct home_ring *own = atomic_load_explicit(&home.ring, memory_order_acquire);
        int number = slot % (int)OPEN_SLOT_OF;

        if (own && slot >= 0 && open_name(own, number) == slot)
                work(&own->ring, number);
}

void home_open_clear(int slot)
{
        open_do(slot, ring_open_clear);
}

void home_open_share(int slot)
{
        open_do(slot, ring_open_share);
}

/* Process 1 takes the relay with it, and console output is to be there before the prompt comes back. */
static bool end_is_waited_for(void)
{
        return (config_now.traces_exporter & EXPORTER_CONSOLE) || home_last_wanted();
}

bool home_must_flush(void)
{
        struct home_ring *own = atomic_load(&home.ring);

        if (!own)
                return false;
        if (home_thread_exists())
                return true;
        return atomic_load(&home.way) == WAY_RELAY &&
               atomic_load(&own->ring.header->head) != home.flushed_head && end_is_waited_for();
}

bool home_closes_early(void)
{
        return config_now.relay == RELAY_OFF || atomic_load(&home.way) == WAY_THREAD;
}

static bool consumer_alive(void)
{
        return atomic_load(&home.way) == WAY_RELAY ? relay_client_alive() : home_thread_alive();
}

/* Return: true when the consumer has answered. */
static bool flush_wait(struct ring_header *header, uint64_t end_ns)
{
        uint32_t wanted = atomic_fetch_add(&header->flush_wanted, 1) + 1;
        uint64_t now = clock_mono_ns();

        wake(HANDOVER_FLUSH);
        for (;;) {
                uint32_t done = atomic_load(&header->flush_done);

                if ((int32_t)(done - wanted) >= 0)
                        return true;
                now = clock_mono_ns();
                if (now >= end_ns || atomic_load(&home.way) == WAY_SILENT)
                        return false;
                home_futex_wait(&header->flush_done, done, MIN(end_ns - now, LOOK_NS));
                if (!consumer_alive())
                        wake(HANDOVER_FLUSH);
        }
}

static void pause_ns(long ns)
{
        const struct timespec time = {0, ns};

        (void)sys_call(SYS_nanosleep, (long)&time, 0, 0, 0, 0,
                       0); /* a signal ends it early: the caller looks */
}

static void thread_stop(void)
{
        uint64_t now = clock_mono_ns();

        /* Nobody starts it again meanwhile. */
        if (waker_begin(now)) {
                home_thread_stop(STOP_TIMEOUT_MS);
                waker_done(now);
        }
}

void home_flush(int64_t timeout_ms)
{
        struct home_ring *own = atomic_load(&home.ring);
        uint64_t head;

        if (!home_must_flush())
                return;
        head = atomic_load(&own->ring.header->head);
        if (flush_wait(own->ring.header, clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS))
                home.flushed_head = head;
        if (home_thread_exists())
                thread_stop();
}

static void revive_relay(void)
{
        struct home_ring *own = atomic_load(&home.ring);
        enum way way = (enum way)atomic_load(&home.way);
        uint64_t end;

        /* None yet, with records: a signal handler jumped out of the search for one. */
        if (!own || way == WAY_THREAD || way == WAY_SILENT || ring_pending(&own->ring) == 0 ||
            relay_client_alive())
                return;
        end = clock_mono_ns() + LAST_TRY_NS;
        wake(HANDOVER_WAKE);
        while (atomic_load(&home.later) && clock_mono_ns() < end) {
                pause_ns(LAST_TRY_NS / 50);
                wake(HANDOVER_WAKE);
        }
}

START_TEXT void home_at_exit(void)
{
        struct home_last last = {.handle = -1};
        uint64_t end;

        if (!atomic_load(&home.ring) && !home_last_wanted())
                return;
        end = clock_mono_ns() + (uint64_t)config_now.exit_timeout * NS_PER_MS;
        revive_relay();
        if (home_last_wanted() && !atomic_load(&home.last_in_vain))
                home_last_ask(&last);
        home_flush(config_now.exit_timeout);
        if (!home_last_wait(&last, end))
                atomic_store(&home.last_in_vain, 1);
}

/*
 * The waker may be between two descriptors that nobody has recorded yet, a listening socket among them, which
 * must not live on in a child; or it may be about to start the thread. It is never long.
 */
void home_before_fork(void)
{
        uint64_t end = clock_mono_ns() + FORK_WAIT_NS;

        atomic_fetch_add(&home.forks, 1);
        while (atomic_load(&home.waker_since_ns) && clock_mono_ns() < end)
                pause_ns(FORK_WAIT_NS / 100);
        home_thread_before_fork();
}

void home_after_fork_parent(void)
{
        uint32_t wanted;

        home_thread_after_fork_parent();
        if (atomic_fetch_sub(&home.forks, 1) == 1 && (wanted = atomic_load(&home.wake_wanted)))
                wake((char)wanted);
}

void home_after_fork(void)
{
        struct home_ring *own = atomic_exchange(&home.ring, NULL);

        home_fds_drop();
        if (own) {
                own->handle = -1;
                ring_unbuild(own);
        }
        relay_client_after_fork();
        home_thread_after_fork();
        home_meta_after_fork();
        atomic_store(&home.making, 0);
        atomic_store(&home.make_again_ns, 0);
        atomic_store(&home.waker_since_ns, 0);
        atomic_store(&home.waker, 0);
        atomic_store(&home.wake_wanted, 0);
        atomic_store(&home.forks, 0);
        atomic_store(&home.way, WAY_NONE);
        atomic_store(&home.later, 0);
        atomic_store(&home.last_in_vain, 0);
        home.flushed_head = 0;
}

void home_before_identity_change(void)
{
        if (home_thread_exists())
                home_flush(config_now.exit_timeout);
}
