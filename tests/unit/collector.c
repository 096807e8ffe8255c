/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/collector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "export/otlp.pb-c.h"
#include "tests/unit/unit.h"

#define CONNECTIONS_MAX 256
#define HEAD_MAX        8192

struct peer {
        struct collector *collector;
        pthread_t thread;
        int fd;
};

struct collector {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        pthread_t thread;
        int listen_fd;
        uint16_t port;
        const struct reply *plan;
        size_t plan_len;
        struct peer peers[CONNECTIONS_MAX];
        unsigned peer_count, requests, spans, taken;
        struct seen seen[COLLECTOR_SEEN_MAX];
};

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int listen_on(uint16_t *port)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(*port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        socklen_t len = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int on = 1;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        ck_assert_int_eq(listen(fd, 64), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        *port = ntohs(address.sin_port);
        return fd;
}

uint16_t collector_free_port(void)
{
        uint16_t port = 0;

        close(listen_on(&port));
        return port;
}

/* Return: length of the head with its blank line, 0 at the end of the connection. */
static size_t head_read(int fd, char *buf, size_t *ret_have)
{
        size_t have = *ret_have;

        for (;;) {
                char *end = memmem(buf, have, "\r\n\r\n", 4);
                ssize_t n;

                if (end)
                        return *ret_have = have, (size_t)(end - buf) + 4;
                n = have < HEAD_MAX ? read(fd, buf + have, HEAD_MAX - have) : 0;
                if (n <= 0)
                        return 0;
                have += (size_t)n;
        }
}

static size_t body_length(const char *head, size_t len)
{
        for (size_t i = 0; i + 16 < len; i++)
                if (strncasecmp(head + i, "\r\ncontent-length:", 17) == 0)
                        return strtoul(head + i + 17, NULL, 10);
        return 0;
}

static void count_spans(struct seen *seen, const uint8_t *body, size_t len)
{
        Opentelemetry__Proto__ExportTraceServiceRequest *request =
                opentelemetry__proto__export_trace_service_request__unpack(NULL, len, body);

        if (!request)
                return;
        seen->resources = (unsigned)request->n_resource_spans;
        for (size_t i = 0; i < request->n_resource_spans; i++)
                for (size_t j = 0; j < request->resource_spans[i]->n_scope_spans; j++)
                        seen->spans += (unsigned)request->resource_spans[i]->scope_spans[j]->n_spans;
        opentelemetry__proto__export_trace_service_request__free_unpacked(request, NULL);
}

static bool write_all(int fd, const void *bytes, size_t len)
{
        for (size_t at = 0; at < len;) {
                ssize_t n = send(fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);

                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

static bool reply_send(int fd, const struct reply *reply)
{
        static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
        static const char garbage[] = "SSH-2.0-OpenSSH_9.2\r\n\r\n";
        char head[512];
        int n = snprintf(
                head, sizeof(head),
                "HTTP/1.1 %d X\r\nContent-Type: application/x-protobuf\r\n%sContent-Length: %zu\r\n\r\n",
                reply->status, reply->fields ? reply->fields : "", reply->body_len);
        char dummy[64];

        switch (reply->kind) {
        case REPLY_HTTP:
                return write_all(fd, head, (size_t)n) && write_all(fd, reply->body, reply->body_len);
        case REPLY_HALF:
                (void)write_all(fd, half, strlen(half));
                return false;
        case REPLY_GARBAGE:
                (void)write_all(fd, garbage, strlen(garbage));
                return false;
        case REPLY_HUGE:
                n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n\r\n");
                while (write_all(fd, head, (size_t)n))
                        ;
                return false;
        case REPLY_NEVER:
                while (read(fd, dummy, sizeof(dummy)) > 0)
                        ;
                return false;
        case REPLY_CLOSE:
                return false;
        }
        return false;
}

/* One request and its answer. Return: false when the connection is over. */
static bool serve_one(struct peer *peer, char *buf, size_t *have)
{
        static const struct reply taken = {.kind = REPLY_HTTP, .status = 200};
        struct collector *collector = peer->collector;
        struct seen seen = {.resources = 0};
        const struct reply *reply = &taken;
        size_t head_len = head_read(peer->fd, buf, have);
        size_t body_len = body_length(buf, head_len);
        size_t rest = *have - head_len;
        uint8_t *body;
        unsigned index;

        if (!head_len)
                return false;
        body = malloc(body_len + 1);
        ck_assert_uint_le(rest, body_len);
        memcpy(body, buf + head_len, rest);
        while (rest < body_len) {
                ssize_t n = read(peer->fd, body + rest, body_len - rest);

                if (n <= 0)
                        break;
                rest += (size_t)n;
        }
        memcpy(seen.head, buf, head_len < sizeof(seen.head) ? head_len : sizeof(seen.head) - 1);
        seen.moment_ns = now_ns();
        count_spans(&seen, body, rest);
        free(body);
        *have = 0;

        pthread_mutex_lock(&collector->lock);
        index = collector->requests++;
        if (index < COLLECTOR_SEEN_MAX)
                collector->seen[index] = seen;
        if (index < collector->plan_len)
                reply = &collector->plan[index];
        collector->spans += seen.spans;
        if (reply->kind == REPLY_HTTP && reply->status == 200)
                collector->taken += seen.spans;
        pthread_cond_broadcast(&collector->changed);
        pthread_mutex_unlock(&collector->lock);
        return reply_send(peer->fd, reply);
}

static void *serve(void *arg)
{
        struct peer *peer = arg;
        char *buf = malloc(HEAD_MAX);
        size_t have = 0;

        while (serve_one(peer, buf, &have))
                ;
        free(buf);
        shutdown(peer->fd, SHUT_RDWR);
        return NULL;
}

static void *accept_all(void *arg)
{
        struct collector *collector = arg;
        int fd;

        while ((fd = accept4(collector->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                struct peer *peer;

                pthread_mutex_lock(&collector->lock);
                ck_assert_uint_lt(collector->peer_count, CONNECTIONS_MAX);
                peer = &collector->peers[collector->peer_count++];
                *peer = (struct peer){.collector = collector, .fd = fd};
                pthread_create(&peer->thread, NULL, serve, peer);
                pthread_mutex_unlock(&collector->lock);
        }
        return NULL;
}

struct collector *collector_start(uint16_t port, const struct reply *plan, size_t plan_len)
{
        struct collector *collector = calloc(1, sizeof(*collector));
        pthread_condattr_t attr;

        ck_assert_ptr_nonnull(collector);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&collector->lock, NULL);
        pthread_cond_init(&collector->changed, &attr);
        collector->plan = plan;
        collector->plan_len = plan_len;
        collector->port = port;
        collector->listen_fd = listen_on(&collector->port);
        ck_assert_int_eq(pthread_create(&collector->thread, NULL, accept_all, collector), 0);
        return collector;
}

void collector_stop(struct collector *collector)
{
        shutdown(collector->listen_fd, SHUT_RDWR);
        pthread_join(collector->thread, NULL);
        close(collector->listen_fd);
        for (unsigned i = 0; i < collector->peer_count; i++) {
                shutdown(collector->peers[i].fd, SHUT_RDWR);
                pthread_join(collector->peers[i].thread, NULL);
                close(collector->peers[i].fd);
        }
        free(collector);
}

uint16_t collector_port(const struct collector *collector)
{
        return collector->port;
}

#define LOCKED(member)                                                    \
        ({                                                                \
                pthread_mutex_lock(&collector->lock);                     \
                __typeof__(collector->member) value_ = collector->member; \
                pthread_mutex_unlock(&collector->lock);                   \
                value_;                                                   \
        })

unsigned collector_requests(struct collector *collector)
{
        return LOCKED(requests);
}

unsigned collector_spans(struct collector *collector)
{
        return LOCKED(spans);
}

unsigned collector_taken(struct collector *collector)
{
        return LOCKED(taken);
}

unsigned collector_connections(struct collector *collector)
{
        return LOCKED(peer_count);
}

struct seen collector_seen(struct collector *collector, unsigned index)
{
        ck_assert_uint_lt(index, collector_requests(collector));
        return LOCKED(seen[index]);
}

bool collector_wait(struct collector *collector, unsigned spans, unsigned timeout_ms)
{
        uint64_t end = now_ns() + timeout_ms * 1000000ull;
        struct timespec until = {(time_t)(end / 1000000000), (long)(end % 1000000000)};
        bool enough;
        int error = 0;

        pthread_mutex_lock(&collector->lock);
        while (collector->taken < spans && error != ETIMEDOUT)
                error = pthread_cond_timedwait(&collector->changed, &collector->lock, &until);
        enough = collector->taken >= spans;
        pthread_mutex_unlock(&collector->lock);
        return enough;
}
