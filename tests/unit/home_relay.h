/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of home: a traced program in the test's process, and its relay's socket in the test's own hand.
 */
#include <poll.h>
#include <setjmp.h>

#include "tests/unit/handed.h"
#include "tests/unit/home_host.h"

static unsigned strangers;  /* so many of the next connections are found to be with another user */
static sigjmp_buf *way_out; /* where a signal handler jumps to meanwhile */

/* In the place of relay_peer.c. */
bool relay_peer_trusted(int fd)
{
        if (way_out)
                siglongjmp(*way_out, 1);
        if (strangers == 0)
                return true;
        strangers--;
        return false;
}

/* The socket of the relay's name number @suffix. */
static inline int listen_as_relay(unsigned suffix)
{
        struct sockaddr_un name;
        socklen_t len = relay_name(suffix, &name);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, len), 0);
        ck_assert_int_eq(listen(fd, 10), 0);
        return fd;
}

struct client {
        int listener, fd, fds[2];
        unsigned fd_count;
        struct handover text;
        struct ring ring;
};

/* Everything is there already: whatever is not is missing. */
static inline struct client accept_client(int listener)
{
        struct client client = {.listener = listener, .fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)};
        int count;

        ck_assert_int_ge(client.fd, 0);
        count = handed_over(client.fd, &client.text, client.fds);
        ck_assert_int_ge(count, 1);
        client.fd_count = (unsigned)count;
        ck_assert_uint_eq(client.text.version, HANDOVER_VERSION);
        ck_assert_int_eq(ring_attach(&client.ring, client.fds[0]), 0);
        return client;
}

/* The usual begin: a host with @exporter that has written @count spans and handed its ring over to us. */
static inline struct client client_begin(const char *exporter, unsigned count)
{
        int listener;

        host_start(exporter, "auto", "name", "/");
        listener = listen_as_relay(0);
        host_write(count);
        return accept_client(listener);
}

static inline void client_end(struct client *client)
{
        ring_detach(&client->ring);
        close(client->fd);
        while (client->fd_count > 0)
                close(client->fds[--client->fd_count]);
}

/* Return: how many records there were. */
static inline unsigned drain(struct client *client)
{
        static char record[LIMIT_RECORD];
        unsigned count = 0;

        while (ring_pop(&client->ring, record, false, clock_mono_ns()))
                count++;
        return count;
}

/* The next byte from the client, 0 = none, -1 = it is gone. */
static inline int next_byte(const struct client *client)
{
        char byte;
        ssize_t n = recv(client->fd, &byte, 1, MSG_DONTWAIT);

        return n == 1 ? byte : n == 0 ? -1 : 0;
}

static inline bool nobody_connects(int listener)
{
        struct pollfd poll_fd = {.fd = listener, .events = POLLIN};

        return poll(&poll_fd, 1, 0) == 0;
}
