/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The relay's clients: traced processes that connect to the listening socket and hand over their
 * rings (agent/ring/handover.h). Peers are checked by the kernel's word on who they are; their
 * messages are hostile until proven otherwise; their number and patience are bounded. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "export/export.h"

struct clients;

/**
 * clients_new() - begin to accept
 * @listen_fd: a listening SOCK_SEQPACKET socket, taken over also on failure
 *
 * Context: worker.
 * Return: NULL when out of memory or descriptors.
 */
struct clients *clients_new(struct worker *worker, int listen_fd);
struct clients *clients_free(struct clients *clients); /* NULL; before the worker; drains nothing */

/**
 * clients_close_door() - accept nobody any more without losing anyone
 *
 * Whoever has connected before this is still served; whoever tries later is refused by the kernel
 * and starts a relay of its own. May be called more than once.
 *
 * Context: worker.
 */
void clients_close_door(struct clients *clients);

/* When clients_step() is due, CLOCK_MONOTONIC ns; UINT64_MAX = not. */
uint64_t clients_due(const struct clients *clients);
void clients_step(struct clients *clients, uint64_t now_ns);

unsigned clients_count(const struct clients *clients);

/* CLOCK_MONOTONIC ns of the last moment with a client, or of clients_new(). */
uint64_t clients_last_ns(const struct clients *clients);
