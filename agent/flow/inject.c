/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/inject.h"

#include <stddef.h>
#include <string.h>

#include "agent/base/load.h"
#include "agent/base/slab.h"
#include "agent/trace/traceparent.h"

#define PER_CHUNK 4

static struct slab slab = SLAB_INIT(sizeof(struct out_scratch), PER_CHUNK, LIMIT_SCRATCH_COUNT);

struct out_scratch *out_scratch_new(void)
{
        uint32_t index;
        struct out_scratch *scratch = slab_alloc(&slab, &index);

        if (!scratch) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        scratch->index = index;
        scratch->opened_count = scratch->insert_count = scratch->kept = 0;
        return scratch;
}

void out_scratch_free(struct out_scratch *scratch)
{
        slab_free(&slab, scratch->index);
}

static size_t put(char *to, size_t at, struct slice text)
{
        memcpy(to + at, text.p, text.len);
        return at + text.len;
}

void inject_compose(struct exchange *exchange, bool has_tracestate, bool eol_lf)
{
        struct slice eol = eol_lf ? SLICE("\n") : SLICE("\r\n");
        struct slice tracestate = exchange->decision.context.tracestate;
        size_t len;

        len = put(exchange->inject_text, 0, SLICE("traceparent: "));
        traceparent_write(exchange->inject_text + len, &exchange->decision.context);
        len = put(exchange->inject_text, len + TRACEPARENT_LEN, eol);
        /* A tracestate of the program's own without a traceparent means nothing, but two of them mean
         * trouble. */
        if (tracestate.len && tracestate.len <= LIMIT_TRACESTATE && !has_tracestate) {
                len = put(exchange->inject_text, len, SLICE("tracestate: "));
                len = put(exchange->inject_text, len, tracestate);
                len = put(exchange->inject_text, len, eol);
        }
        exchange->inject_len = (uint16_t)len;
}

struct builder {
        struct out_scratch *scratch;
        bool copying;
        size_t copied;
        int count;
};

static void append(struct builder *builder, const void *p, size_t len)
{
        if (!len)
                return;
        if (builder->copying) {
                memcpy(builder->scratch->copy + builder->copied, p, len);
                builder->copied += len;
                return;
        }
        builder->scratch->iov[builder->count++] =
                (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = len};
}

int inject_build(struct out_scratch *scratch, const struct iovec *iov, int iovcnt, size_t host_len)
{
        struct builder builder = {.scratch = scratch};
        size_t total = host_len, at = 0;
        unsigned next = 0;

        for (unsigned i = 0; i < scratch->insert_count; i++)
                total += scratch->inserts[i].exchange->inject_len;
        builder.copying = total <= sizeof(scratch->copy);
        if (!builder.copying && iovcnt + 2 * (int)scratch->insert_count > LIMIT_IOV)
                return 0;
        for (int i = 0; i < iovcnt; i++) {
                const char *p = iov[i].iov_base;
                size_t left = iov[i].iov_len;

                while (next < scratch->insert_count && scratch->inserts[next].at < at + left) {
                        const struct insert *insert = &scratch->inserts[next++];
                        size_t before = insert->at - at;

                        append(&builder, p, before);
                        append(&builder, insert->exchange->inject_text, insert->exchange->inject_len);
                        p += before;
                        left -= before;
                        at += before;
                }
                append(&builder, p, left);
                at += left;
        }
        if (builder.copying)
                scratch->iov[builder.count++] = (struct iovec){scratch->copy, builder.copied};
        return builder.count;
}
