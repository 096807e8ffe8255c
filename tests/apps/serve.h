/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the small servers of the end-to-end tests share: a listener on loopback, and blocking HTTP/1
 * requests with Content-Length, kept alive and pipelined.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define SERVE_MAX (128 * 1024) /* bytes of one request */

/* A client. A pipeline's next requests wait in @bytes. */
struct peer {
        int fd;
        size_t have;
        char bytes[SERVE_MAX + 1];
};

/* Borrowed from the peer until serve_next(). */
struct request {
        char method[16], target[1024];
        const char *body;
        size_t head_len, body_len;
        bool keep, expects; /* is the connection kept; does the client wait for 100 Continue */
};

/* Return: a listening socket on loopback, or -1. */
int serve_listen(in_port_t port);

/* Return: a peer to be freed by free(), or NULL. */
struct peer *serve_peer(int fd);

/* Reads a request's head, or its body as well. Return: false when there is none (any more). */
bool serve_head(struct peer *peer, struct request *ret_request);
bool serve_body(struct peer *peer, struct request *request);

/* A response with Content-Length, its body left out for HEAD. Return: true when all was sent. */
bool serve_answer(struct peer *peer, const struct request *request, int status, const char *body);

/* Takes the request off, so that the next one can be read. */
void serve_next(struct peer *peer, const struct request *request);

/* Writes everything. */
bool serve_send(int fd, const char *bytes, size_t len);

/* Value of the first field called @name (with its colon) in the head at @head, or NULL; ends with its line.
 */
const char *serve_field(const char *head, const char *name);
