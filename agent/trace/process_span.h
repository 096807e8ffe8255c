/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The span of the process itself (OTEL_INSTRUMENT_PROCESS_SPAN): from its start to its end, above everything
 * that it does. One process, one span, also when exec puts one program after another into it: each
 * image tells the next through the environment.
 */
#include <stdbool.h>

#include "agent/trace/carry.h"

/**
 * process_span_start() - the span of this process begins, or goes on after exec
 * @handed: what the former image left in CARRY_PROCESS, or NULL
 * @environ_now: what the process was started with
 *
 * After scope_start(): the process's own context becomes this span's. Shown as open from here on.
 *
 * Context: start.
 */
void process_span_start(const char *handed, char *const *environ_now);

/* A forked child begins one of its own, below what its process context is by then. It is shown when something
 * depends on it: most children exec at once. Context: signal. */
void process_span_forked(void);

/* Is there one to be ended, by this process? Context: signal. */
bool process_span_runs(void);

/**
 * process_span_show() - something comes that refers to this span: should the process be killed, it must be
 * there
 *
 * Context: hook.
 */
void process_span_show(void);

/**
 * process_span_hand_on() - the program is about to be replaced
 * @envp: what the next image gets
 *
 * No longer shown by this image. An image that will not load us ends the span: it stays shown.
 *
 * Context: hook.
 * Return: the value of CARRY_PROCESS in @buf; empty: nothing to hand on.
 */
struct slice process_span_hand_on(char buf[CARRY_PROCESS_MAX], char *const *envp);

/* It was not replaced after all. Context: hook. */
void process_span_put_back(void);

/**
 * process_span_end() - the process ends with @status, as given to exit()
 *
 * The first time counts. Context: hook.
 */
void process_span_end(int status);

/**
 * process_span_child_ended() - a child was killed by @signal
 *
 * Said to the worker, who knows the child's span by its process id. Context: hook.
 */
void process_span_child_ended(int pid, int signal);
