/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A sink that writes down what the HTTP/1 parser says, with the stream's offsets: two ways of feeding
 * the same bytes are right when their logs are equal. Shared by the unit test and the fuzz target.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/proto/http1.h"

#define HTTP1_LOG_TEXT  (64 * 1024)
#define HTTP1_LOG_HEADS 256
#define HTTP1_LOG_ROOM  1024

struct http1_log {
        struct http1 parser;
        const char *answers; /* per response: 'H' to HEAD, 'C' to CONNECT; the last goes on */
        uint16_t text_max;
        bool offsets; /* written down as well */
        bool stop;    /* every event stops the feed */
        size_t base;  /* stream offset of the bytes that are being fed */
        bool wrong;   /* the feed consumed more than given, or less without having been stopped, or went on */
        unsigned begun;
        unsigned long events;
        size_t len;
        char text[HTTP1_LOG_TEXT];
        char room[HTTP1_LOG_HEADS][HTTP1_LOG_ROOM]; /* a text buffer per message */
};

/* What must be put back to rewind. */
struct http1_log_mark {
        struct http1 parser;
        size_t base, len;
        unsigned begun;
};

__attribute__((format(printf, 2, 3))) static inline void http1_log_add(struct http1_log *log,
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

static inline void http1_log_at(struct http1_log *log, const char *what, size_t at)
{
        log->events++;
        http1_log_add(log, "%s%s", log->len ? " " : "", what);
        if (log->offsets)
                http1_log_add(log, "@%zu", log->base + at);
}

static inline void http1_log_text(struct http1_log *log, const char *label, enum http1_text which)
{
        const struct http1_span *span = &log->parser.head.text[which];
        struct slice text = http1_text_get(&log->parser, which);

        if (span->present)
                http1_log_add(log, " %s%.*s", label, span->cut ? 3 : (int)text.len,
                              span->cut ? "CUT" : text.p);
}

static inline void http1_log_head(struct http1_log *log)
{
        static const char *const bodies[] = {"none", "length", "chunked", "until-close", "tunnel"};
        const struct http1_head *head = &log->parser.head;

        http1_log_text(log, "", HTTP1_METHOD);
        http1_log_text(log, "", HTTP1_TARGET);
        if (!head->request)
                http1_log_add(log, " %u", head->status);
        http1_log_add(log, " 1.%u", head->minor);
        http1_log_text(log, "host=", HTTP1_HOST);
        http1_log_text(log, "ua=", HTTP1_USER_AGENT);
        if (head->traceparent_count)
                http1_log_add(log, " tp%u", head->traceparent_count);
        if (log->offsets && head->traceparent.end)
                http1_log_add(log, " tp@%u-%u", head->traceparent.from, head->traceparent.end);
        http1_log_text(log, "tp=", HTTP1_TRACEPARENT);
        http1_log_text(log, "ts=", HTTP1_TRACESTATE);
        http1_log_text(log, "bag=", HTTP1_BAGGAGE);
        http1_log_text(log, "fwd=", HTTP1_FORWARDED);
        http1_log_text(log, "for=", HTTP1_X_FORWARDED_FOR);
        http1_log_text(log, "proto=", HTTP1_X_FORWARDED_PROTO);
        http1_log_text(log, "fhost=", HTTP1_X_FORWARDED_HOST);
        http1_log_add(log, "%s%s%s%s%s %s", head->keep_alive ? " keep" : " close", head->h2c ? " h2c" : "",
                      head->expect_continue ? " expect" : "", head->connect ? " connect" : "",
                      head->eol_lf ? " lf" : "", bodies[head->body]);
        if (head->body == HTTP1_BODY_LENGTH || head->content_length)
                http1_log_add(log, "=%llu", (unsigned long long)head->content_length);
}

static inline bool http1_log_begin(void *ctx, struct http1 *parser, size_t at, char **ret_text,
                                   uint16_t *ret_max, bool *ret_head_request, bool *ret_connect_request)
{
        struct http1_log *log = ctx;
        size_t answers = strlen(log->answers);
        char answer = !answers ? 'G' : log->answers[log->begun < answers ? log->begun : answers - 1];

        *ret_text = log->begun < HTTP1_LOG_HEADS ? memset(log->room[log->begun], '?', HTTP1_LOG_ROOM) : NULL;
        *ret_max = log->text_max < HTTP1_LOG_ROOM ? log->text_max : HTTP1_LOG_ROOM;
        *ret_head_request = answer == 'H';
        *ret_connect_request = answer == 'C';
        log->begun++;
        http1_log_at(log, "begin", at);
        return !log->stop;
}

static inline bool http1_log_blank(void *ctx, struct http1 *parser, size_t at)
{
        struct http1_log *log = ctx;

        http1_log_at(log, "blank", at);
        http1_log_head(log);
        return !log->stop;
}

static inline bool http1_log_on_head(void *ctx, struct http1 *parser, size_t at)
{
        http1_log_at(ctx, "head", at);
        return !((struct http1_log *)ctx)->stop;
}

static inline bool http1_log_end(void *ctx, struct http1 *parser, size_t at)
{
        http1_log_at(ctx, "end", at);
        return !((struct http1_log *)ctx)->stop;
}

static inline struct http1_sink http1_log_sink(struct http1_log *log)
{
        return (struct http1_sink){http1_log_begin, http1_log_blank, http1_log_on_head, http1_log_end, log};
}

static inline void http1_log_init(struct http1_log *log, enum http1_role role, const char *answers,
                                  uint16_t text_max)
{
        log->answers = answers;
        log->text_max = text_max;
        log->offsets = true;
        log->stop = false;
        log->base = log->len = 0;
        log->wrong = false;
        log->begun = 0;
        log->events = 0;
        log->text[0] = '\0';
        http1_init(&log->parser, role);
}

/* The next bytes of the stream, fed again after each stop. Return: false when (or once) lost. */
static inline bool http1_log_feed(struct http1_log *log, struct slice bytes)
{
        struct http1_sink sink = http1_log_sink(log);
        unsigned long before;

        if (log->parser.lost)
                return false;
        do {
                long used;

                before = log->events;
                used = http1_feed(&log->parser, bytes, &sink);
                if (used < 0) {
                        http1_log_add(log, " LOST");
                        return false;
                }
                if ((size_t)used > bytes.len || (!log->stop && (size_t)used != bytes.len))
                        log->wrong = true;
                if (log->stop && log->events > before + 1)
                        log->wrong = true;
                bytes = slice_from(bytes, (size_t)used);
                log->base += (size_t)used;
        } while (log->stop && log->events != before);
        return true;
}

static inline bool http1_log_skip(struct http1_log *log, uint64_t n)
{
        struct http1_sink sink = http1_log_sink(log);
        bool ok = http1_skip(&log->parser, n, &sink);

        log->base += n;
        if (!ok)
                http1_log_add(log, " LOST");
        return ok;
}

static inline void http1_log_eof(struct http1_log *log)
{
        struct http1_sink sink = http1_log_sink(log);
        bool complete = http1_eof(&log->parser, &sink);

        http1_log_add(log, "%s%s", log->len ? " " : "", complete ? "eof" : "cut-off");
}

static inline void http1_log_mark(const struct http1_log *log, struct http1_log_mark *ret_mark)
{
        *ret_mark = (struct http1_log_mark){log->parser, log->base, log->len, log->begun};
}

static inline void http1_log_rewind(struct http1_log *log, const struct http1_log_mark *mark)
{
        log->parser = mark->parser;
        log->base = mark->base;
        log->len = mark->len;
        log->begun = mark->begun;
        log->text[log->len] = '\0';
        /* Only what was written before the mark may be relied on. */
        if (log->parser.text)
                memset(log->parser.text + log->parser.text_used, '!',
                       log->parser.text_max - log->parser.text_used);
}
