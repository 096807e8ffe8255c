/* SPDX-License-Identifier: Apache-2.0 */
#include "export/batch.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "export/source.h"

/* Far below LIMIT_REQUEST, which no batch may reach, and little enough to be kept per worker. */
#define BATCH_BYTES    ((size_t)8 * 1024 * 1024)
#define BATCH_CAPACITY 64

void batch_init(struct batch *batch, const struct config *config, struct deliver *deliver,
                struct meter *meter)
{
        *batch = (struct batch){
                .max = (size_t)config->bsp_max_export_batch_size,
                .exporters = config->traces_exporter,
                .deliver = deliver,
                .meter = meter,
        };
        printer_init(&batch->printer, meter);
}

/* The spans are out of our hands: nothing refers to the sources and the arena any more. */
static void batch_clear(struct batch *batch)
{
        for (size_t i = 0; i < batch->count; i++) {
                struct source *source = batch->entries[i].source;

                if (--source->batch_refs == 0 && source->ended)
                        source_free(source);
        }
        batch->count = 0;
        arena_done(&batch->arena);
}

void batch_done(struct batch *batch)
{
        meter_add(batch->meter, METER_DROPPED_STOPPED, batch->count);
        batch_clear(batch);
        printer_done(&batch->printer);
        free(batch->entries);
        batch->entries = NULL;
        batch->capacity = 0;
}

static bool entries_grow(struct batch *batch)
{
        size_t capacity = batch->capacity ? batch->capacity * 2 : BATCH_CAPACITY;
        struct batch_entry *entries = reallocarray(batch->entries, capacity, sizeof(*entries));

        if (!entries)
                return false;
        batch->entries = entries;
        batch->capacity = capacity;
        return true;
}

void batch_add(struct batch *batch, struct source *source, const struct out_span *span)
{
        meter_add(batch->meter, METER_DRAINED, 1);
        if (batch->count == batch->capacity && !entries_grow(batch)) {
                meter_add(batch->meter, METER_DROPPED_MEMORY, 1);
                return;
        }
        batch->entries[batch->count++] = (struct batch_entry){source, *span};
        source->batch_refs++;
}

bool batch_full(const struct batch *batch)
{
        return batch->count >= batch->max ||
               batch->arena.used + batch->count * sizeof(struct batch_entry) >= BATCH_BYTES;
}

static void encode(struct batch *batch, const struct grouping *grouping, size_t count)
{
        uint8_t *bytes = NULL;
        size_t len = 0;
        int error = otlp_encode_traces(grouping->groups, grouping->count, &bytes, &len);

        if (!error) {
                deliver_push(batch->deliver, bytes, len, count);
                return;
        }
        meter_add(batch->meter, error == -E2BIG ? METER_DROPPED_LARGE : METER_DROPPED_MEMORY, count);
        log_error("%lu spans dropped: not encoded: errno %d", (unsigned long)count, -error);
}

static void send_some(struct batch *batch, const struct batch_entry *entries, size_t count)
{
        cleanup_grouping struct grouping grouping = {0};

        if (grouping_make(&grouping, entries, count))
                encode(batch, &grouping, count);
        else
                meter_add(batch->meter, METER_DROPPED_MEMORY, count);
}

void batch_send(struct batch *batch, enum print_when when)
{
        if (batch->exporters & EXPORTER_CONSOLE)
                printer_print(&batch->printer, batch->entries, batch->count, when, clock_mono_ns());
        for (size_t at = 0; batch->deliver && at < batch->count; at += batch->max)
                send_some(batch, batch->entries + at, MIN(batch->max, batch->count - at));
        batch_clear(batch);
}
