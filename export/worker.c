/* SPDX-License-Identifier: Apache-2.0 */
#include "export/export.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "export/loop.h"
#include "export/meter.h"
#include "export/source.h"

#define NS_PER_MS 1000000ull

/* Records taken from one source before the next one has its turn, and in one step. */
#define ROUND_RECORDS 1024
#define STEP_ROUNDS   64

/* For bodies that take @source out of the list. */
#define EACH_SAFE(source, next, list, link) \
        for (source = TAILQ_FIRST(list); source && (next = TAILQ_NEXT(source, link), true); source = next)

/* Processes that we are awake for wake us when the batch is overdue by this: then we must be dead. */
#define WAKE_GRACE_NS 2000000000ull

/* Something is held back, or a record is not complete: the next look. */
#define LOOK_AGAIN_NS 1000000000ull

/* Dead processes' terminals that wait for their batch: descriptors may be few. */
#define TTYS_HELD_MAX 4

#define NEVER UINT64_MAX

struct worker {
        struct config config;
        struct loop loop;
        struct meter meter;
        struct deliver *deliver; /* NULL without EXPORTER_OTLP */
        struct batch batch;
        struct intake intake;
        struct source_list sources[SOURCE_STATES];
        struct source_list flushing; /* processes that wait for an answer */
        unsigned source_count;
        uint64_t delay_ns;
        uint64_t due_ns;    /* of the batch, or to look at warm sources again; NEVER = nothing there */
        unsigned ttys_held; /* of dead processes whose output is in the batch */
        bool flush_all;     /* worker_flush() */
        bool print_all;     /* ... has drained all */
};

struct worker *worker_new(const struct config *config, bool resolve_inline)
{
        struct worker *worker = calloc(1, sizeof(*worker));

        if (!worker)
                return NULL;
        worker->config = *config;
        worker->delay_ns = (uint64_t)config->bsp_schedule_delay * NS_PER_MS;
        worker->due_ns = NEVER;
        for (unsigned i = 0; i < SOURCE_STATES; i++)
                TAILQ_INIT(&worker->sources[i]);
        TAILQ_INIT(&worker->flushing);
        if (loop_init(&worker->loop)) {
                free(worker);
                return NULL;
        }
        if (config->traces_exporter & EXPORTER_OTLP)
                worker->deliver = deliver_new(config, &worker->loop, &worker->meter, resolve_inline);
        batch_init(&worker->batch, config, worker->deliver, &worker->meter);
        worker->intake.batch = &worker->batch;
        worker->intake.meter = &worker->meter;
        if ((config->traces_exporter & EXPORTER_OTLP) && !worker->deliver)
                return worker_free(worker);
        return worker;
}

static void source_move(struct worker *worker, struct source *source, enum source_state state)
{
        TAILQ_REMOVE(&worker->sources[source->state], source, link);
        source->state = state;
        TAILQ_INSERT_TAIL(&worker->sources[state], source, link);
}

static void flush_answer(struct worker *worker, struct source *source)
{
        source->flush_waits = false;
        TAILQ_REMOVE(&worker->flushing, source, flush_link);
        if (!source->ring)
                return;
        atomic_store_explicit(&source->ring->header->flush_done, source->flush_value, memory_order_release);
        sys_call(SYS_futex, (long)&source->ring->header->flush_done, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

/* Out of all lists; what the batch refers to lives on until it is sent. */
static void source_unlink(struct worker *worker, struct source *source)
{
        if (source->flush_waits)
                flush_answer(worker, source);
        if (source->has_tty)
                printer_remove_source(&worker->batch.printer, source);
        TAILQ_REMOVE(&worker->sources[source->state], source, link);
        worker->source_count--;
        if (source->batch_refs == 0)
                source_free(source);
}

struct worker *worker_free(struct worker *worker)
{
        if (!worker)
                return NULL;
        source_release_open(&worker->intake, true);
        batch_done(&worker->batch);
        worker->deliver = deliver_free(worker->deliver);
        for (unsigned i = 0; i < SOURCE_STATES; i++)
                while (!TAILQ_EMPTY(&worker->sources[i]))
                        source_unlink(worker, TAILQ_FIRST(&worker->sources[i]));
        meter_log(&worker->meter);
        loop_done(&worker->loop);
        free(worker);
        return NULL;
}

struct source *worker_add(struct worker *worker, int ring_fd, struct ring *ring, int tty_fd)
{
        struct source *source = NULL;

        if (worker->source_count < LIMIT_CLIENTS) {
                source = source_new(ring_fd, ring, tty_fd);
        } else {
                if (ring_fd >= 0)
                        (void)close(ring_fd);
                if (tty_fd >= 0)
                        (void)close(tty_fd);
        }
        if (!source) {
                meter_add(&worker->meter, METER_CLIENTS_REFUSED, 1);
                return NULL;
        }
        /* Whoever hands over a ring has written into it: no wake-up comes for that. */
        source->state = SOURCE_HOT;
        if (source->has_tty)
                printer_add_source(&worker->batch.printer, source);
        TAILQ_INSERT_TAIL(&worker->sources[SOURCE_HOT], source, link);
        worker->source_count++;
        return source;
}

void worker_gone(struct worker *worker, struct source *source)
{
        source->dying = true;
        source->records_left = source->ring->map_len / RING_CELL + 1;
        source_move(worker, source, SOURCE_HOT);
}

static void flush_look(struct worker *worker, struct source *source)
{
        const struct ring_header *header = source->ring->header;
        uint32_t wanted = atomic_load_explicit(&header->flush_wanted, memory_order_acquire);

        if (wanted == atomic_load_explicit(&header->flush_done, memory_order_relaxed))
                return;
        if (!source->flush_waits)
                TAILQ_INSERT_TAIL(&worker->flushing, source, flush_link);
        source->flush_waits = true;
        source->flush_drained = false;
        source->flush_value = wanted;
}

void worker_woken(struct worker *worker, struct source *source)
{
        source_move(worker, source, SOURCE_HOT);
}

int worker_watch(struct worker *worker, int fd, uint32_t epoll_events, worker_ready_fn *ready, void *ctx,
                 void **ret_watch)
{
        struct watch *watch;
        int error = loop_add(&worker->loop, fd, epoll_events, ready, ctx, &watch);

        if (!error)
                *ret_watch = watch;
        return error;
}

void worker_unwatch(struct worker *worker, void *watch)
{
        loop_remove(&worker->loop, watch);
}

static void due_at(struct worker *worker, uint64_t moment_ns)
{
        worker->due_ns = MIN(worker->due_ns, moment_ns);
}

/* How long the batch waits for what belongs to what is in it. */
static uint64_t coalesce_ns(const struct worker *worker)
{
        return MIN(worker->delay_ns, WORKER_COALESCE_MS * NS_PER_MS);
}

void worker_ended(struct worker *worker, int64_t pid, int signal)
{
        uint64_t now = clock_mono_ns();
        const struct refine_notice notice = {
                .pid = pid, .signal = signal, .wall_ns = clock_wall_ns(now), .mono_ns = now};

        source_ended_by(&worker->intake, &notice);
        if (worker->batch.count)
                due_at(worker, now + coalesce_ns(worker));
}

static uint64_t next_due(const struct worker *worker)
{
        uint64_t due = worker->due_ns;

        if (!TAILQ_EMPTY(&worker->sources[SOURCE_HOT]) || worker->flush_all)
                return 0;
        if (worker->deliver)
                due = MIN(due, deliver_due(worker->deliver));
        return due;
}

void worker_wait(struct worker *worker, int timeout_ms)
{
        uint64_t due = next_due(worker);

        if (due != NEVER) {
                uint64_t now = clock_mono_ns();
                /* Rounded up: a wait that ends before its moment would be followed by another one. */
                uint64_t wait_ms = due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0;

                if (timeout_ms < 0 || wait_ms < (uint64_t)timeout_ms)
                        timeout_ms = (int)MIN(wait_ms, (uint64_t)INT_MAX);
        }
        loop_wait(&worker->loop, timeout_ms);
}

/* The last of a process. */
static void bury(struct worker *worker, struct source *source)
{
        uint64_t wait_ns = coalesce_ns(worker);

        source_end(source, &worker->intake);
        if (source->batch_refs && source->tty_fd >= 0 && ++worker->ttys_held >= TTYS_HELD_MAX)
                wait_ns = 0;
        /* What waits for word of a process's end may find it among the latest records of another one. */
        if (worker->batch.count || source_release_due(&worker->intake) != UINT64_MAX ||
            worker->batch.printer.held_count)
                due_at(worker, worker->intake.mono_ns + wait_ns);
        source_unlink(worker, source);
}

/* A source whose ring is empty now. */
static void drained(struct worker *worker, struct source *source)
{
        if (source->dying) {
                bury(worker, source);
                return;
        }
        due_at(worker, worker->intake.mono_ns + worker->delay_ns);
        source_move(worker, source, SOURCE_WARM);
        /* Whatever comes before the batch is due needs no wake-up. */
        (void)ring_sleep(source->ring, worker->due_ns + WAKE_GRACE_NS);
        if (source->flush_waits && !source->flush_drained) {
                source_release(source, &worker->intake, UINT64_MAX);
                source->flush_drained = true;
                source->flush_mark = NEVER; /* until the batch is sent */
                due_at(worker, worker->intake.mono_ns);
        }
}

/* A process that writes without end has its turn and then the others have theirs. */
static void drain_hot(struct worker *worker)
{
        for (unsigned round = 0; round < STEP_ROUNDS; round++) {
                struct source *source = TAILQ_FIRST(&worker->sources[SOURCE_HOT]);

                if (!source)
                        return;
                flush_look(worker, source);
                if (source_drain(source, &worker->intake, ROUND_RECORDS))
                        drained(worker, source);
                else
                        source_move(worker, source, SOURCE_HOT);
        }
}

/* Tell a drained process to wake us at its next record, unless there is one already. */
static void let_go(struct worker *worker, struct source *source)
{
        source_release(source, &worker->intake, worker->intake.wall_ns - LIMIT_HELD_NS);
        /* What is pending although all was drained is a record that is being written, or never will be. */
        if (!refine_holds(source->refine) && ring_pending(source->ring) == 0) {
                source_move(worker, source, ring_sleep(source->ring, 0) ? SOURCE_COLD : SOURCE_HOT);
                return;
        }
        due_at(worker, worker->intake.mono_ns + MAX(worker->delay_ns, LOOK_AGAIN_NS));
        (void)ring_sleep(source->ring, worker->due_ns + WAKE_GRACE_NS); /* looked at when due anyway */
}

static void send_batch(struct worker *worker)
{
        struct source *source;

        batch_send(&worker->batch, worker->print_all ? PRINT_ALL : PRINT_WHOLE);
        worker->print_all = false;
        due_at(worker, printer_due(&worker->batch.printer));
        worker->ttys_held = 0;
        TAILQ_FOREACH (source, &worker->flushing, flush_link) {
                if (!source->flush_drained || source->flush_mark != NEVER)
                        continue;
                source->flush_mark = worker->deliver ? deliver_mark(worker->deliver) : 0;
                if (worker->deliver)
                        deliver_hurry(worker->deliver);
        }
}

/* The batch is due: the latest records of the processes that we are awake for go with it. */
static void when_due(struct worker *worker)
{
        struct source *source, *next;

        EACH_SAFE (source, next, &worker->sources[SOURCE_WARM], link)
                if (!source_drain(source, &worker->intake, ROUND_RECORDS))
                        source_move(worker, source, SOURCE_HOT);
        worker->due_ns = NEVER;
        EACH_SAFE (source, next, &worker->sources[SOURCE_WARM], link)
                let_go(worker, source);
        source_release_open(&worker->intake, false);
        due_at(worker, source_release_due(&worker->intake));
        send_batch(worker);
}

static void answer_flushes(struct worker *worker)
{
        struct source *source, *next;

        if (worker->flush_all)
                return;
        EACH_SAFE (source, next, &worker->flushing, flush_link)
                if (source->flush_drained && source->flush_mark != NEVER &&
                    (!worker->deliver || deliver_passed(worker->deliver, source->flush_mark)))
                        flush_answer(worker, source);
}

/* worker_flush() has made every source hot; now all are drained. */
static void flush_drained(struct worker *worker)
{
        struct source *source;

        worker->flush_all = false;
        worker->print_all = true;
        /* Whoever asked meanwhile did so for what comes now as well. */
        TAILQ_FOREACH (source, &worker->flushing, flush_link)
                source->flush_mark = NEVER;
        for (unsigned i = 0; i < SOURCE_STATES; i++)
                TAILQ_FOREACH (source, &worker->sources[i], link)
                        source_release(source, &worker->intake, UINT64_MAX);
        source_release_open(&worker->intake, true);
        due_at(worker, worker->intake.mono_ns);
        if (worker->deliver)
                deliver_hurry(worker->deliver);
}

void worker_step(struct worker *worker)
{
        struct intake *intake = &worker->intake;

        loop_dispatch(&worker->loop);
        intake->mono_ns = clock_mono_ns();
        intake->wall_ns = clock_wall_ns(intake->mono_ns);
        drain_hot(worker);
        if (worker->flush_all && TAILQ_EMPTY(&worker->sources[SOURCE_HOT]))
                flush_drained(worker);
        if (intake->mono_ns >= worker->due_ns)
                when_due(worker);
        if (worker->deliver)
                deliver_step(worker->deliver, clock_mono_ns());
        answer_flushes(worker);
}

void worker_flush(struct worker *worker)
{
        worker->flush_all = true;
        for (unsigned i = 0; i < SOURCE_HOT; i++)
                while (!TAILQ_EMPTY(&worker->sources[i]))
                        source_move(worker, TAILQ_FIRST(&worker->sources[i]), SOURCE_HOT);
}

uint64_t worker_awaits_until(const struct worker *worker)
{
        return worker->intake.shared.held ? refine_shared_due(&worker->intake.shared) : 0;
}

bool worker_idle(const struct worker *worker)
{
        const struct source *source;

        if (worker->flush_all || !TAILQ_EMPTY(&worker->sources[SOURCE_HOT]) || worker->batch.count ||
            source_release_due(&worker->intake) != UINT64_MAX || worker->batch.printer.held_count)
                return false;
        if (worker->deliver && !deliver_passed(worker->deliver, NEVER))
                return false;
        TAILQ_FOREACH (source, &worker->sources[SOURCE_WARM], link)
                if (ring_pending(source->ring) || refine_holds(source->refine))
                        return false;
        return true;
}

unsigned worker_sources(const struct worker *worker)
{
        return worker->source_count;
}

int worker_tty(const struct worker *worker)
{
        const struct source *source;

        for (unsigned i = 0; i < SOURCE_STATES; i++)
                TAILQ_FOREACH (source, &worker->sources[i], link)
                        if (source->tty_fd >= 0)
                                return source->tty_fd;
        return -1;
}

bool worker_broken(const struct worker *worker)
{
        return worker->loop.broken;
}

const struct meter *worker_meter(const struct worker *worker)
{
        return &worker->meter;
}
