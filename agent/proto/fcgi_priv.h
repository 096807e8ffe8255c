/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the FastCGI parser share; nobody else includes it.
 *
 * fcgi.c drives and knows the records, fcgi_params.c reads and writes name-value pairs, fcgi_reply.c
 * reads the CGI head of a response. A step takes what it can of the bytes and returns; whatever a later
 * byte may need is in the parser (or the reply), so that any split gives the same.
 */
#include "agent/proto/fcgi.h"

#define FCGI_VERSION 1

enum fcgi_type {
        FCGI_BEGIN_REQUEST = 1,
        FCGI_ABORT_REQUEST,
        FCGI_END_REQUEST,
        FCGI_PARAMS,
        FCGI_STDIN,
        FCGI_STDOUT,
        FCGI_STDERR,
        FCGI_DATA,
        FCGI_GET_VALUES,
        FCGI_GET_VALUES_RESULT,
        FCGI_UNKNOWN_TYPE,
        FCGI_TYPES
};

/* One call of fcgi_feed(). */
struct fcgi_cursor {
        struct fcgi *parser;
        const struct fcgi_sink *sink;
        struct fcgi_reply *reply; /* the current record's, once it was asked for */
        const char *base;
        size_t at; /* next byte */
        size_t len;
        bool stop; /* the sink said so */
};

/* What is there of the current record's content. */
static inline struct slice fcgi_content(const struct fcgi_cursor *cursor)
{
        size_t n = cursor->len - cursor->at;

        if (n > cursor->parser->content_left)
                n = cursor->parser->content_left;
        return slice_make(cursor->base + cursor->at, n);
}

/* @n bytes of content are done. */
static inline void fcgi_take(struct fcgi_cursor *cursor, size_t n)
{
        cursor->at += n;
        cursor->parser->content_left = (uint16_t)(cursor->parser->content_left - n);
}

/* Take the content there is as pairs. Return: false when the parser is lost. */
bool fcgi_params_take(struct fcgi_cursor *cursor);

/* The parameters are complete: what is missing and can be had from others is put together. Return: false when
 * they end within a pair. */
bool fcgi_params_close(struct fcgi *parser);

/* Read on in the head. Return: bytes that belong to it: all of them unless it is done. */
size_t fcgi_reply_read(struct fcgi_reply *reply, struct slice bytes);
