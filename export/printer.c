/* SPDX-License-Identifier: Apache-2.0 */
#include "export/printer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/cleanup.h"
#include "agent/base/load.h"
#include "export/source.h"
#include "export/to/console.h"

/* One round: what was held and what is new, in two arrays of the same order. */
struct round {
        struct printer *printer;
        struct batch_entry *entries;
        uint64_t *since_ns;
        bool *keep, *done, *lost; /* done: printed, or its terminal is gone, or takes nothing: lost */
        size_t count;
        uint64_t now_ns;
        enum print_when when;
};

static void cleanup_round_p(struct round *round)
{
        free(round->entries);
        free(round->since_ns);
        free(round->keep);
        free(round->done);
        free(round->lost);
}

#define cleanup_round __attribute__((cleanup(cleanup_round_p)))

void printer_init(struct printer *printer, struct meter *meter)
{
        *printer = (struct printer){.meter = meter};
        TAILQ_INIT(&printer->sources);
}

static bool same_tty(const struct source *a, const struct source *b)
{
        return a->has_tty && b->has_tty && a->tty_inode == b->tty_inode && a->tty_device == b->tty_device;
}

void printer_add_source(struct printer *printer, struct source *source)
{
        TAILQ_INSERT_TAIL(&printer->sources, source, tty_link);
}

/* What is held of others for the same terminal needs its descriptor still. */
void printer_remove_source(struct printer *printer, struct source *source)
{
        TAILQ_REMOVE(&printer->sources, source, tty_link);
        for (size_t i = 0; i < printer->held_count; i++) {
                struct source *other = printer->held[i].entry.source;

                if (other == source || !same_tty(other, source))
                        continue;
                if (other->tty_fd < 0) {
                        other->tty_fd = source->tty_fd;
                        source->tty_fd = -1;
                }
                return;
        }
}

/* Is a span of trace @id open in a living process at @source's terminal? */
static bool is_open(const struct printer *printer, const struct source *source, const uint8_t *id)
{
        const struct source *other;

        TAILQ_FOREACH (other, &printer->sources, tty_link)
                if (same_tty(other, source) && source_has_open(other, id))
                        return true;
        return false;
}

/* What one terminal gets. */
struct paper {
        struct round *round;
        const struct source *source; /* one that writes to it */
        const struct grouping *grouping;
        const size_t *index; /* of the grouped entries in the round */
};

static size_t entry_of(const struct paper *paper, const struct console_node *node)
{
        return paper->index[paper->grouping->from[node->span - paper->grouping->spans]];
}

/* For console_write(). */
static bool hold_trace(void *ctx, const struct console_trace *trace)
{
        const struct paper *paper = ctx;
        struct round *round = paper->round;
        bool hold = false;

        for (const struct console_node *top = trace->top; top && !hold; top = top->next)
                hold = top->span->has_parent;
        hold = hold && is_open(round->printer, paper->source, trace->top->span->trace_id);
        for (size_t i = 0; hold && i < trace->count; i++)
                hold = round->now_ns - round->since_ns[entry_of(paper, &trace->nodes[i])] <
                       LIMIT_PRINT_HELD_NS;
        for (size_t i = 0; hold && i < trace->count; i++)
                round->keep[entry_of(paper, &trace->nodes[i])] = true;
        return hold;
}

/* A descriptor of the terminal that @source writes to. */
static int descriptor(const struct round *round, const struct source *source)
{
        const struct source *other;

        for (size_t i = 0; i < round->count; i++)
                if (same_tty(round->entries[i].source, source) && round->entries[i].source->tty_fd >= 0)
                        return round->entries[i].source->tty_fd;
        TAILQ_FOREACH (other, &round->printer->sources, tty_link)
                if (same_tty(other, source))
                        return other->tty_fd;
        return -1;
}

/* Did it take nothing when it was written to last? Then nobody waits for it now. */
static bool is_stuck(const struct round *round, const struct source *source)
{
        const struct source *other;

        TAILQ_FOREACH (other, &round->printer->sources, tty_link)
                if (same_tty(other, source) && other->tty_stuck)
                        return true;
        return source->tty_stuck;
}

static void remember_stuck(struct printer *printer, const struct source *source, bool stuck)
{
        struct source *other;

        TAILQ_FOREACH (other, &printer->sources, tty_link)
                if (same_tty(other, source))
                        other->tty_stuck = stuck;
}

/* All that goes to the terminal of the entry at @first. Return: false when out of memory. */
static bool print_at(struct round *round, size_t first)
{
        cleanup_free struct batch_entry *entries = calloc(round->count, sizeof(*entries));
        cleanup_free size_t *index = calloc(round->count, sizeof(*index));
        cleanup_grouping struct grouping grouping = {0};
        struct paper paper = {round, round->entries[first].source, &grouping, index};
        size_t count = 0;
        bool written;

        if (!entries || !index)
                return false;
        for (size_t i = first; i < round->count; i++) {
                if (!same_tty(round->entries[i].source, paper.source))
                        continue;
                entries[count] = round->entries[i];
                index[count++] = i;
        }
        if (!grouping_make(&grouping, entries, count))
                return false;
        written = console_write(descriptor(round, paper.source),
                                is_stuck(round, paper.source) ? 0 : LIMIT_CONSOLE_MS, grouping.groups,
                                grouping.count, round->when == PRINT_ALL ? NULL : hold_trace, &paper);
        for (size_t i = 0; i < count; i++) {
                entries[i].source->tty_stuck = !written;
                round->done[index[i]] = true;
                round->lost[index[i]] = !written;
        }
        remember_stuck(round->printer, paper.source, !written);
        return true;
}

static bool round_make(struct round *round, const struct batch_entry *entries, size_t count)
{
        const struct printer *printer = round->printer;
        size_t held = printer->held_count;

        round->count = held + count;
        if (round->when == PRINT_LATER || round->count > LIMIT_PRINT_HELD)
                round->when = PRINT_ALL; /* there is no room */
        round->entries = calloc(round->count, sizeof(*round->entries));
        round->since_ns = calloc(round->count, sizeof(*round->since_ns));
        round->keep = calloc(round->count, sizeof(*round->keep));
        round->done = calloc(round->count, sizeof(*round->done));
        round->lost = calloc(round->count, sizeof(*round->lost));
        if (!round->entries || !round->since_ns || !round->keep || !round->done || !round->lost)
                return false;
        for (size_t i = 0; i < held; i++) {
                round->entries[i] = printer->held[i].entry;
                round->since_ns[i] = printer->held[i].since_ns;
        }
        for (size_t i = 0; i < count; i++) {
                round->entries[held + i] = entries[i];
                round->since_ns[held + i] = round->now_ns;
        }
        return true;
}

static bool copy_text(struct arena *arena, struct slice *text)
{
        char *copy = arena_copy(arena, *text);

        if (!copy)
                return false;
        text->p = copy;
        return true;
}

/* The span's texts in @arena. Return: false when out of memory. */
static bool span_copy(struct arena *arena, struct out_span *span)
{
        struct out_attr *attrs = arena_alloc(arena, span->attr_count * sizeof(*attrs));

        if (!attrs || !copy_text(arena, &span->name) || !copy_text(arena, &span->tracestate))
                return false;
        for (unsigned i = 0; i < span->attr_count; i++) {
                attrs[i] = span->attrs[i];
                if (!copy_text(arena, &attrs[i].str))
                        return false;
        }
        span->attrs = attrs;
        return true;
}

static void let_go(struct source *source)
{
        if (--source->batch_refs == 0 && source->ended)
                source_free(source);
}

/* A dead process keeps its terminal open only where nobody else does. */
static void close_spare(const struct printer *printer, struct source *source)
{
        const struct source *other;

        if (!source->ended || source->tty_fd < 0)
                return;
        TAILQ_FOREACH (other, &printer->sources, tty_link) {
                if (!same_tty(other, source))
                        continue;
                (void)close(source->tty_fd); /* a terminal: nothing is lost */
                source->tty_fd = -1;
                return;
        }
}

static void forget(struct printer *printer)
{
        for (size_t i = 0; i < printer->held_count; i++)
                let_go(printer->held[i].entry.source);
        printer->held_count = 0;
        arena_done(&printer->arena);
}

/* Copies go into @arena, from the entry at @first on. Return: how many; the others are not kept any more. */
static size_t hold(struct round *round, size_t first, struct arena *arena, struct print_entry *held)
{
        size_t count = 0;

        for (size_t i = first; i < round->count; i++) {
                struct print_entry entry = {round->entries[i], round->since_ns[i]};

                if (!round->keep[i] || !held || !span_copy(arena, &entry.entry.span)) {
                        round->keep[i] = false;
                        continue;
                }
                held[count++] = entry;
                if (i >= round->printer->held_count)
                        entry.entry.source->batch_refs++;
        }
        return count;
}

/* What stays becomes what is held. What does not fit into memory is lost, and counted. */
static void keep(struct round *round)
{
        struct printer *printer = round->printer;
        struct print_entry *held = calloc(round->count, sizeof(*held));
        size_t printed = 0, lost = 0, count;
        struct arena arena = {.blocks = NULL};

        for (size_t i = 0; i < round->count; i++) {
                printed += !round->keep[i] && round->done[i] && !round->lost[i];
                lost += !round->keep[i] && round->lost[i];
        }
        count = hold(round, 0, &arena, held);
        for (size_t i = 0; i < printer->held_count; i++)
                if (!round->keep[i])
                        let_go(round->entries[i].source);
        for (size_t i = 0; i < count; i++)
                close_spare(printer, held[i].entry.source);
        meter_add(printer->meter, METER_PRINTED, printed);
        meter_add(printer->meter, METER_DROPPED_CONSOLE, lost);
        meter_add(printer->meter, METER_DROPPED_MEMORY, round->count - count - printed - lost);
        arena_done(&printer->arena);
        free(printer->held);
        printer->arena = arena;
        printer->held = held;
        printer->held_count = count;
}

/* Without looking at what is held already. Return: false when there is no room. */
static bool put_off(struct printer *printer, const struct batch_entry *entries, size_t count, uint64_t now_ns)
{
        struct print_entry *held;

        if (printer->held_count + count > LIMIT_PRINT_HELD)
                return false;
        held = reallocarray(printer->held, printer->held_count + count, sizeof(*held));
        if (!held)
                return false;
        printer->held = held;
        for (size_t i = 0; i < count; i++) {
                struct print_entry entry = {entries[i], now_ns};

                if (!span_copy(&printer->arena, &entry.entry.span)) {
                        meter_add(printer->meter, METER_DROPPED_MEMORY, 1);
                        continue;
                }
                entries[i].source->batch_refs++;
                held[printer->held_count++] = entry;
        }
        return true;
}

void printer_print(struct printer *printer, const struct batch_entry *entries, size_t count,
                   enum print_when when, uint64_t now_ns)
{
        cleanup_round struct round round = {.printer = printer, .now_ns = now_ns, .when = when};

        if ((!printer->held_count && !count) ||
            (when == PRINT_LATER && put_off(printer, entries, count, now_ns)))
                return;
        if (!round_make(&round, entries, count)) {
                meter_add(printer->meter, METER_DROPPED_MEMORY, round.count);
                forget(printer);
                return;
        }
        for (size_t i = 0; i < round.count; i++)
                if (!round.entries[i].source->has_tty)
                        round.done[i] = true; /* nobody would read it */
                else if (!round.done[i] && !print_at(&round, i))
                        break;
        keep(&round);
}

uint64_t printer_due(const struct printer *printer)
{
        uint64_t due = UINT64_MAX;

        for (size_t i = 0; i < printer->held_count; i++)
                due = MIN(due, printer->held[i].since_ns + LIMIT_PRINT_HELD_NS);
        return due;
}

void printer_done(struct printer *printer)
{
        printer_print(printer, NULL, 0, PRINT_ALL, 0);
        free(printer->held);
        printer->held = NULL;
}
