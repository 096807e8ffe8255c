/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The open server requests of the process, and the questions of the kind "exactly one" about them. Part
 * of agent/trace/cause, used by nobody else.
 *
 * Lock-free. Each question is answered by a cell, one word with the count and the xor of the numbers of
 * the requests that fall into it: with a count of one the xor is the request. Cells are shared by keys
 * with the same hash; where that leaves a target or context in doubt, all requests are looked at. A request
 * found is always compared with what was asked for. All functions: Context: signal, any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/trace/cause.h"

/* Return: the request's number; CAUSE_UNKNOWN when there is no room: to be removed all the same, and until
 * then nothing is "exactly one". */
uint64_t cause_table_add(uint32_t thread, const struct cause_arrival *arrival);
void cause_table_remove(uint64_t request);
bool cause_table_has(uint64_t request);
/* See cause_context(). */
bool cause_table_copy(uint64_t request, char *tracestate, char *baggage, struct cause_arrival *ret_arrival);
bool cause_table_copy_into(uint64_t request, struct room *room, struct cause_arrival *ret_arrival);
/* The request was passed on: cause_table_by_target() does not find it any more. */
void cause_table_pass_on(uint64_t request);
/* Something is written for it. Return: true for the first time, and when it was not passed on before. */
bool cause_table_begin(uint64_t request);

/* The only one that is open, that this thread opened, that wants this, that came in (or was marked) with this
 * context. CAUSE_NONE: there is none; CAUSE_UNKNOWN: there are several, or there may be. */
uint64_t cause_table_only(void);
uint64_t cause_table_by_thread(uint32_t thread);
uint64_t cause_table_by_target(struct slice method, struct slice target);
uint64_t cause_table_by_ids(const struct trace_context *context);

/* In a forked child: none is open. */
void cause_table_clear(void);
