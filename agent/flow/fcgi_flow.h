/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* FastCGI connections of either role: requests in, and answers both ways. The callers hold the direction. */
#include "agent/flow/conn.h"

/* What a request's parameters say, where an HTTP/1 head would say it. Context: signal. */
void fcgi_flow_texts(struct exchange *exchange, const struct fcgi_head *head);

/* Requests came in on a server's connection. Context: hook. */
void fcgi_flow_requests(struct conn *conn, int fd, struct slice bytes, uint64_t now_ns);
void fcgi_flow_requests_unseen(struct conn *conn, uint64_t n);

/* Answers came in (client) or went out (server). Context: hook. */
void fcgi_flow_answers(struct conn *conn, struct slice bytes, uint64_t now_ns);
void fcgi_flow_answers_unseen(struct conn *conn, uint64_t n);
