/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int serve_listen(in_port_t port)
{
        struct sockaddr_in at = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
            bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1024) == 0)
                return fd;
        perror("listen");
        return -1;
}

struct peer *serve_peer(int fd)
{
        struct peer *peer = malloc(sizeof(*peer));

        if (peer) {
                peer->fd = fd;
                peer->have = 0;
                peer->bytes[0] = '\0';
        }
        return peer;
}

bool serve_send(int fd, const char *bytes, size_t len)
{
        for (size_t sent = 0; sent < len;) {
                ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);

                if (n < 0 && errno != EINTR)
                        return false;
                sent += n > 0 ? (size_t)n : 0;
        }
        return true;
}

const char *serve_field(const char *head, const char *name)
{
        const char *line = strstr(head, "\r\n");

        for (; line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
                if (strncasecmp(line + 2, name, strlen(name)) == 0)
                        return line + 2 + strlen(name) + strspn(line + 2 + strlen(name), " \t");
        return NULL;
}

static bool read_more(struct peer *peer)
{
        ssize_t n;

        do
                n = recv(peer->fd, peer->bytes + peer->have, SERVE_MAX - peer->have, 0);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return false;
        peer->have += (size_t)n;
        peer->bytes[peer->have] = '\0';
        return true;
}

bool serve_head(struct peer *peer, struct request *ret_request)
{
        const char *end, *length, *connection, *expect;
        int minor;

        while (!(end = strstr(peer->bytes, "\r\n\r\n")))
                if (!read_more(peer))
                        return false;
        if (sscanf(peer->bytes, "%15s %1023s HTTP/1.%d", ret_request->method, ret_request->target, &minor) !=
            3)
                return false;
        length = serve_field(peer->bytes, "Content-Length:");
        connection = serve_field(peer->bytes, "Connection:");
        expect = serve_field(peer->bytes, "Expect:");
        ret_request->head_len = (size_t)(end + 4 - peer->bytes);
        ret_request->body = peer->bytes + ret_request->head_len;
        ret_request->body_len = length ? strtoul(length, NULL, 10) : 0;
        ret_request->keep = connection ? strncasecmp(connection, "keep-alive", 10) == 0 : minor > 0;
        ret_request->expects = expect && strncasecmp(expect, "100-continue", 12) == 0;
        return ret_request->head_len + ret_request->body_len <= SERVE_MAX;
}

bool serve_body(struct peer *peer, struct request *request)
{
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

        if (request->expects && !serve_send(peer->fd, go_on, sizeof(go_on) - 1))
                return false;
        request->expects = false;
        while (peer->have < request->head_len + request->body_len)
                if (!read_more(peer))
                        return false;
        return true;
}

bool serve_answer(struct peer *peer, const struct request *request, int status, const char *body)
{
        char text[2048];
        size_t body_len = strcmp(request->method, "HEAD") == 0 ? 0 : strlen(body);
        int len = snprintf(text, sizeof(text),
                           "HTTP/1.1 %d Reason\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                           body[0] == '[' ? "application/json" : "text/plain", strlen(body),
                           request->keep ? "" : "Connection: close\r\n");

        if ((size_t)len + body_len > sizeof(text))
                return false;
        memcpy(text + len, body, body_len);
        return serve_send(peer->fd, text, (size_t)len + body_len);
}

void serve_next(struct peer *peer, const struct request *request)
{
        size_t len = request->head_len + request->body_len;

        peer->have -= len;
        memmove(peer->bytes, peer->bytes + len, peer->have + 1);
}
