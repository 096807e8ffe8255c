/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Waiting for descriptors: one epoll. Waiting and working are apart (export.h says why): loop_wait()
 * only fetches what is ready, loop_dispatch() calls back. A watch may be removed at any time, also
 * from within a callback and while an event for it has been fetched already. One thread.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "export/export.h"

#define LOOP_EVENTS 64

struct watch;

struct loop {
        int epfd;
        int event_count;
        bool broken;           /* the epoll descriptor is not ours any more: somebody closed it */
        struct watch *removed; /* freed when no fetched event can point at them any more */
        struct watch *watches; /* all that are not removed */
        struct epoll_event events[LOOP_EVENTS];
};

/* Return: 0 or -errno. Context: worker. */
int loop_init(struct loop *loop);
void loop_done(struct loop *loop); /* watches go with it; their descriptors stay the caller's */

/**
 * loop_add() - call @ready whenever @fd is ready for @events (level-triggered)
 *
 * Context: worker.
 * Return: 0 or -errno.
 */
int loop_add(struct loop *loop, int fd, uint32_t events, worker_ready_fn *ready, void *ctx,
             struct watch **ret_watch);
int loop_change(struct loop *loop, struct watch *watch, uint32_t events);

/* Before the descriptor is closed. NULL accepted. */
void loop_remove(struct loop *loop, struct watch *watch);

/* Context: worker; blocks up to @timeout_ms (-1: for ever) unless events wait for their dispatch. */
void loop_wait(struct loop *loop, int timeout_ms);
void loop_dispatch(struct loop *loop);
