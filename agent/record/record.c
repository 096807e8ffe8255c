/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record/record.h"

#include "agent/base/load.h"

_Static_assert(sizeof(struct record_span) == 64 && sizeof(struct record_attr) == 16,
               "layout of RING_VERSION 2");
_Static_assert(LIMIT_TRACESTATE <= UINT16_MAX && LIMIT_SPAN_ATTRS <= UINT16_MAX, "fit their fields");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "short_word()");

static size_t padded(size_t len)
{
        return ALIGN_UP(len, (size_t)8);
}

static bool type_has_text(uint8_t type)
{
        return type == ATTR_STR || type == ATTR_BYTES;
}

/* One that is too long is left out whole: half a tracestate would be another one. */
static struct slice kept_tracestate(const struct span *span)
{
        return span->context.tracestate.len <= LIMIT_TRACESTATE ? span->context.tracestate : SLICE_NULL;
}

size_t record_size(const struct span *span)
{
        size_t size = sizeof(struct record_span) + padded(kept_tracestate(span).len);

        for (unsigned i = 0; i < span->attr_count; i++) {
                size += sizeof(struct record_attr);
                if (type_has_text(span->attrs[i].type))
                        size += padded(span->attrs[i].str.len);
        }
        return size;
}

#define SHORT_TEXT 64

/* 1 to 7 bytes as a word, the rest of it zero: little-endian, as all machines that we run on. */
static inline uint64_t short_word(const char *p, size_t len)
{
        const unsigned char *b = (const unsigned char *)p;

        if (len >= 4)
                return load_u32(p) | (uint64_t)load_u32(p + len - 4) << 8 * (len - 4);
        return b[0] | (uint64_t)b[len / 2] << 8 * (len / 2) | (uint64_t)b[len - 1] << 8 * (len - 1);
}

__attribute__((noinline)) static unsigned char *put_long_text(unsigned char *to, struct slice text)
{
        size_t len = padded(text.len);

        memset(to + len - 8, 0, 8);
        memcpy(to, text.p, text.len);
        return to + len;
}

/*
 * Whole words, so that no byte of the record is left as it was. Most texts are short: copied here, a call
 * of memcpy for each would be half the time of a record. Return: behind what was written.
 */
static inline unsigned char *put_text(unsigned char *to, struct slice text)
{
        size_t whole = text.len & ~(size_t)7, rest = text.len & 7;
        uint64_t word;

        if (text.len > SHORT_TEXT)
                return put_long_text(to, text);
        for (size_t i = 0; i < whole; i += 8)
                memcpy(to + i, text.p + i, 8);
        if (rest == 0)
                return to + whole;
        /* The last 8 bytes, without those that are written already. */
        word = whole ? load_u64(text.p + text.len - 8) >> 8 * (8 - rest) : short_word(text.p, rest);
        memcpy(to + whole, &word, 8);
        return to + whole + 8;
}

static unsigned char *put_attr(unsigned char *to, const struct attr *attr)
{
        bool has_text = type_has_text(attr->type);
        struct record_attr *head = (struct record_attr *)(void *)to;

        head->key = attr->key;
        head->type = attr->type;
        head->reserved = 0;
        head->len = has_text ? (uint32_t)attr->str.len : 0;
        head->num = has_text ? 0 : attr->num;
        to += sizeof(*head);
        return has_text ? put_text(to, attr->str) : to;
}

void record_write(void *dst, const struct span *span)
{
        struct slice tracestate = kept_tracestate(span);
        struct record_span *head = dst;
        unsigned char *to = (unsigned char *)dst + sizeof(*head);

        head->shape = span->shape;
        head->kind = span->kind;
        head->status = span->status;
        memcpy(head->trace_id, span->context.trace_id, sizeof(head->trace_id));
        memcpy(head->span_id, span->context.span_id, sizeof(head->span_id));
        memcpy(head->parent_id, span->parent_id, sizeof(head->parent_id));
        head->trace_flags = span->context.flags;
        head->parent_remote = span->parent_remote;
        head->attr_count = (uint16_t)span->attr_count;
        head->tracestate_len = (uint16_t)tracestate.len;
        head->shared = span->shared;
        head->start_ns = span->start_ns;
        head->end_ns = span->end_ns;
        to = put_text(to, tracestate);
        for (unsigned i = 0; i < span->attr_count; i++)
                to = put_attr(to, &span->attrs[i]);
        head->len = (uint32_t)(to - (unsigned char *)dst);
}

/* Return: false when @len bytes are not there; else they are taken off @rest. */
static bool take_text(struct slice *rest, size_t len, struct slice *ret_text)
{
        if (len > rest->len || padded(len) > rest->len)
                return false;
        *ret_text = slice_to(*rest, len);
        *rest = slice_from(*rest, padded(len));
        return true;
}

static bool take_attr(struct slice *rest, struct span *span)
{
        struct record_attr head;
        struct slice text;

        if (rest->len < sizeof(head))
                return false;
        memcpy(&head, rest->p, sizeof(head));
        *rest = slice_from(*rest, sizeof(head));
        if (!take_text(rest, head.len, &text))
                return false;
        if (head.key >= SEMCONV_COUNT || span->attr_count >= LIMIT_SPAN_ATTRS)
                return true;
        if (head.type != ATTR_INT && head.type != ATTR_BOOL && !type_has_text(head.type))
                return true;
        if (!type_has_text(head.type) && head.len)
                return false;
        span->attrs[span->attr_count++] = (struct attr){head.key, head.type, text, head.num};
        return true;
}

static bool head_plausible(const struct record_span *head, size_t len)
{
        if (head->len != len || head->tracestate_len > LIMIT_TRACESTATE)
                return false;
        if (head->shape < SHAPE_HTTP_CLIENT || head->shape >= SHAPES)
                return false;
        if (head->shape != SHAPE_CONNECT_SUPERSEDED && head->shape != SHAPE_PROCESS_ENDED &&
            (!trace_id_valid(head->trace_id) || !span_id_valid(head->span_id)))
                return false;
        return head->kind >= SPAN_INTERNAL && head->kind <= SPAN_CLIENT && head->status <= SPAN_ERROR;
}

bool record_read(struct slice bytes, struct span *ret_span)
{
        struct slice rest = slice_from(bytes, sizeof(struct record_span));
        struct record_span head;
        struct span *span = ret_span;

        if (bytes.len < sizeof(head))
                return false;
        memcpy(&head, bytes.p, sizeof(head));
        if (!head_plausible(&head, bytes.len))
                return false;
        memcpy(span->context.trace_id, head.trace_id, sizeof(head.trace_id));
        memcpy(span->context.span_id, head.span_id, sizeof(head.span_id));
        memcpy(span->parent_id, head.parent_id, sizeof(head.parent_id));
        span->context.flags = head.trace_flags;
        span->parent_remote = head.parent_remote != 0;
        span->shared = head.shared != 0;
        span->kind = head.kind;
        span->status = head.status;
        span->shape = (uint8_t)head.shape;
        span->start_ns = head.start_ns;
        /* A wall clock that was set back meanwhile must not make a span that nobody accepts. */
        span->end_ns = head.end_ns && head.end_ns < head.start_ns ? head.start_ns : head.end_ns;
        span->attr_count = 0;
        if (!take_text(&rest, head.tracestate_len, &span->context.tracestate))
                return false;
        for (unsigned i = 0; i < head.attr_count; i++)
                if (!take_attr(&rest, span))
                        return false;
        return rest.len == 0;
}
