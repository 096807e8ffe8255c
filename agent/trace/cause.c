/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/cause.h"

#include <stdatomic.h>

#include "agent/base/load.h"
#include "agent/trace/cause_table.h"

/* --- what a thread owes --- */

/* What the list says once it is rid of what is closed by now. */
struct owed {
        uint64_t only; /* the one debt; CAUSE_NONE: none */
        bool unsure;   /* several, or an unknown one */
};

static void add_owed(struct owed *owed, uint64_t request)
{
        if (!cause_table_has(request))
                return;
        owed->unsure |= owed->only != CAUSE_NONE && owed->only != request;
        owed->only = request;
}

/* What was read and neither written for nor handed over. */
static struct owed owed_afresh(const struct thread_cause *thread)
{
        struct owed owed = {.only = CAUSE_NONE, .unsure = thread->owes_unknown};

        for (unsigned i = 0; i < thread->debt_count; i++)
                add_owed(&owed, thread->debts[i]);
        return owed;
}

/* Who hands a request over may still call for it. */
static struct owed owed_by(const struct thread_cause *thread)
{
        struct owed owed = owed_afresh(thread);

        owed.unsure |= thread->handed_several;
        add_owed(&owed, thread->handed);
        return owed;
}

static void prune(struct thread_cause *thread)
{
        unsigned kept = 0;

        for (unsigned i = 0; i < thread->debt_count; i++)
                if (cause_table_has(thread->debts[i]))
                        thread->debts[kept++] = thread->debts[i];
        thread->debt_count = (uint8_t)kept;
}

static bool is_listed(const struct thread_cause *thread, uint64_t request)
{
        for (unsigned i = 0; i < thread->debt_count; i++)
                if (thread->debts[i] == request)
                        return true;
        return false;
}

static bool owes(const struct thread_cause *thread, uint64_t request)
{
        return thread->handed_several || thread->handed == request || is_listed(thread, request);
}

static void owe(struct thread_cause *thread, uint64_t request)
{
        if (is_listed(thread, request))
                return;
        if (thread->debt_count == THREAD_DEBTS)
                prune(thread);
        if (thread->debt_count == THREAD_DEBTS)
                thread->owes_unknown = true;
        else
                thread->debts[thread->debt_count++] = request;
}

static void pay(struct thread_cause *thread, uint64_t request)
{
        unsigned kept = 0;

        for (unsigned i = 0; i < thread->debt_count; i++)
                if (thread->debts[i] != request)
                        thread->debts[kept++] = thread->debts[i];
        thread->debt_count = (uint8_t)kept;
        if (thread->handed == request && !thread->handed_several)
                thread->handed = CAUSE_NONE;
}

static void touch(struct thread_cause *thread, uint64_t request)
{
        if (request == CAUSE_UNKNOWN || (thread->touched != CAUSE_NONE && thread->touched != request))
                thread->touched_several = true;
        else
                thread->touched = request;
}

/* A slice of a job's begins as if its request had just been read. */
static void owe_job(struct thread_cause *thread)
{
        if (!cause_table_has(thread->inherited))
                return;
        owe(thread, thread->inherited);
        thread->touched = thread->head = thread->inherited;
}

void cause_waited(struct thread_cause *thread)
{
        thread->slice++;
        thread->debt_count = 0;
        thread->owes_unknown = thread->unknown_fresh = thread->touched_several = false;
        thread->handed_several = false;
        thread->touched = thread->head = thread->handed = CAUSE_NONE;
        if (thread->job)
                owe_job(thread);
}

void cause_enter(struct thread_cause *thread, uint64_t request, struct thread_cause *ret_before)
{
        *ret_before = *thread;
        *thread = (struct thread_cause){
                .key = thread->key,
                .slice = thread->slice,
                .serves_others = thread->serves_others,
                .inherited = request,
                .job = request != CAUSE_NONE,
        };
        cause_waited(thread);
}

void cause_leave(struct thread_cause *thread, const struct thread_cause *before)
{
        const struct thread_cause inside = *thread;

        *thread = *before;
        thread->key = inside.key;
        thread->slice = inside.slice + 1;
        thread->serves_others |= inside.serves_others;
}

void cause_read(struct thread_cause *thread, uint64_t owner)
{
        if (owner == CAUSE_NONE)
                return;
        touch(thread, owner);
        thread->unknown_fresh = owner == CAUSE_UNKNOWN && !thread->owes_unknown;
        if (owner == CAUSE_UNKNOWN)
                thread->owes_unknown = true;
        else if (cause_table_has(owner))
                owe(thread, owner);
}

static _Atomic uint32_t others; /* connections with requests that we cannot read */

void cause_others(bool begins)
{
        atomic_fetch_add_explicit(&others, begins ? 1 : -1u, memory_order_relaxed);
}

static bool has_others(void)
{
        return atomic_load_explicit(&others, memory_order_relaxed) != 0;
}

void cause_read_opaque(struct thread_cause *thread, bool asks)
{
        thread->serves_others |= asks;
        if (asks || (thread->key && cause_table_by_thread(thread->key) == CAUSE_UNKNOWN))
                cause_read(thread, CAUSE_UNKNOWN);
        else
                thread->touched_several = true;
}

void cause_wrote(struct thread_cause *thread, uint64_t owner)
{
        bool first;

        if (owner == CAUSE_NONE)
                return;
        first = cause_table_begin(owner);
        touch(thread, owner);
        /* A reply that begins right after an answer that nobody knew: it is what the answer was for. */
        if (thread->unknown_fresh && first && !owes(thread, owner))
                thread->owes_unknown = false;
        thread->unknown_fresh = false;
        pay(thread, owner);
}

/* --- open requests --- */

static uint32_t key_of(struct thread_cause *thread)
{
        static _Atomic uint32_t keys;

        while (thread->key == 0)
                thread->key = atomic_fetch_add_explicit(&keys, 1, memory_order_relaxed) + 1;
        return thread->key;
}

uint64_t cause_open(struct thread_cause *thread, const struct cause_arrival *arrival)
{
        uint64_t request = cause_table_add(key_of(thread), arrival);

        cause_read(thread, request);
        thread->unknown_fresh = false; /* a head without room is no answer */
        thread->head = request;
        return request;
}

void cause_close(uint64_t request)
{
        cause_table_remove(request);
}

bool cause_is_open(uint64_t request)
{
        return cause_table_has(request);
}

bool cause_context(uint64_t request, char *tracestate, char *baggage, struct cause_arrival *ret_arrival)
{
        return cause_table_copy(request, tracestate, baggage, ret_arrival);
}

bool cause_context_into(uint64_t request, struct room *room, struct cause_arrival *ret_arrival)
{
        return cause_table_copy_into(request, room, ret_arrival);
}

/* --- the rungs --- */

static bool is_known(uint64_t request)
{
        return request != CAUSE_NONE && request != CAUSE_UNKNOWN;
}

uint64_t cause_by_header(const struct trace_context *header)
{
        uint64_t request = cause_table_by_ids(header);

        return is_known(request) ? request : CAUSE_NONE;
}

static uint64_t by_debt(const struct thread_cause *thread, struct owed owed)
{
        if (owed.only != CAUSE_NONE)
                return owed.only;
        if (thread->touched_several || thread->touched != thread->head)
                return CAUSE_NONE;
        return cause_table_has(thread->head) ? thread->head : CAUSE_NONE;
}

/* A job is for the request that it was handed over for, whatever else there is; of one that is over, for
 * none. */
static uint64_t by_process(const struct thread_cause *thread)
{
        uint64_t only = thread->job ? CAUSE_NONE : cause_table_only();

        return only != CAUSE_NONE && has_others() ? CAUSE_UNKNOWN : only;
}

static uint64_t by_target(const struct thread_cause *thread, const struct cause_departure *departure)
{
        uint64_t request = cause_table_by_target(departure->method, departure->target);

        return thread->job && is_known(thread->inherited) && request != thread->inherited ? CAUSE_NONE
                                                                                          : request;
}

static uint64_t by_thread(const struct thread_cause *thread)
{
        uint64_t own = thread->key && !thread->job ? cause_table_by_thread(thread->key) : CAUSE_NONE;

        if (own != CAUSE_NONE && thread->serves_others && has_others())
                return CAUSE_UNKNOWN;
        if (own != CAUSE_NONE || !cause_table_has(thread->inherited))
                return own;
        /* A thread of a pool belongs to its first job only, and does not say when that is over. */
        return thread->job || !thread->called || by_process(thread) == thread->inherited ? thread->inherited
                                                                                         : CAUSE_NONE;
}

/* What the opening of the connection says of its first request. */
enum opening_word { OPENING_SILENT, OPENING_KNOWN, OPENING_UNKNOWN };

static enum opening_word opening_word(const struct cause_opening *opening, const struct thread_cause *thread)
{
        if (!opening || opening->over || opening->request == CAUSE_NONE)
                return OPENING_SILENT;
        if (cause_table_has(opening->request))
                return OPENING_KNOWN;
        if (opening->thread == thread->key && opening->slice == thread->slice)
                return OPENING_SILENT;
        return OPENING_UNKNOWN;
}

/* Nothing found: is it because nothing is there to be found? */
static uint64_t none_or_unknown(const struct thread_cause *thread)
{
        return thread->owes_unknown || cause_table_only() != CAUSE_NONE ? CAUSE_UNKNOWN : CAUSE_NONE;
}

void (*_Atomic cause_look_again)(void);

static void look_again(void)
{
        void (*look)(void) = atomic_load_explicit(&cause_look_again, memory_order_relaxed);

        if (UNLIKELY(look != NULL))
                look();
}

bool cause_any(void)
{
        return cause_table_only() != CAUSE_NONE;
}

uint64_t cause_current(const struct thread_cause *thread)
{
        struct owed owed;
        uint64_t request;

        look_again();
        owed = owed_by(thread);
        if (!owed.unsure && (is_known(request = by_debt(thread, owed)) ||
                             is_known(request = by_thread(thread)) || is_known(request = by_process(thread))))
                return request;
        return none_or_unknown(thread);
}

uint64_t cause_hand_over(struct thread_cause *thread)
{
        struct owed owed = owed_afresh(thread);
        uint64_t request = owed.unsure || owed.only == CAUSE_NONE ? cause_current(thread) : owed.only;

        if (!is_listed(thread, request))
                return request;
        pay(thread, request);
        thread->handed_several |= thread->handed != CAUSE_NONE && cause_table_has(thread->handed);
        thread->handed = request;
        return request;
}

void cause_connect(struct thread_cause *thread, struct cause_opening *ret_opening)
{
        *ret_opening = (struct cause_opening){
                .request = cause_current(thread), .thread = key_of(thread), .slice = thread->slice};
        pay(thread, ret_opening->request);
}

/* The rungs from 2 on, in their order. */
static enum cause_rung find(const struct thread_cause *thread, const struct cause_departure *departure,
                            uint64_t *ret_request)
{
        enum opening_word word;
        struct owed owed;
        bool sure;

        *ret_request = none_or_unknown(thread);
        if (cause_table_only() == CAUSE_NONE)
                return CAUSE_BY_NOTHING; /* a client, or an idle server */
        word = opening_word(departure->opening, thread);
        owed = owed_by(thread);
        sure = !owed.unsure && word != OPENING_UNKNOWN;
        if (is_known(*ret_request = cause_by_header(&departure->header)))
                return CAUSE_BY_HEADER;
        if (word == OPENING_KNOWN && is_known(*ret_request = departure->opening->request))
                return CAUSE_BY_OPENING;
        if (sure && is_known(*ret_request = by_debt(thread, owed)))
                return CAUSE_BY_DEBT;
        if (is_known(*ret_request = by_target(thread, departure)))
                return CAUSE_BY_TARGET;
        if (sure && is_known(*ret_request = by_thread(thread)))
                return CAUSE_BY_THREAD;
        if (sure && is_known(*ret_request = by_process(thread)))
                return CAUSE_BY_PROCESS;
        *ret_request = none_or_unknown(thread);
        return CAUSE_BY_NOTHING;
}

enum cause_rung cause_find(struct thread_cause *thread, const struct cause_departure *departure,
                           uint64_t *ret_request)
{
        enum cause_rung rung;

        look_again();
        rung = find(thread, departure, ret_request);
        if (rung != CAUSE_BY_NOTHING)
                cause_table_pass_on(*ret_request);
        if (departure->opening)
                departure->opening->over = true;
        thread->called = true;
        return rung;
}

void cause_after_fork(struct thread_cause *thread)
{
        *thread = (struct thread_cause){.key = thread->key, .slice = thread->slice};
        atomic_store(&others, 0);
        cause_table_clear();
}
