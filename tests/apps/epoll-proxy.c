/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll-proxy PORT UPSTREAM_PORT: a reverse proxy in one thread. HTTP/1.1 with clients that keep their
 * connections and pipeline, a pool of kept connections upstream, whole messages passed on with all
 * fields but those of the connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAX (4u << 20)
#define EVENTS      64
#define BAD_GATEWAY "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"

struct buffer {
        char *bytes;
        size_t len, room;
};

struct conn {
        int fd;
        bool client, dead, closing; /* closing: when all is written */
        bool used, waits;           /* upstream: has answered before; EPOLLOUT is asked for */
        struct buffer in, out;
        size_t message;    /* client: bytes of the request under way, 0 = none */
        struct conn *peer; /* whom the request under way is for, or by whom it is answered */
        struct conn *next; /* in the pool, or among the dead */
};

static int poll_fd;
static struct sockaddr_in upstream;
static struct conn *pool, *dead;

static struct conn *conn_of(int fd, bool client)
{
        struct epoll_event event = {.events = EPOLLIN};
        struct conn *conn = calloc(1, sizeof(*conn));

        if (!conn)
                exit(3);
        conn->fd = fd;
        conn->client = client;
        event.data.ptr = conn;
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                exit(3);
        return conn;
}

/* Its memory stays until the events at hand are worked off. */
static void end(struct conn *conn)
{
        if (conn->dead)
                return;
        for (struct conn **at = &pool; *at; at = &(*at)->next)
                if (*at == conn) {
                        *at = conn->next;
                        break;
                }
        close(conn->fd);
        conn->dead = true;
        conn->next = dead;
        dead = conn;
        if (conn->peer)
                conn->peer->peer = NULL;
        if (conn->peer && conn->client)
                end(conn->peer);
}

static void bury(void)
{
        while (dead) {
                struct conn *conn = dead;

                dead = conn->next;
                free(conn->in.bytes);
                free(conn->out.bytes);
                free(conn);
        }
}

/* --- messages --- */

static char *room_for(struct buffer *buffer, size_t more)
{
        if (buffer->room < buffer->len + more + 1) {
                buffer->room = 2 * (buffer->len + more + 1);
                buffer->bytes = realloc(buffer->bytes, buffer->room);
                if (!buffer->bytes)
                        exit(3);
        }
        return buffer->bytes + buffer->len;
}

static void put(struct buffer *buffer, const char *bytes, size_t len)
{
        memcpy(room_for(buffer, len), bytes, len);
        buffer->len += len;
        buffer->bytes[buffer->len] = '\0';
}

static void take(struct buffer *buffer, size_t len)
{
        buffer->len -= len;
        memmove(buffer->bytes, buffer->bytes + len, buffer->len + 1);
}

/* Bytes of the head with its blank line; 0 = not there yet. */
static size_t head_len(const struct buffer *buffer)
{
        const char *blank = buffer->len ? strstr(buffer->bytes, "\r\n\r\n") : NULL;

        return blank ? (size_t)(blank - buffer->bytes) + 4 : 0;
}

static bool is_field(const char *line, const char *name)
{
        return strncasecmp(line, name, strlen(name)) == 0;
}

/* What follows @name (with its colon) in the head, or NULL. */
static const char *field(const char *head, const char *name)
{
        for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r';
             line = strstr(line + 2, "\r\n"))
                if (is_field(line + 2, name))
                        return line + 2 + strlen(name) + strspn(line + 2 + strlen(name), " ");
        return NULL;
}

/* Bytes of the chunked body that begins at @body; 0 = not all there. */
static size_t chunks_len(const char *body, const char *end_of_bytes)
{
        const char *at = body;

        for (;;) {
                const char *line_end = strstr(at, "\r\n");
                unsigned long size = strtoul(at, NULL, 16);

                if (!line_end || size > MESSAGE_MAX || (size_t)(end_of_bytes - line_end) < size + 4)
                        return 0;
                if (size == 0) {
                        const char *last = strstr(line_end, "\r\n\r\n"); /* behind the trailers */

                        return last ? (size_t)(last + 4 - body) : 0;
                }
                at = line_end + 2 + size + 2;
        }
}

/* Bytes of the message at the front, 0 = not all there; *ret_endless: it ends with its connection. */
static size_t message_len(const struct buffer *buffer, bool response, bool to_head, bool *ret_endless)
{
        size_t head = head_len(buffer);
        const char *length, *coding;
        int status = head && response ? atoi(buffer->bytes + 9) : 0;
        size_t body = 0;

        *ret_endless = false;
        if (!head || to_head || status / 100 == 1 || status == 204 || status == 304)
                return head;
        length = field(buffer->bytes, "Content-Length:");
        coding = field(buffer->bytes, "Transfer-Encoding:");
        if (coding) {
                body = chunks_len(buffer->bytes + head, buffer->bytes + buffer->len);
                return body ? head + body : 0;
        }
        if (length)
                body = strtoul(length, NULL, 10);
        *ret_endless = response && !length;
        return !*ret_endless && buffer->len >= head + body ? head + body : 0;
}

/* The message without the fields of the connection it came on, and with @more of ours. */
static void pass_on(struct buffer *to, const char *message, size_t len, const char *more)
{
        const char *line = message;
        const char *blank = strstr(message, "\r\n\r\n") + 2;

        while (line < blank) {
                const char *next = strstr(line, "\r\n") + 2;

                if (!is_field(line, "Connection:") && !is_field(line, "Keep-Alive:"))
                        put(to, line, (size_t)(next - line));
                line = next;
        }
        put(to, more, strlen(more));
        put(to, blank, len - (size_t)(blank - message));
}

/* --- the two sides --- */

static void flush(struct conn *conn)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        ssize_t n = conn->out.len ? send(conn->fd, conn->out.bytes, conn->out.len, MSG_NOSIGNAL) : 0;

        if (n > 0)
                take(&conn->out, (size_t)n);
        if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
                end(conn);
                return;
        }
        if (conn->closing && !conn->out.len) {
                end(conn);
                return;
        }
        if (conn->waits == (conn->out.len != 0))
                return;
        conn->waits = conn->out.len != 0;
        event.events |= conn->waits ? EPOLLOUT : 0;
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

/* A connection of the pool, or one that is being opened. NULL: refused. */
static struct conn *server(bool fresh)
{
        struct conn *conn = fresh ? NULL : pool;
        int fd;

        if (conn) {
                pool = conn->next;
                conn->next = NULL;
                return conn;
        }
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return NULL;
        if (connect(fd, (struct sockaddr *)&upstream, sizeof(upstream)) < 0 && errno != EINPROGRESS) {
                close(fd);
                return NULL;
        }
        conn = conn_of(fd, false);
        conn->waits = true; /* until it stands */
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, fd, &(struct epoll_event){EPOLLIN | EPOLLOUT, {conn}});
        return conn;
}

static bool wants_close(const char *head)
{
        const char *connection = field(head, "Connection:");
        const char *version = strstr(head, " HTTP/1.");

        return (connection && strncasecmp(connection, "close", 5) == 0) || (version && version[8] == '0');
}

/* @endless: it says by its connection's end how long it is; the client's connection goes on. */
static void answer(struct conn *client, const char *message, size_t len, bool endless)
{
        char more[64] = "";

        client->closing |= wants_close(client->in.bytes);
        if (endless)
                snprintf(more, sizeof(more), "Content-Length: %zu\r\n",
                         len - (size_t)(strstr(message, "\r\n\r\n") + 4 - message));
        pass_on(&client->out, message, len, more);
        take(&client->in, client->message);
        client->message = 0;
}

/* Ask for the client's first request. */
static void ask(struct conn *client, bool fresh)
{
        struct conn *conn = server(fresh);

        if (!conn) {
                answer(client, BAD_GATEWAY, sizeof(BAD_GATEWAY) - 1, false);
                flush(client);
                return;
        }
        conn->peer = client;
        client->peer = conn;
        pass_on(&conn->out, client->in.bytes, client->message, "");
        if (!conn->waits)
                flush(conn);
}

static void next_request(struct conn *client)
{
        bool endless;

        while (!client->dead && !client->closing && !client->message) {
                client->message = message_len(&client->in, false, false, &endless);
                if (!client->message)
                        return;
                ask(client, false);
        }
}

/* @len bytes of a response, 0: none will come. */
static void answered(struct conn *conn, size_t len, bool endless, bool ended)
{
        struct conn *client = conn->peer;
        bool kept = !ended && !wants_close(conn->in.bytes);

        answer(client, len ? conn->in.bytes : BAD_GATEWAY, len ? len : sizeof(BAD_GATEWAY) - 1, endless);
        client->peer = conn->peer = NULL;
        if (kept) {
                take(&conn->in, len);
                conn->used = true;
                conn->next = pool;
                pool = conn;
        } else {
                end(conn);
        }
        flush(client);
        next_request(client);
}

static void response_arrives(struct conn *conn, bool ended)
{
        struct conn *client = conn->peer;
        bool endless;
        size_t len;

        if (!client) { /* idle: nothing is expected but its end */
                end(conn);
                return;
        }
        while ((len = message_len(&conn->in, true, is_field(client->in.bytes, "HEAD "), &endless)) &&
               conn->in.bytes[9] == '1')
                take(&conn->in, len);
        if (len && !ended) {
                answered(conn, len, false, false);
        } else if (ended && conn->used && !conn->in.len) { /* was closed before it was asked */
                client->peer = conn->peer = NULL;
                end(conn);
                ask(client, true);
        } else if (ended) {
                answered(conn, endless ? conn->in.len : len, endless, true);
        }
}

static void readable(struct conn *conn)
{
        ssize_t n = recv(conn->fd, room_for(&conn->in, 16384), 16384, 0);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n > 0) {
                conn->in.len += (size_t)n;
                conn->in.bytes[conn->in.len] = '\0';
        }
        if (conn->client && (n <= 0 || conn->in.len > MESSAGE_MAX))
                end(conn);
        else if (conn->client)
                next_request(conn);
        else
                response_arrives(conn, n <= 0 || conn->in.len > MESSAGE_MAX);
}

static void welcome(int listener)
{
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
                conn_of(fd, true);
}

static int listen_on(in_port_t port)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0)
                return -1;
        return fd;
}

int main(int argc, char **argv)
{
        int listener = argc == 3 ? listen_on((in_port_t)atoi(argv[1])) : -1;
        struct epoll_event events[EVENTS] = {{.events = EPOLLIN}};

        if (listener < 0) {
                fprintf(stderr, "usage: %s PORT UPSTREAM_PORT\n", argv[0]);
                return 2;
        }
        upstream = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[2]))};
        upstream.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        poll_fd = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, events); /* its pointer is NULL */
        for (;;) {
                int count = epoll_wait(poll_fd, events, EVENTS, -1);

                for (int i = 0; i < count; i++) {
                        struct conn *conn = events[i].data.ptr;

                        if (!conn)
                                welcome(listener);
                        else if (!conn->dead && events[i].events & EPOLLOUT)
                                flush(conn);
                        if (conn && !conn->dead && events[i].events & ~(unsigned)EPOLLOUT)
                                readable(conn);
                }
                bury();
        }
}
