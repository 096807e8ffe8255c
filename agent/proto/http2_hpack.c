/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nghttp2's inflater in memory of ours. An allocator of size classes, four to each doubling, in one piece:
 * what is free waits in its class's list, and the end of what was in use moves back when the last block is
 * freed.
 */
#include <nghttp2/nghttp2.h>
#include <stdatomic.h>
#include <stddef.h>

#include "agent/base/load.h"
#include "agent/proto/http2_priv.h"

#define UNIT       64u
#define CLASSES    ARRAY_LEN(((struct http2_memory *)0)->free_first)
#define FIELD_COST 32 /* RFC 9113 section 10.5.1 */

/* Before each block. */
struct block {
        uint32_t class;
        uint32_t next; /* while it is free: the next one's offset + 1 */
        uint64_t pad;  /* what follows is aligned to 16 */
};

_Static_assert(sizeof(nghttp2_mem) <= sizeof(((struct http2_memory *)0)->functions),
               "no room for the functions");

/* Units of a class: 1 2 3 4 5 6 7 8 10 12 14 16 20 ... */
static uint32_t class_units(uint32_t class)
{
        return class < 4 ? class + 1 : (5 + (class - 4) % 4) << (class - 4) / 4;
}

static uint32_t class_of(size_t len)
{
        uint32_t class = 0;

        while (class < CLASSES && (size_t)class_units(class) * UNIT < len)
                class ++;
        return class;
}

static struct block *block_at(struct http2_memory *memory, uint32_t at)
{
        return (struct block *)(memory->room + at);
}

static void *memory_alloc(size_t size, void *user)
{
        struct http2_memory *memory = user;
        uint32_t class = size < LIMIT_HTTP2_MEMORY ? class_of(size + sizeof(struct block)) : CLASSES;
        struct block *block;
        uint32_t len;

        if (class == CLASSES)
                return NULL;
        len = class_units(class) * UNIT;
        if (memory->free_first[class]) {
                block = block_at(memory, memory->free_first[class] - 1);
                memory->free_first[class] = block->next;
                return block + 1;
        }
        if (len > LIMIT_HTTP2_MEMORY - memory->used)
                return NULL;
        block = block_at(memory, memory->used);
        memory->used += len;
        block->class = class;
        return block + 1;
}

static void memory_free(void *p, void *user)
{
        struct http2_memory *memory = user;
        struct block *block = (struct block *)p - 1;
        uint32_t at, len;

        if (!p)
                return;
        at = (uint32_t)((unsigned char *)block - memory->room);
        len = class_units(block->class) * UNIT;
        if (at + len == memory->used) {
                memory->used = at;
                return;
        }
        block->next = memory->free_first[block->class];
        memory->free_first[block->class] = at + 1;
}

static void *memory_calloc(size_t count, size_t size, void *user)
{
        size_t len;
        void *p = __builtin_mul_overflow(count, size, &len) ? NULL : memory_alloc(len, user);

        return p ? memset(p, 0, len) : NULL;
}

static void *memory_realloc(void *p, size_t size, void *user)
{
        size_t had = p ? class_units(((struct block *)p - 1)->class) * UNIT - sizeof(struct block) : 0;
        void *moved;

        if (size <= had)
                return p;
        moved = memory_alloc(size, user);
        if (moved && p) {
                memcpy(moved, p, had);
                memory_free(p, user);
        }
        return moved;
}

/* Where a contradiction inside nghttp2 leads. */
static __thread void **escape __attribute__((tls_model("initial-exec")));

void http2_hpack_give_up(void)
{
        if (escape)
                __builtin_longjmp(escape, 1);
        __builtin_trap();
}

struct inflate_call {
        nghttp2_hd_inflater *inflater;
        nghttp2_nv field;
        int flags;
};

__attribute__((noinline)) static ssize_t inflate(struct inflate_call *call, struct slice bytes, bool last)
{
        void *jump[5];
        ssize_t n;

        if (__builtin_setjmp(jump)) {
                escape = NULL;
                return NGHTTP2_ERR_HEADER_COMP;
        }
        escape = jump;
        call->flags = 0;
        n = nghttp2_hd_inflate_hd2(call->inflater, &call->field, &call->flags, (const uint8_t *)bytes.p,
                                   bytes.len, last);
        escape = NULL;
        return n;
}

#define LATE_MARK 0x9d5e37c1u /* as in http2_late.py */

extern __attribute__((visibility("hidden"))) _Atomic uint64_t late_begin[], late_end[]; /* http2_late.ld */

/*
 * The build leaves nghttp2's pointers as marked distances: else the dynamic linker would write their pages at
 * the start of every process. Who comes while another makes the pointers makes the same ones.
 */
static void make_late_pointers(void)
{
        static _Atomic bool made;

        if (LIKELY(atomic_load_explicit(&made, memory_order_acquire)))
                return;
        for (_Atomic uint64_t *word = late_begin; (uintptr_t)word < (uintptr_t)late_end; word++) {
                uint64_t value = atomic_load_explicit(word, memory_order_relaxed);

                if (value >> 32 == LATE_MARK)
                        atomic_store_explicit(word, (uintptr_t)word + (uintptr_t)(int32_t)value,
                                              memory_order_relaxed);
        }
        atomic_store_explicit(&made, true, memory_order_release);
}

bool http2_hpack_init(struct http2_memory *memory)
{
        nghttp2_mem *functions = (nghttp2_mem *)memory->functions;

        make_late_pointers();
        memory->used = 0;
        memset(memory->free_first, 0, sizeof(memory->free_first));
        *functions = (nghttp2_mem){memory, memory_alloc, memory_free, memory_calloc, memory_realloc};
        return nghttp2_hd_inflate_new2((nghttp2_hd_inflater **)&memory->inflater, functions) == 0;
}

/* Before the inflater's first step after a mark. */
static void save(struct http2 *parser)
{
        struct http2_undo *undo = parser->undo;

        if (!undo || undo->saved)
                return;
        memcpy(&undo->memory, parser->memory, offsetof(struct http2_memory, room) + parser->memory->used);
        undo->saved = true;
}

bool http2_hpack_limit(struct http2 *parser, uint32_t size)
{
        save(parser);
        return nghttp2_hd_inflate_change_table_size(parser->memory->inflater, size) == 0;
}

static bool take_field(struct http2 *parser, const nghttp2_nv *nv, struct slice sent, uint64_t end)
{
        const struct http2_field field = {
                .name = slice_make(nv->name, nv->namelen),
                .value = slice_make(nv->value, nv->valuelen),
                .first = parser->field_begun ? parser->field_first : (uint8_t)sent.p[0],
                .sent = sent,
                .end = end,
        };

        parser->field_begun = false;
        parser->list_len += (uint32_t)(nv->namelen + nv->valuelen) + FIELD_COST;
        return parser->list_len <= LIMIT_HTTP2_LIST && http2_head_field(parser, &field);
}

bool http2_hpack_feed(struct http2 *parser, struct slice bytes, bool last)
{
        struct inflate_call call = {.inflater = parser->memory->inflater};
        const char *begin = bytes.p;

        save(parser);
        do {
                ssize_t n = inflate(&call, bytes, last);

                if (n < 0)
                        return false;
                bytes = slice_from(bytes, (size_t)n);
                if (call.flags & NGHTTP2_HD_INFLATE_EMIT) {
                        if (!take_field(parser, &call.field, slice_make(begin, (size_t)(bytes.p - begin)),
                                        parser->bytes_end - bytes.len))
                                return false;
                        begin = bytes.p;
                }
                if (call.flags & NGHTTP2_HD_INFLATE_FINAL)
                        return nghttp2_hd_inflate_end_headers(call.inflater) == 0;
        } while (bytes.len || call.flags & NGHTTP2_HD_INFLATE_EMIT);
        if (bytes.p != begin && !parser->field_begun) {
                parser->field_begun = true;
                parser->field_first = (uint8_t)*begin;
        }
        return !last;
}

void http2_mark(struct http2 *parser, struct http2_undo *undo)
{
        undo->parser = *parser;
        undo->saved = false;
        parser->undo = undo;
}

void http2_rewind(struct http2 *parser, struct http2_undo *undo)
{
        *parser = undo->parser;
        parser->undo = undo;
        if (undo->saved)
                memcpy(parser->memory, &undo->memory,
                       offsetof(struct http2_memory, room) + undo->memory.used);
}

void http2_unmark(struct http2 *parser)
{
        parser->undo = NULL;
}
