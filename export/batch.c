/* SPDX-License-Identifier: Apache-2.0 */
#include "export/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "export/encode/otlp_encode.h"
#include "export/source.h"
#include "export/to/console.h"

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

/* Same terminal or file: one tree there shows what several processes did together. */
struct tty {
        dev_t device;
        ino_t inode;
        int fd;
};

static struct tty tty_of(const struct source *source)
{
        struct stat st;

        if (source->tty_fd < 0 || fstat(source->tty_fd, &st) < 0)
                return (struct tty){.fd = -1};
        return (struct tty){st.st_dev, st.st_ino, source->tty_fd};
}

static void print_groups(const struct encode_group *groups, const struct tty *ttys, size_t count,
                         struct encode_group *scratch, bool *done)
{
        for (size_t i = 0; i < count; i++)
                done[i] = ttys[i].fd < 0;
        for (size_t first = 0; first < count; first++) {
                size_t n = 0;

                if (done[first])
                        continue;
                for (size_t i = first; i < count; i++) {
                        if (done[i] || ttys[i].inode != ttys[first].inode ||
                            ttys[i].device != ttys[first].device)
                                continue;
                        scratch[n++] = groups[i];
                        done[i] = true;
                }
                console_write(ttys[first].fd, scratch, n);
        }
}

/* The spans of entries, sorted by source without losing their order, as groups. */
struct grouping {
        struct encode_group *groups, *scratch;
        struct tty *ttys;
        bool *done;
        struct out_span *spans;
        size_t count;
};

static void cleanup_grouping_p(struct grouping *grouping)
{
        free(grouping->groups);
        free(grouping->scratch);
        free(grouping->ttys);
        free(grouping->done);
        free(grouping->spans);
}

#define cleanup_grouping __attribute__((cleanup(cleanup_grouping_p)))

static bool grouping_alloc(struct grouping *grouping, size_t count)
{
        grouping->groups = calloc(count, sizeof(*grouping->groups));
        grouping->scratch = calloc(count, sizeof(*grouping->scratch));
        grouping->ttys = calloc(count, sizeof(*grouping->ttys));
        grouping->done = calloc(count, sizeof(*grouping->done));
        grouping->spans = calloc(count, sizeof(*grouping->spans));
        return grouping->groups && grouping->scratch && grouping->ttys && grouping->done && grouping->spans;
}

static void group(struct grouping *grouping, const struct batch_entry *entries, size_t count)
{
        size_t at = 0;

        for (size_t i = 0; i < count; i++)
                entries[i].source->group = -1;
        for (size_t i = 0; i < count; i++) {
                struct source *source = entries[i].source;

                if (source->group < 0) {
                        source->group = (int)grouping->count++;
                        grouping->groups[source->group].resource = source->resource;
                        grouping->ttys[source->group] = tty_of(source);
                }
                grouping->groups[source->group].span_count++;
        }
        for (size_t g = 0; g < grouping->count; g++) {
                grouping->groups[g].spans = grouping->spans + at;
                at += grouping->groups[g].span_count;
                grouping->groups[g].span_count = 0;
        }
        for (size_t i = 0; i < count; i++) {
                struct encode_group *mine = &grouping->groups[entries[i].source->group];

                grouping->spans[(size_t)(mine->spans - grouping->spans) + mine->span_count++] =
                        entries[i].span;
        }
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

        if (!grouping_alloc(&grouping, count)) {
                meter_add(batch->meter, METER_DROPPED_MEMORY, count);
                return;
        }
        group(&grouping, entries, count);
        if (batch->exporters & EXPORTER_CONSOLE) {
                print_groups(grouping.groups, grouping.ttys, grouping.count, grouping.scratch, grouping.done);
                meter_add(batch->meter, METER_PRINTED, count);
        }
        if (batch->deliver)
                encode(batch, &grouping, count);
}

void batch_send(struct batch *batch)
{
        for (size_t at = 0; at < batch->count; at += batch->max)
                send_some(batch, batch->entries + at, MIN(batch->max, batch->count - at));
        batch_clear(batch);
}
