/* SPDX-License-Identifier: Apache-2.0 */
#include "export/source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/load.h"
#include "agent/record/record.h"
#include "export/refine_attr.h"

static void close_quietly(int fd)
{
        if (fd >= 0)
                (void)close(fd); /* memory and terminals: nothing is lost */
}

/* Same terminal or file: one tree there shows what several processes did together. */
static void know_tty(struct source *source)
{
        unsigned terminal;
        struct stat st;

        if (source->tty_fd < 0 || fstat(source->tty_fd, &st) < 0)
                return;
        source->has_tty = true;
        source->tty_device = st.st_dev;
        source->tty_inode = st.st_ino;
        /* /dev/tty is everybody's own. */
        if (ioctl(source->tty_fd, TIOCGDEV, &terminal) == 0) {
                source->tty_device = 0;
                source->tty_inode = terminal;
        }
}

struct source *source_new(int ring_fd, struct ring *ring, int tty_fd)
{
        struct source *source = calloc(1, sizeof(*source));

        if (source) {
                source->tty_fd = tty_fd;
                source->refine = refine_new();
                source->ring = ring ? ring : &source->own_ring;
        }
        if (!source || !source->refine || (!ring && ring_attach(&source->own_ring, ring_fd))) {
                if (source)
                        refine_free(source->refine);
                close_quietly(tty_fd);
                close_quietly(ring_fd);
                free(source);
                return NULL;
        }
        source->own_ring.fd = -1;
        close_quietly(ring_fd); /* the mapping stays */
        know_tty(source);
        return source;
}

static void ring_leave(struct source *source)
{
        if (source->ring == &source->own_ring)
                ring_detach(&source->own_ring);
        source->ring = NULL;
}

struct source *source_free(struct source *source)
{
        if (!source)
                return NULL;
        if (source->ring) {
                /* Records that came meanwhile wait for the next consumer. */
                (void)ring_sleep(source->ring, 0);
                ring_leave(source);
        }
        refine_free(source->refine);
        resource_free(source->resource);
        close_quietly(source->tty_fd);
        free(source);
        return NULL;
}

/* What the process says of itself. A private copy is read: it could change the text under our eyes. */
static void learn(struct source *source)
{
        const struct ring *ring = source->ring;
        size_t len = atomic_load_explicit(&ring->header->meta_len, memory_order_acquire);
        size_t max = (size_t)(ring->open - ring->meta);
        struct slice meta;
        char *copy;

        len = MIN(len, MIN(max, (size_t)LIMIT_RING_META));
        copy = malloc(len + 1);
        if (!copy)
                return;
        memcpy(copy, ring->meta, len);
        copy[len] = '\0';
        meta = slice_make(copy, len);
        source->resource = resource_new(meta);
        if (source->resource)
                refine_set_routes(source->refine, resource_meta_get(meta, "OTEL_INSTRUMENT_HTTP_ROUTES"));
        free(copy);
}

struct emission {
        struct source *source;
        struct intake *intake;
};

static void emit(void *ctx, const struct out_span *span)
{
        struct emission *emission = ctx;
        struct source *source = emission->source;

        if (source->resource)
                batch_add(emission->intake->batch, source, span);
        else
                meter_add(emission->intake->meter, METER_DROPPED_MEMORY, 1);
}

static void refine(struct source *source, struct intake *intake, const struct span *span, bool incomplete,
                   uint64_t wall_ns)
{
        struct emission emission = {source, intake};

        refine_span(source->refine, &intake->batch->arena, span, incomplete, wall_ns, emit, &emission);
        if (batch_full(intake->batch))
                batch_send(intake->batch, PRINT_LATER);
}

/* The span of a process of which nothing else is left, or was told to go. */
static void ending_given(void *ctx, void *owner, const struct span *span, bool incomplete)
{
        struct source *source = owner;
        struct intake *intake = ctx;
        uint64_t lost = refine_lost(source->refine);

        if (span)
                refine(source, intake, span, incomplete, span->end_ns);
        if (source->ended) /* and counted */
                meter_add(intake->meter, METER_DROPPED_MEMORY, refine_lost(source->refine) - lost);
        if (--source->batch_refs == 0 && source->ended)
                source_free(source);
}

/* One that another process may have told of. */
static void shared_given(void *ctx, void *owner, const struct span *span)
{
        ending_given(ctx, owner, span, true);
}

void source_ended_by(struct intake *intake, const struct refine_notice *notice)
{
        refine_endings_notice(&intake->endings, notice, ending_given, intake);
}

void source_release_open(struct intake *intake, bool all)
{
        uint64_t now_ns = intake->mono_ns + 1;

        refine_endings_release(&intake->endings, all ? UINT64_MAX : now_ns - LIMIT_HELD_NS, ending_given,
                               intake);
        refine_shared_release(&intake->shared, all ? UINT64_MAX : now_ns - LIMIT_SHARED_NS, shared_given,
                              intake);
}

uint64_t source_release_due(const struct intake *intake)
{
        return MIN(refine_endings_due(&intake->endings), refine_shared_due(&intake->shared));
}

static void take_notice(struct intake *intake, const struct span *span)
{
        const struct refine_notice notice = {
                .pid = refine_attr_int(span, SEMCONV_RAW_PID),
                .signal = refine_attr_int(span, SEMCONV_RAW_SIGNAL),
                .wall_ns = span->end_ns ? span->end_ns : intake->wall_ns,
                .mono_ns = intake->mono_ns,
        };

        source_ended_by(intake, &notice);
}

/* Return: false when the span waits for word of how its process ended. */
static bool end_process(struct source *source, struct intake *intake, struct span *span, bool *incomplete)
{
        enum refine_ending ending =
                refine_endings_take(&intake->endings, source, span, intake->wall_ns, intake->mono_ns);

        *incomplete = ending == REFINE_ENDING_UNKNOWN;
        source->batch_refs += ending == REFINE_ENDING_HELD;
        return ending != REFINE_ENDING_HELD;
}

/* Return: false when it waits for word of another process, or that has told of it. */
static bool tell_shared(struct source *source, struct intake *intake, struct span *span, bool incomplete)
{
        enum refine_shared_verdict verdict;

        if (!incomplete)
                return refine_shared_tell(&intake->shared, span, shared_given, intake);
        verdict = refine_shared_hold(&intake->shared, source, span, intake->wall_ns, intake->mono_ns);
        source->batch_refs += verdict == REFINE_SHARED_HELD;
        return verdict == REFINE_SHARED_NOW;
}

static void take_record(struct source *source, struct intake *intake, size_t len, bool incomplete)
{
        struct span span;

        if (!record_read(slice_make(intake->record, len), &span)) {
                meter_add(intake->meter, METER_BAD_RECORDS, 1);
                return;
        }
        if (span.shape == SHAPE_PROCESS_ENDED) {
                take_notice(intake, &span);
                return;
        }
        if (!source->resource)
                learn(source);
        if (incomplete && span.shape == SHAPE_PROCESS && !end_process(source, intake, &span, &incomplete))
                return;
        if (span.shared && !tell_shared(source, intake, &span, incomplete))
                return;
        refine(source, intake, &span, incomplete, intake->wall_ns);
}

bool source_drain(struct source *source, struct intake *intake, unsigned budget)
{
        while (budget-- > 0) {
                size_t len;

                if (source->dying && source->records_left-- == 0) {
                        source->records_left = 0;
                        return true;
                }
                len = ring_pop(source->ring, intake->record, source->dying, intake->mono_ns);
                if (len == 0)
                        return true;
                take_record(source, intake, len, false);
        }
        return false;
}

bool source_has_open(const struct source *source, const uint8_t *id)
{
        unsigned char record[LIMIT_OPEN_SPAN_SIZE];
        unsigned cursor = 0;
        struct span span;
        size_t len;

        while ((len = ring_open_peek(source->ring, &cursor, record, sizeof(record))))
                if (record_read(slice_make(record, len), &span) &&
                    memcmp(span.context.trace_id, id, sizeof(span.context.trace_id)) == 0)
                        return true;
        return false;
}

void source_release(struct source *source, struct intake *intake, uint64_t older_than_ns)
{
        struct emission emission = {source, intake};

        if (!refine_holds(source->refine))
                return;
        refine_release(source->refine, &intake->batch->arena, older_than_ns, emit, &emission);
        if (batch_full(intake->batch))
                batch_send(intake->batch, PRINT_LATER);
}

void source_end(struct source *source, struct intake *intake)
{
        unsigned cursor = 0;

        for (unsigned n = 0; n < LIMIT_OPEN_SPANS; n++) {
                size_t len = ring_open_take(source->ring, &cursor, intake->record);

                if (len == 0)
                        break;
                take_record(source, intake, len, true);
        }
        source_release(source, intake, UINT64_MAX);
        meter_add(intake->meter, METER_DROPPED_MEMORY, refine_lost(source->refine));
        meter_ring(intake->meter, source->ring->header);
        ring_leave(source);
        if (!(intake->batch->exporters & EXPORTER_CONSOLE)) { /* nothing will be printed there any more */
                close_quietly(source->tty_fd);
                source->tty_fd = -1;
        }
        source->ended = true;
}
