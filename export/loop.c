/* SPDX-License-Identifier: Apache-2.0 */
#include "export/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct watch {
        struct watch *next, *prev;
        worker_ready_fn *ready; /* NULL once removed */
        void *ctx;
        int fd;
};

int loop_init(struct loop *loop)
{
        *loop = (struct loop){.epfd = epoll_create1(EPOLL_CLOEXEC)};
        return loop->epfd >= 0 ? 0 : -errno;
}

static void watches_free(struct watch **list)
{
        while (*list) {
                struct watch *watch = *list;

                *list = watch->next;
                free(watch);
        }
}

void loop_done(struct loop *loop)
{
        watches_free(&loop->watches);
        watches_free(&loop->removed);
        if (loop->epfd >= 0)
                (void)close(loop->epfd); /* nothing to be done about it */
        loop->epfd = -1;
}

int loop_add(struct loop *loop, int fd, uint32_t events, worker_ready_fn *ready, void *ctx,
             struct watch **ret_watch)
{
        struct watch *watch = malloc(sizeof(*watch));
        struct epoll_event event = {.events = events, .data.ptr = watch};

        if (!watch)
                return -ENOMEM;
        if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &event) < 0) {
                int error = errno;

                free(watch);
                return -error;
        }
        *watch = (struct watch){.next = loop->watches, .ready = ready, .ctx = ctx, .fd = fd};
        if (watch->next)
                watch->next->prev = watch;
        loop->watches = watch;
        *ret_watch = watch;
        return 0;
}

int loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = watch};

        return epoll_ctl(loop->epfd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_remove(struct loop *loop, struct watch *watch)
{
        if (!watch)
                return;
        (void)epoll_ctl(loop->epfd, EPOLL_CTL_DEL, watch->fd, NULL); /* fails only where it is gone already */
        if (watch->next)
                watch->next->prev = watch->prev;
        if (watch->prev)
                watch->prev->next = watch->next;
        else
                loop->watches = watch->next;
        watch->ready = NULL;
        watch->next = loop->removed;
        loop->removed = watch;
}

void loop_wait(struct loop *loop, int timeout_ms)
{
        int n;

        if (loop->event_count)
                return;
        n = epoll_wait(loop->epfd, loop->events, LOOP_EVENTS, timeout_ms);
        if (n < 0 && errno != EINTR)
                loop->broken = true;
        loop->event_count = n > 0 ? n : 0;
}

void loop_dispatch(struct loop *loop)
{
        for (int i = 0; i < loop->event_count; i++) {
                struct watch *watch = loop->events[i].data.ptr;

                if (watch->ready)
                        watch->ready(watch->ctx, loop->events[i].events);
        }
        loop->event_count = 0;
        watches_free(&loop->removed);
}
