/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/inject.h"

#include <stddef.h>
#include <string.h>

#include "agent/base/load.h"
#include "agent/base/slab.h"
#include "agent/trace/traceparent.h"

#define PER_CHUNK 4

SLAB_DEFINE(static, slab, sizeof(struct out_scratch), PER_CHUNK, LIMIT_SCRATCH_COUNT);

struct out_scratch *out_scratch_new(void)
{
        uint32_t index;
        struct out_scratch *scratch = slab_alloc(&slab, &index);

        if (!scratch) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return NULL;
        }
        scratch->index = index;
        return out_scratch_again(scratch);
}

struct out_scratch *out_scratch_again(struct out_scratch *scratch)
{
        scratch->opened_count = scratch->insert_count = scratch->kept = 0;
        return scratch;
}

void out_scratch_free(struct out_scratch *scratch)
{
        slab_free(&slab, scratch->index);
}

/* Names and line ends of all three, and our value. */
#define LINES_MAX (sizeof("traceparent: \r\n\r\ntracestate: \r\nbaggage: ") + TRACEPARENT_LEN)

_Static_assert(LINES_MAX <= EXCHANGE_ADDED, "a request without more needs no more");

void inject_add(struct out_scratch *scratch, struct insert insert)
{
        unsigned i = scratch->insert_count++;

        for (; i > 0 && scratch->inserts[i - 1].at > insert.at; i--)
                scratch->inserts[i] = scratch->inserts[i - 1];
        scratch->inserts[i] = insert;
}

static size_t put(char *to, size_t at, struct slice text)
{
        memcpy(to + at, text.p, text.len);
        return at + text.len;
}

static size_t put_line(char *to, size_t at, struct slice eol, struct slice name, struct slice value)
{
        at = put(to, at, eol);
        at = put(to, at, name);
        return put(to, at, value);
}

bool inject_compose(struct exchange *exchange, const struct http1_head *head)
{
        struct slice eol = head->eol_lf ? SLICE("\n") : SLICE("\r\n");
        struct slice tracestate = exchange->decision.context.tracestate;
        struct slice baggage = exchange->decision.baggage;
        char *to;
        size_t len = 0;

        /* A tracestate of the program's own without a traceparent means nothing, but two of them mean
         * trouble. */
        if (tracestate.len > LIMIT_TRACESTATE || head->text[HTTP1_TRACESTATE].present)
                tracestate = SLICE_NULL;
        if (baggage.len > LIMIT_BAGGAGE || head->text[HTTP1_BAGGAGE].present)
                baggage = SLICE_NULL;
        if (!room_grow(&exchange->added, LINES_MAX + tracestate.len + baggage.len, 0))
                return false;
        to = exchange->added.p;
        if (!exchange->replaces)
                len = put(to, len, SLICE("traceparent: "));
        traceparent_write(to + len, &exchange->decision.context);
        len += TRACEPARENT_LEN;
        if (tracestate.len)
                len = put_line(to, len, eol, SLICE("tracestate: "), tracestate);
        if (baggage.len)
                len = put_line(to, len, eol, SLICE("baggage: "), baggage);
        /* A replaced value has the end of its line behind it. */
        if (!exchange->replaces)
                len = put(to, len, eol);
        exchange->inject_len = (uint16_t)len;
        return true;
}

static struct slice text_of(const struct insert *insert)
{
        static const char blanks[LIMIT_TRACESTATE] = {[0 ... LIMIT_TRACESTATE - 1] = ' '};

        if (insert->blank)
                return slice_make(blanks, insert->remove);
        return insert->gone ? SLICE_NULL : slice_make(insert->exchange->added.p + insert->from, insert->len);
}

struct builder {
        struct out_scratch *scratch;
        const struct iovec *host; /* the next of the host's pieces ... */
        size_t used;              /* ... and how much of it is behind us */
        bool copying;
        size_t copied;
        int count;
};

static inline void append(struct builder *builder, const void *p, size_t len)
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

/* The next @n bytes of the host's, kept or left out. */
static inline void pass_host(struct builder *builder, size_t n, bool keep)
{
        while (n) {
                size_t piece = MIN(builder->host->iov_len - builder->used, n);

                if (keep && piece)
                        append(builder, (const char *)builder->host->iov_base + builder->used, piece);
                n -= piece;
                builder->used += piece;
                if (builder->used == builder->host->iov_len) {
                        builder->host++;
                        builder->used = 0;
                }
        }
}

int inject_build(struct out_scratch *scratch, const struct iovec *iov, int iovcnt, size_t host_len)
{
        struct builder builder = {.scratch = scratch, .host = iov};
        size_t total = host_len, at = 0;

        for (unsigned i = 0; i < scratch->insert_count; i++)
                total = total + text_of(&scratch->inserts[i]).len - scratch->inserts[i].remove;
        builder.copying = total <= sizeof(scratch->copy);
        if (!builder.copying && iovcnt + 2 * (int)scratch->insert_count > LIMIT_IOV)
                return 0;
        for (unsigned i = 0; i < scratch->insert_count; i++) {
                const struct insert *insert = &scratch->inserts[i];

                pass_host(&builder, insert->at - at, true);
                append(&builder, text_of(insert).p, text_of(insert).len);
                pass_host(&builder, insert->remove, false);
                at = insert->at + insert->remove;
        }
        pass_host(&builder, host_len - at, true);
        if (builder.copying)
                scratch->iov[builder.count++] = (struct iovec){scratch->copy, builder.copied};
        return builder.count;
}

void inject_remember_blanks(struct exchange *sending, const struct out_scratch *scratch, size_t accepted)
{
        for (unsigned i = 0; i < scratch->insert_count; i++) {
                const struct insert *insert = &scratch->inserts[i];

                if (insert->blank && insert->exchange == sending && insert->at + insert->remove > accepted &&
                    (insert->at < accepted || sending->inject != INJECT_NONE))
                        sending->blanks = true;
        }
}

void inject_done(struct exchange *exchange)
{
        exchange->inject = INJECT_DONE;
        stat_add(exchange->replaces ? STAT_REPLACED : STAT_INJECTED, 1);
}

/* @accepted bytes of the host's have left, and all before the insert: does a part that has left call for it?
 */
static void owe(struct conn *conn, const struct out_scratch *scratch, unsigned i, size_t accepted)
{
        const struct insert *insert = &scratch->inserts[i];

        if (i == scratch->insert_count || !insert->held || insert->exchange->inject != INJECT_STARTED)
                return;
        conn->owed = insert->exchange;
        conn->owed_from = insert->from;
        conn->owed_in = insert->at - accepted;
}

static void leave_over(struct conn *conn, const struct insert *insert, size_t taken)
{
        insert->exchange->inject = INJECT_STARTED;
        conn->leftover = insert->exchange;
        conn->leftover_at = (uint32_t)(insert->from + taken);
        conn->leftover_end = (uint32_t)(insert->from + insert->len);
        conn->leftover_held = insert->held;
}

size_t inject_share(struct conn *conn, const struct out_scratch *scratch, size_t taken)
{
        size_t at = 0;

        for (unsigned i = 0; i < scratch->insert_count; i++) {
                const struct insert *insert = &scratch->inserts[i];

                if (insert->gone)
                        at = insert->at + insert->remove;
                if (insert->gone || insert->blank) /* what is left of the host's counts as it is */
                        continue;
                if (taken <= insert->at - at) {
                        owe(conn, scratch, i, at + taken);
                        return at + taken;
                }
                taken -= insert->at - at;
                at = insert->at + insert->remove;
                if (taken < insert->len) {
                        leave_over(conn, insert, taken);
                        if (insert->held)
                                return insert->at;
                        owe(conn, scratch, i + 1, at);
                        return at;
                }
                if (insert->from + insert->len == insert->exchange->inject_len)
                        inject_done(insert->exchange);
                else
                        insert->exchange->inject = INJECT_STARTED;
                taken -= insert->len;
        }
        return at + taken;
}
