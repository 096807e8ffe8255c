/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The W3C traceparent and tracestate values: parse and write (Trace Context Level 2, section 3). */
#include "agent/trace/context.h"

#define TRACEPARENT_LEN 55

/**
 * traceparent_parse() - read a traceparent value
 *
 * By the table of the standard: blanks around it are cut, upper case and zero ids are refused,
 * versions above 00 are read as far as they are known. Unknown flag bits are cleared.
 *
 * Context: signal.
 * Return: true and ids and flags in @ret_context (its tracestate is left empty).
 */
bool traceparent_parse(struct slice value, struct trace_context *ret_context);

/* Write 55 characters, no terminator, version 00. Context: signal. */
void traceparent_write(char out[TRACEPARENT_LEN], const struct trace_context *context);

/**
 * tracestate_check() - is this a tracestate that may be passed on?
 *
 * One invalid member, or more than 32, makes the whole value invalid.
 *
 * Context: signal.
 */
bool tracestate_check(struct slice value);

/**
 * tracestate_fit() - a valid tracestate in at most @size bytes
 * @value: one that tracestate_check() accepts
 * @buf:   @size bytes; used, and kept by the caller, where @value is longer
 *
 * Cuts whole members only: those longer than 128 bytes first, then from the right.
 *
 * Context: signal.
 * Return: @value itself where it fits, else what is left of it in @buf.
 */
struct slice tracestate_fit(struct slice value, char *buf, size_t size);
