/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The environment that a new program gets: the caller's own array, with the context of who starts it as
 * TRACEPARENT, TRACESTATE and BAGGAGE (OpenTelemetry's environment carrier). What the caller made itself
 * stays as it is; neither its array nor its strings are ever written.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/trace/context.h"

/* Where one program image tells the next in the same process of the process span that both share. */
#define CARRY_PROCESS     "OTEL_INSTRUMENT_PROCESS"
#define CARRY_PROCESS_MAX 128 /* bytes of its value */

struct carry {
        const struct trace_context *context; /* NULL: the caller's stays */
        struct slice baggage;
        const char *own_traceparent, *own_baggage; /* what this process itself was started with, or NULL */
        struct slice process;                      /* value of CARRY_PROCESS; empty: an old one is dropped */
};

/**
 * carry_room() - what carry_environ() needs for this environment
 * @envp: NULL is an empty one
 *
 * Context: signal.
 * Return: bytes; 0 when the array cannot be read, which is for the kernel to refuse.
 */
size_t carry_room(char *const *envp);

/**
 * carry_environ() - the environment to be passed on
 * @memory: carry_room(@envp) bytes, aligned for pointers; kept by the caller as long as the result
 *
 * A TRACEPARENT that is not the one of this process is the caller's choice and stays, with its TRACESTATE and
 * BAGGAGE; so does a BAGGAGE of its own. Otherwise all three are those of @carry. Of several TRACEPARENTs
 * one is left: programs differ in which of them they read.
 *
 * Context: signal.
 * Return: the new array in @memory, its other strings the caller's; @envp itself when nothing changes.
 */
char *const *carry_environ(void *memory, char *const *envp, const struct carry *carry);

/* The value of @name ("NAME=") in @envp, or NULL. Unreadable strings are passed over. Context: signal. */
const char *carry_value(char *const *envp, const char *name);
