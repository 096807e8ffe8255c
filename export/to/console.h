/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The console exporter: each trace of a batch as a tree with durations, made for reading, written to
 * the program's stderr. Colours only on a terminal (and not with NO_COLOR or TERM=dumb). UTF-8 always.
 * Nothing from the network reaches the terminal unescaped.
 */
#include "export/to/console_tree.h"

/* True when the trace is not to be printed now. */
typedef bool console_hold_fn(void *ctx, const struct console_trace *trace);

/**
 * console_write() - print the spans of some groups
 * @fd: where to; written completely or given up (a closed pipe, one that has not taken all after
 * @wait_ms); -1 writes nothing
 * @hold: asked for each trace; NULL holds none
 *
 * SIGPIPE is the caller's matter: ignored or blocked.
 *
 * Context: worker.
 * Return: false when not all was written.
 */
bool console_write(int fd, unsigned wait_ms, const struct encode_group *groups, size_t group_count,
                   console_hold_fn *hold, void *ctx);
