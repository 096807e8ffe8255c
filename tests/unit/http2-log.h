/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A sink that writes down what the HTTP/2 parser says: two ways of feeding the same bytes are right when
 * their logs are equal. Shared by the unit test and the fuzz target.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/proto/http2.h"

#define HTTP2_LOG_TEXT  (256 * 1024)
#define HTTP2_LOG_ROOM  LIMIT_HTTP_TEXT
#define HTTP2_LOG_HEADS 128

struct http2_log {
        struct http2 parser;
        struct http2_memory memory;
        uint16_t text_max;
        bool offsets; /* written down as well */
        bool stop;    /* every event stops the feed */
        bool wrong;   /* the feed consumed more than given, or less without having been stopped, or went on */
        size_t base;
        uint32_t table; /* put in force with an ACK; 0: none */
        unsigned long events;
        size_t len;
        char text[HTTP2_LOG_TEXT];
        unsigned begun;
        char room[HTTP2_LOG_HEADS][HTTP2_LOG_ROOM]; /* a text buffer per block, used in turn */
};

/* What must be put back to rewind. */
struct http2_log_mark {
        struct http2_undo undo;
        size_t base, len;
        unsigned begun;
};

__attribute__((format(printf, 2, 3))) static inline void http2_log_add(struct http2_log *log,
                                                                       const char *format, ...)
{
        size_t room = sizeof(log->text) - log->len;
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(log->text + log->len, room, format, args);
        va_end(args);
        if (n > 0)
                log->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Return: whether the feed goes on. */
static inline bool http2_log_at(struct http2_log *log, const char *what, size_t at)
{
        log->events++;
        http2_log_add(log, "%s%s", log->len ? " " : "", what);
        if (log->offsets)
                http2_log_add(log, "@%zu", log->base + at);
        return !log->stop;
}

static inline bool http2_log_begin(void *ctx, struct http2 *parser, size_t at, bool opens, char **ret_text,
                                   uint16_t *ret_max)
{
        struct http2_log *log = ctx;
        bool go_on = http2_log_at(log, opens ? "open" : "more", at);

        http2_log_add(log, "%u", parser->head.stream);
        *ret_text = log->room[log->begun++ % HTTP2_LOG_HEADS];
        *ret_max = log->text_max;
        return go_on;
}

static inline void http2_log_texts(struct http2_log *log)
{
        static const char *const labels[HTTP2_TEXTS] = {"method", "scheme", "auth",  "path",  "host",
                                                        "tp",     "ts",     "ua",    "bag",   "fwd",
                                                        "for",    "proto",  "fhost", "ctype", "te"};
        const struct http2_head *head = &log->parser.head;

        for (int i = 0; i < HTTP2_TEXTS; i++) {
                struct slice text = http2_text_get(&log->parser, (enum http2_text)i);

                if (head->text[i].present)
                        http2_log_add(log, " %s=%.*s", labels[i], head->text[i].cut ? 3 : (int)text.len,
                                      head->text[i].cut ? "CUT"
                                      : text.len        ? text.p
                                                        : "");
        }
}

static inline bool http2_log_head(void *ctx, struct http2 *parser, size_t at)
{
        static const char *const kinds[] = {"request", "response", "trailers", "promise"};
        struct http2_log *log = ctx;
        const struct http2_head *head = &parser->head;
        bool go_on = http2_log_at(log, kinds[head->kind], at);

        http2_log_add(log, "%u", head->stream);
        if (head->promised)
                http2_log_add(log, ">%u", head->promised);
        if (head->status)
                http2_log_add(log, " %u", head->status);
        http2_log_texts(log);
        if (head->traceparent_count > 1)
                http2_log_add(log, " tp*%u", head->traceparent_count);
        if (head->tracestate_count > 1)
                http2_log_add(log, " ts*%u", head->tracestate_count);
        if (head->grpc)
                http2_log_add(log, " grpc");
        if (head->grpc_status != HTTP2_NO_GRPC_STATUS)
                http2_log_add(log, " status=%d", head->grpc_status);
        if (head->grpc_message_len)
                http2_log_add(log, " message=%u", head->grpc_message_len);
        if (head->length_known)
                http2_log_add(log, " length=%llu", (unsigned long long)head->content_length);
        if (log->offsets)
                http2_log_add(log, " frame@%llu+%u/%x end@%llu", (unsigned long long)head->frame_at,
                              head->frame_len, head->frame_flags, (unsigned long long)head->block_end);
        return go_on;
}

static inline bool http2_log_end(void *ctx, struct http2 *parser, size_t at)
{
        bool go_on = http2_log_at(ctx, "end", at);

        http2_log_add(ctx, "%u", parser->stream);
        return go_on;
}

static inline bool http2_log_reset(void *ctx, struct http2 *parser, size_t at, uint32_t code)
{
        bool go_on = http2_log_at(ctx, "reset", at);

        http2_log_add(ctx, "%u=%u", parser->stream, code);
        return go_on;
}

static inline bool http2_log_goaway(void *ctx, struct http2 *parser, size_t at, uint32_t last, uint32_t code)
{
        bool go_on = http2_log_at(ctx, "goaway", at);

        http2_log_add(ctx, "%u=%u", last, code);
        return go_on;
}

static inline bool http2_log_settings_end(void *ctx, struct http2 *parser, size_t at)
{
        bool go_on = http2_log_at(ctx, "settings", at);

        if (parser->told_frame_max != HTTP2_FRAME_MIN || parser->told_table != HTTP2_TABLE_DEFAULT)
                http2_log_add(ctx, "=%u,%u", parser->told_frame_max, parser->told_table);
        return go_on;
}

static inline bool http2_log_data(void *ctx, struct http2 *parser, size_t at)
{
        bool go_on = http2_log_at(ctx, "data", at);

        http2_log_add(ctx, "%u", parser->stream);
        return go_on;
}

static inline bool http2_log_settings_ack(void *ctx, struct http2 *parser, size_t at)
{
        struct http2_log *log = ctx;

        if (log->table && !http2_limit_table(parser, log->table))
                log->wrong = true;
        return http2_log_at(log, "ack", at);
}

static inline struct http2_sink http2_log_sink(struct http2_log *log)
{
        return (struct http2_sink){http2_log_begin,        http2_log_head,         http2_log_data,
                                   http2_log_end,          http2_log_reset,        http2_log_goaway,
                                   http2_log_settings_end, http2_log_settings_ack, log};
}

static inline void http2_log_init(struct http2_log *log, enum http2_sender sender, uint16_t text_max)
{
        log->text_max = text_max < HTTP2_LOG_ROOM ? text_max : HTTP2_LOG_ROOM;
        log->offsets = true;
        log->stop = log->wrong = false;
        log->base = log->len = 0;
        log->begun = 0;
        log->table = 0;
        log->events = 0;
        log->text[0] = '\0';
        if (!http2_init(&log->parser, sender, &log->memory))
                log->wrong = true;
}

/* The next bytes of the stream, fed again after each stop. Return: false when (or once) lost. */
static inline bool http2_log_feed(struct http2_log *log, struct slice bytes)
{
        struct http2_sink sink = http2_log_sink(log);
        unsigned long before;

        if (log->parser.lost)
                return false;
        do {
                long used;

                before = log->events;
                used = http2_feed(&log->parser, bytes, &sink);
                if (used < 0) {
                        http2_log_add(log, " LOST");
                        return false;
                }
                if ((size_t)used > bytes.len || (!log->stop && (size_t)used != bytes.len))
                        log->wrong = true;
                if (log->stop && log->events > before + 1)
                        log->wrong = true;
                bytes = slice_from(bytes, (size_t)used);
                log->base += (size_t)used;
                if (log->parser.position != log->base)
                        log->wrong = true;
        } while (log->stop && log->events != before);
        return true;
}

/* @n bytes of a body go by unseen. */
static inline bool http2_log_skip(struct http2_log *log, uint64_t n)
{
        struct http2_sink sink = http2_log_sink(log);
        bool ok = http2_skip(&log->parser, n, &sink);

        log->base += n;
        if (!ok)
                http2_log_add(log, " LOST");
        return ok;
}

static inline void http2_log_eof(struct http2_log *log)
{
        http2_log_add(log, "%s%s", log->len ? " " : "", http2_busy(&log->parser) ? "busy" : "idle");
}

static inline void http2_log_mark(struct http2_log *log, struct http2_log_mark *mark)
{
        http2_mark(&log->parser, &mark->undo);
        mark->base = log->base;
        mark->len = log->len;
        mark->begun = log->begun;
}

static inline void http2_log_rewind(struct http2_log *log, struct http2_log_mark *mark)
{
        http2_rewind(&log->parser, &mark->undo);
        log->base = mark->base;
        log->len = mark->len;
        log->begun = mark->begun;
        log->text[log->len] = '\0';
        /* Only what was written before the mark may be relied on. */
        if (log->parser.text)
                memset(log->parser.text + log->parser.text_used, '!',
                       log->parser.text_max - log->parser.text_used);
}
