/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/cause_table.h"

#include <stdatomic.h>
#include <stddef.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/rand.h"
#include "agent/base/room.h"
#include "agent/base/slab.h"
#include "agent/base/stats.h"

#define PER_CHUNK   64
#define INDEX_BITS  16 /* of a number: index + 1; above it the serial */
#define NUMBER_MASK ((1ull << 48) - 1)
#define COUNT_ONE   (1ull << 48) /* of a cell */
#define CELLS       4096         /* per row, power of two */
#define ROWS        2 /* of cells per question: two keys rarely meet in both, then all are looked at */

struct request {
        _Atomic uint32_t refs;   /* one for being open, one for each thread that reads it */
        _Atomic uint64_t number; /* 0 = not open */
        _Atomic uint32_t passed; /* 1: out of the cells of targets */
        _Atomic uint32_t begun;  /* 1: something was written or passed on for it */
        uint32_t index;
        uint32_t thread;
        uint64_t target; /* hash of method and target; 0 = unknown */
        struct trace_context context, incoming;
        uint32_t tracestate_len, baggage_len;
        bool sampled, marked;
        struct room texts; /* tracestate, baggage */
};

_Static_assert(LIMIT_SERVER_REQUESTS < 1 << INDEX_BITS, "an index fits into a number");
_Static_assert(2 * LIMIT_SERVER_REQUESTS < 1 << 16, "a cell counts every request, with two contexts each");

SLAB_DEFINE(static, requests, sizeof(struct request), PER_CHUNK, LIMIT_SERVER_REQUESTS);
static _Atomic uint32_t serials;
static _Atomic uint64_t lost; /* open ones that there was no room for */
static _Atomic uint64_t hash_seed;

static _Atomic uint64_t all;
static LARGE_TABLE _Atomic uint64_t
        of_thread[ROWS * CELLS]; /* by the key itself: threads are numbered in a row */
static LARGE_TABLE _Atomic uint64_t of_target[ROWS * CELLS];
static LARGE_TABLE _Atomic uint64_t of_ids[ROWS * CELLS];

/* --- cells --- */

static void cell_add(_Atomic uint64_t *cell, uint64_t number)
{
        uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);

        while (!atomic_compare_exchange_weak_explicit(cell, &old, (old + COUNT_ONE) ^ number,
                                                      memory_order_acq_rel, memory_order_relaxed))
                ;
}

/* Empty already: cleared after a fork, in the middle of this. */
static void cell_remove(_Atomic uint64_t *cell, uint64_t number)
{
        uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);

        while (old && !atomic_compare_exchange_weak_explicit(cell, &old, (old - COUNT_ONE) ^ number,
                                                             memory_order_acq_rel, memory_order_relaxed))
                ;
}

static uint64_t cell_only(const _Atomic uint64_t *cell)
{
        uint64_t word = atomic_load_explicit(cell, memory_order_acquire);

        if (word == 0)
                return CAUSE_NONE;
        return word < 2 * COUNT_ONE ? word & NUMBER_MASK : CAUSE_UNKNOWN;
}

static void cells_clear(_Atomic uint64_t *cells, size_t count)
{
        /* Read first: untouched pages stay the parent's. */
        for (size_t i = 0; i < count; i++)
                if (atomic_load_explicit(&cells[i], memory_order_relaxed))
                        atomic_store_explicit(&cells[i], 0, memory_order_relaxed);
}

static _Atomic uint64_t *cell_of(_Atomic uint64_t *cells, uint64_t hash, unsigned row)
{
        return &cells[row * CELLS + (hash >> (32 * row)) % CELLS];
}

static void rows_change(void (*change)(_Atomic uint64_t *cell, uint64_t number), _Atomic uint64_t *cells,
                        uint64_t hash, uint64_t number)
{
        for (unsigned row = 0; row < ROWS; row++)
                change(cell_of(cells, hash, row), number);
}

/* --- keys --- */

/* Not to be foreseen by who chooses targets and contexts. */
static uint64_t seed(void)
{
        uint64_t now = atomic_load_explicit(&hash_seed, memory_order_relaxed);
        uint64_t fresh;

        if (LIKELY(now))
                return now;
        fresh = rand_u64() | 1;
        return atomic_compare_exchange_strong(&hash_seed, &now, fresh) ? fresh : now;
}

/* All bits depend on all bits: cells are chosen by parts of it. */
static uint64_t mixed(uint64_t hash)
{
        hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
        hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ull;
        return hash ^ hash >> 33;
}

/* From the path on: a proxy may make "http://host/path" of "/path". */
static struct slice path_of(struct slice target)
{
        size_t colon = slice_find(target, ':');
        struct slice rest = slice_from(target, colon);
        size_t end = 0;

        if (slice_starts(target, SLICE("/")) || !slice_starts(rest, SLICE("://")))
                return target;
        rest = slice_from(rest, 3);
        while (end < rest.len && rest.p[end] != '/' && rest.p[end] != '?')
                end++;
        return slice_from(rest, end);
}

static uint64_t target_hash(struct slice method, struct slice target)
{
        uint64_t hash;

        if (target.len == 0)
                return 0;
        target = path_of(target);
        hash = hash_bytes(method.p, method.len, seed());
        /* "http://host?query" is "/?query". */
        hash = hash_bytes(" /", target.len == 0 || target.p[0] == '?' ? 2 : 1, hash);
        return mixed(hash_bytes(target.p, target.len, hash)) | 1;
}

static uint64_t ids_hash(const struct trace_context *context)
{
        uint64_t hash = hash_bytes(context->trace_id, sizeof(context->trace_id), seed());

        return mixed(hash_bytes(context->span_id, sizeof(context->span_id), hash));
}

static bool same_ids(const struct trace_context *a, const struct trace_context *b)
{
        return memcmp(a->trace_id, b->trace_id, sizeof(a->trace_id)) == 0 &&
               memcmp(a->span_id, b->span_id, sizeof(a->span_id)) == 0;
}

/* --- requests --- */

static struct request *request_at(uint64_t number)
{
        uint32_t index = (uint32_t)(number & ((1u << INDEX_BITS) - 1)) - 1;

        if (number > NUMBER_MASK || index >= slab_end(&requests))
                return NULL;
        return slab_at(&requests, index);
}

static void request_put(struct request *request)
{
        if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1)
                return;
        room_give(&request->texts);
        slab_free(&requests, request->index);
}

/* The open request with a reference taken, or NULL. */
static struct request *request_get(uint64_t number)
{
        struct request *request = request_at(number);
        uint32_t refs = request ? atomic_load_explicit(&request->refs, memory_order_relaxed) : 0;

        do {
                if (refs == 0)
                        return NULL;
        } while (!atomic_compare_exchange_weak_explicit(&request->refs, &refs, refs + 1, memory_order_acquire,
                                                        memory_order_relaxed));
        if (atomic_load_explicit(&request->number, memory_order_acquire) == number)
                return request;
        request_put(request);
        return NULL;
}

bool cause_table_has(uint64_t number)
{
        struct request *request = request_at(number);

        return request && atomic_load_explicit(&request->number, memory_order_acquire) == number;
}

/* What does not fit is left out: a part of it would be wrong. */
static void keep(struct request *request, struct slice tracestate, struct slice baggage)
{
        size_t state_len = tracestate.len <= LIMIT_TRACESTATE ? tracestate.len : 0;
        size_t baggage_len = baggage.len <= LIMIT_BAGGAGE ? baggage.len : 0;

        request->tracestate_len = request->baggage_len = 0;
        if (state_len + baggage_len == 0 || !room_take(&request->texts, state_len + baggage_len))
                return;
        if (state_len)
                memcpy(request->texts.p, tracestate.p, state_len);
        if (baggage_len)
                memcpy(request->texts.p + state_len, baggage.p, baggage_len);
        request->tracestate_len = (uint32_t)state_len;
        request->baggage_len = (uint32_t)baggage_len;
}

static void change_ids(void (*change)(_Atomic uint64_t *cell, uint64_t number), const struct request *request,
                       uint64_t number)
{
        if (trace_context_valid(&request->incoming))
                rows_change(change, of_ids, ids_hash(&request->incoming), number);
        if (request->marked)
                rows_change(change, of_ids, ids_hash(&request->context), number);
}

uint64_t cause_table_add(uint32_t thread, const struct cause_arrival *arrival)
{
        uint32_t index;
        struct request *request = slab_alloc(&requests, &index);
        uint64_t number;

        if (!request) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                atomic_fetch_add(&lost, 1);
                return CAUSE_UNKNOWN;
        }
        number = (uint64_t)atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed) << INDEX_BITS;
        number |= index + 1;
        request->index = index;
        request->thread = thread;
        request->target = target_hash(arrival->method, arrival->target);
        request->context = arrival->context;
        request->incoming = arrival->incoming;
        request->context.tracestate = request->incoming.tracestate = SLICE_NULL;
        request->sampled = arrival->sampled;
        request->marked = arrival->marked;
        keep(request, arrival->context.tracestate, arrival->baggage);
        atomic_store_explicit(&request->passed, request->target == 0, memory_order_relaxed);
        atomic_store_explicit(&request->begun, 0, memory_order_relaxed);
        atomic_store_explicit(&request->refs, 1, memory_order_release);
        atomic_store_explicit(&request->number, number, memory_order_release);
        cell_add(&all, number);
        cell_add(&of_thread[thread % ARRAY_LEN(of_thread)], number);
        if (request->target)
                rows_change(cell_add, of_target, request->target, number);
        change_ids(cell_add, request, number);
        return number;
}

static void pass_on(struct request *request, uint64_t number)
{
        if (!atomic_exchange_explicit(&request->passed, 1, memory_order_acq_rel))
                rows_change(cell_remove, of_target, request->target, number);
}

void cause_table_pass_on(uint64_t number)
{
        struct request *request = request_get(number);

        if (!request)
                return;
        pass_on(request, number);
        atomic_store_explicit(&request->begun, 1, memory_order_relaxed);
        request_put(request);
}

bool cause_table_begin(uint64_t number)
{
        struct request *request = request_at(number);
        bool first;

        /* Without a reference: whoever uses the memory now, a request that is over does not begin. */
        if (!request || atomic_load_explicit(&request->begun, memory_order_relaxed))
                return false;
        request = request_get(number);
        if (!request)
                return false;
        first = !atomic_exchange_explicit(&request->begun, 1, memory_order_relaxed);
        request_put(request);
        return first;
}

static void remove_lost(void)
{
        uint64_t count = atomic_load(&lost);

        while (count && !atomic_compare_exchange_weak(&lost, &count, count - 1))
                ;
}

void cause_table_remove(uint64_t number)
{
        struct request *request = request_get(number);
        uint64_t expected = number;

        if (number == CAUSE_UNKNOWN)
                remove_lost();
        if (!request)
                return;
        if (atomic_compare_exchange_strong(&request->number, &expected, 0)) {
                cell_remove(&all, number);
                cell_remove(&of_thread[request->thread % ARRAY_LEN(of_thread)], number);
                pass_on(request, number);
                change_ids(cell_remove, request, number);
                request_put(request);
        }
        request_put(request);
}

static struct slice copied(char *to, const char *from, uint32_t len)
{
        if (!to || !len)
                return SLICE_NULL;
        memcpy(to, from, len);
        return slice_make(to, len);
}

static struct cause_arrival arrival_of(const struct request *request)
{
        return (struct cause_arrival){.context = request->context,
                                      .incoming = request->incoming,
                                      .sampled = request->sampled,
                                      .marked = request->marked};
}

bool cause_table_copy(uint64_t number, char *tracestate, char *baggage, struct cause_arrival *ret_arrival)
{
        struct request *request = request_get(number);

        if (!request)
                return false;
        *ret_arrival = arrival_of(request);
        ret_arrival->context.tracestate = copied(tracestate, request->texts.p, request->tracestate_len);
        ret_arrival->baggage =
                copied(baggage, request->texts.p + request->tracestate_len, request->baggage_len);
        request_put(request);
        return true;
}

bool cause_table_copy_into(uint64_t number, struct room *room, struct cause_arrival *ret_arrival)
{
        struct request *request = request_get(number);
        size_t len;

        if (!request)
                return false;
        *ret_arrival = arrival_of(request);
        len = (size_t)request->tracestate_len + request->baggage_len;
        if (len && room_grow(room, len, 0)) {
                memcpy(room->p, request->texts.p, len);
                ret_arrival->context.tracestate = slice_make(room->p, request->tracestate_len);
                ret_arrival->baggage = slice_make(room->p + request->tracestate_len, request->baggage_len);
        }
        request_put(request);
        return true;
}

/* --- questions --- */

uint64_t cause_table_only(void)
{
        return atomic_load(&lost) ? CAUSE_UNKNOWN : cell_only(&all);
}

static bool has_thread(const struct request *request, const void *key)
{
        return request->thread == *(const uint32_t *)key;
}

static bool has_target(const struct request *request, const void *key)
{
        return request->target == *(const uint64_t *)key &&
               !atomic_load_explicit(&request->passed, memory_order_acquire);
}

static bool has_ids(const struct request *request, const void *key)
{
        return same_ids(&request->incoming, key) || (request->marked && same_ids(&request->context, key));
}

/* The only one in the cell that is what was asked for; all that are stand in it. */
static uint64_t only_with(const _Atomic uint64_t *cell,
                          bool (*is_it)(const struct request *request, const void *key), const void *key)
{
        uint64_t number = atomic_load(&lost) ? CAUSE_UNKNOWN : cell_only(cell);
        struct request *request = request_get(number);
        bool found;

        if (number == CAUSE_UNKNOWN || !request)
                return number == CAUSE_UNKNOWN ? CAUSE_UNKNOWN : CAUSE_NONE;
        found = is_it(request, key);
        request_put(request);
        return found ? number : CAUSE_NONE;
}

/* The only one of all. Ends at the second: what many have in common costs no more than what two have. */
static uint64_t only_of_all(bool (*is_it)(const struct request *request, const void *key), const void *key)
{
        uint32_t end = slab_end(&requests);
        uint64_t found = CAUSE_NONE;

        for (uint32_t i = 0; i < end && found != CAUSE_UNKNOWN; i++) {
                struct request *request = slab_at(&requests, i);
                uint64_t number = atomic_load_explicit(&request->number, memory_order_acquire);

                if (number == 0 || !request_get(number))
                        continue;
                if (is_it(request, key))
                        found = found == CAUSE_NONE ? number : CAUSE_UNKNOWN;
                request_put(request);
        }
        return found;
}

static uint64_t only_in_rows(_Atomic uint64_t *cells, uint64_t hash,
                             bool (*is_it)(const struct request *request, const void *key), const void *key)
{
        uint64_t number = CAUSE_UNKNOWN;

        for (unsigned row = 0; row < ROWS && number == CAUSE_UNKNOWN; row++)
                number = only_with(cell_of(cells, hash, row), is_it, key);
        if (number == CAUSE_UNKNOWN && !atomic_load(&lost))
                number = only_of_all(is_it, key);
        return number;
}

uint64_t cause_table_by_thread(uint32_t thread)
{
        return only_with(&of_thread[thread % ARRAY_LEN(of_thread)], has_thread, &thread);
}

uint64_t cause_table_by_target(struct slice method, struct slice target)
{
        uint64_t hash = target_hash(method, target);

        return hash ? only_in_rows(of_target, hash, has_target, &hash) : CAUSE_NONE;
}

uint64_t cause_table_by_ids(const struct trace_context *context)
{
        if (!trace_context_valid(context))
                return CAUSE_NONE;
        return only_in_rows(of_ids, ids_hash(context), has_ids, context);
}

/* --- fork --- */

void cause_table_clear(void)
{
        uint32_t end = slab_end(&requests);

        if (end == 0)
                return;
        atomic_store(&lost, 0);
        atomic_store(&all, 0);
        cells_clear(of_thread, ARRAY_LEN(of_thread));
        cells_clear(of_target, ARRAY_LEN(of_target));
        cells_clear(of_ids, ARRAY_LEN(of_ids));
        for (uint32_t i = 0; i < end; i++) {
                struct request *request = slab_at(&requests, i);

                if (slab_has(&requests, i) && atomic_load(&request->number) &&
                    atomic_exchange(&request->number, 0))
                        request_put(request);
        }
}
