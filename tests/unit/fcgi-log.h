/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A sink that writes down what the FastCGI parser says, with the stream's positions: two ways of feeding
 * the same bytes are right when their logs are equal. Shared by the unit test and the fuzz target.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/proto/fcgi.h"

#define FCGI_LOG_TEXT    (64 * 1024)
#define FCGI_LOG_HEADS   128
#define FCGI_LOG_ROOM    2048
#define FCGI_LOG_REPLIES 8 /* responses to requests with smaller ids are read */

struct fcgi_log {
        struct fcgi parser;
        uint16_t text_max;
        bool offsets; /* written down as well */
        bool stop;    /* every event stops the feed */
        size_t base;  /* stream offset of the bytes that are being fed */
        bool wrong;   /* the feed consumed more than given, or less without having been stopped, or went on */
        unsigned begun;
        unsigned long events;
        size_t len;
        char text[FCGI_LOG_TEXT];
        struct fcgi_reply replies[FCGI_LOG_REPLIES];
        char room[FCGI_LOG_HEADS][FCGI_LOG_ROOM]; /* a text buffer per request */
};

/* What must be put back to rewind. */
struct fcgi_log_mark {
        struct fcgi parser;
        struct fcgi_reply replies[FCGI_LOG_REPLIES];
        size_t base, len;
        unsigned begun;
};

__attribute__((format(printf, 2, 3))) static inline void fcgi_log_add(struct fcgi_log *log,
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
static inline bool fcgi_log_at(struct fcgi_log *log, const char *what, uint16_t id, uint64_t position)
{
        log->events++;
        fcgi_log_add(log, "%s%s%u", log->len ? " " : "", what, id);
        if (log->offsets)
                fcgi_log_add(log, "@%llu", (unsigned long long)position);
        return !log->stop;
}

static inline void fcgi_log_place(struct fcgi_log *log, const char *label, const struct fcgi_place *place)
{
        if (log->offsets)
                fcgi_log_add(log, " %s@%llu%s", label, (unsigned long long)place->at,
                             place->whole ? "" : "-broken");
}

static inline void fcgi_log_texts(struct fcgi_log *log)
{
        static const char *const labels[FCGI_TEXTS] = {
                "method",  "uri",    "script", "info", "query", "name",  "port",
                "version", "scheme", "https",  "addr", "rport", "host",  "ua",
                "tp",      "ts",     "bag",    "fwd",  "for",   "proto", "fhost",
        };
        const struct fcgi_head *head = &log->parser.head;

        for (int i = 0; i < FCGI_TEXTS; i++) {
                struct slice text = fcgi_text_get(&log->parser, (enum fcgi_text)i);

                if (head->text[i].present)
                        fcgi_log_add(log, " %s=%.*s", labels[i], head->text[i].cut ? 3 : (int)text.len,
                                     head->text[i].cut ? "CUT"
                                     : text.len        ? text.p
                                                       : "");
        }
        fcgi_log_add(log, "%s", head->composed ? " composed" : "");
        if (head->traceparent_count > 1)
                fcgi_log_add(log, " tp*%u", head->traceparent_count);
        if (head->tracestate_count > 1)
                fcgi_log_add(log, " ts*%u", head->tracestate_count);
        if (head->text[FCGI_HTTP_TRACEPARENT].present)
                fcgi_log_place(log, "tp", &head->traceparent);
        if (head->text[FCGI_HTTP_TRACESTATE].present)
                fcgi_log_place(log, "ts", &head->tracestate);
}

static inline bool fcgi_log_begin(void *ctx, struct fcgi *parser, uint16_t id, size_t at, char **ret_text,
                                  uint16_t *ret_max)
{
        static const char *const roles[] = {"?", "responder", "authorizer", "filter"};
        struct fcgi_log *log = ctx;
        bool go_on = fcgi_log_at(log, "begin", id, log->base + at);

        fcgi_log_add(log, " %s%s", roles[parser->head.role], parser->head.keep_conn ? " keep" : "");
        *ret_text = log->begun < FCGI_LOG_HEADS ? memset(log->room[log->begun], '?', FCGI_LOG_ROOM) : NULL;
        *ret_max = log->text_max < FCGI_LOG_ROOM ? log->text_max : FCGI_LOG_ROOM;
        log->begun++;
        return go_on;
}

static inline bool fcgi_log_params_end(void *ctx, struct fcgi *parser, uint16_t id, uint64_t position)
{
        bool go_on = fcgi_log_at(ctx, "params", id, position);

        fcgi_log_texts(ctx);
        return go_on;
}

static inline bool fcgi_log_head(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        return fcgi_log_at(ctx, "head", id, ((struct fcgi_log *)ctx)->base + at);
}

static inline bool fcgi_log_end(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        return fcgi_log_at(ctx, "end", id, ((struct fcgi_log *)ctx)->base + at);
}

static inline bool fcgi_log_aborted(void *ctx, struct fcgi *parser, uint16_t id, size_t at)
{
        return fcgi_log_at(ctx, "aborted", id, ((struct fcgi_log *)ctx)->base + at);
}

static inline struct fcgi_reply *fcgi_log_reply(void *ctx, struct fcgi *parser, uint16_t id)
{
        struct fcgi_log *log = ctx;

        return id < FCGI_LOG_REPLIES ? &log->replies[id] : NULL;
}

static inline bool fcgi_log_status(void *ctx, struct fcgi *parser, uint16_t id, size_t at,
                                   const struct fcgi_reply *reply)
{
        struct fcgi_log *log = ctx;
        bool go_on = fcgi_log_at(log, "status", id, log->base + at);

        fcgi_log_add(log, "=%u", reply->status);
        if (!reply->done || reply != &log->replies[id])
                log->wrong = true;
        return go_on;
}

static inline bool fcgi_log_answered(void *ctx, struct fcgi *parser, uint16_t id, size_t at,
                                     uint32_t app_status, uint8_t outcome)
{
        struct fcgi_log *log = ctx;
        struct fcgi_reply *reply = fcgi_log_reply(ctx, parser, id);
        bool go_on = fcgi_log_at(log, "answered", id, log->base + at);

        fcgi_log_add(log, " app=%u outcome=%u", app_status, outcome);
        if (!reply)
                return go_on;
        if (!reply->done)
                fcgi_log_add(log, " headless");
        if (reply->stderr_len)
                fcgi_log_add(log, " stderr=%llu", (unsigned long long)reply->stderr_len);
        *reply = (struct fcgi_reply){0};
        return go_on;
}

static inline struct fcgi_sink fcgi_log_sink(struct fcgi_log *log)
{
        return (struct fcgi_sink){fcgi_log_begin,  fcgi_log_params_end, fcgi_log_head,
                                  fcgi_log_end,    fcgi_log_aborted,    fcgi_log_reply,
                                  fcgi_log_status, fcgi_log_answered,   log};
}

static inline void fcgi_log_init(struct fcgi_log *log, enum fcgi_side side, uint16_t text_max)
{
        log->text_max = text_max;
        log->offsets = true;
        log->stop = false;
        log->base = log->len = 0;
        log->wrong = false;
        log->begun = 0;
        log->events = 0;
        log->text[0] = '\0';
        memset(log->replies, 0, sizeof(log->replies));
        fcgi_init(&log->parser, side);
}

/* The next bytes of the stream, fed again after each stop. Return: false when (or once) lost. */
static inline bool fcgi_log_feed(struct fcgi_log *log, struct slice bytes)
{
        struct fcgi_sink sink = fcgi_log_sink(log);
        unsigned long before;

        if (log->parser.lost)
                return false;
        do {
                long used;

                before = log->events;
                used = fcgi_feed(&log->parser, bytes, &sink);
                if (used < 0) {
                        fcgi_log_add(log, " LOST");
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
static inline bool fcgi_log_skip(struct fcgi_log *log, uint64_t n)
{
        struct fcgi_sink sink = fcgi_log_sink(log);
        bool ok = fcgi_skip(&log->parser, n, &sink);

        log->base += n;
        if (!ok)
                fcgi_log_add(log, " LOST");
        return ok;
}

/* What is under way when the stream ends here. */
static inline void fcgi_log_eof(struct fcgi_log *log)
{
        fcgi_log_add(log, "%s%s", log->len ? " " : "", fcgi_busy(&log->parser) ? "busy" : "idle");
}

static inline void fcgi_log_mark(const struct fcgi_log *log, struct fcgi_log_mark *ret_mark)
{
        ret_mark->parser = log->parser;
        memcpy(ret_mark->replies, log->replies, sizeof(log->replies));
        ret_mark->base = log->base;
        ret_mark->len = log->len;
        ret_mark->begun = log->begun;
}

static inline void fcgi_log_rewind(struct fcgi_log *log, const struct fcgi_log_mark *mark)
{
        log->parser = mark->parser;
        memcpy(log->replies, mark->replies, sizeof(log->replies));
        log->base = mark->base;
        log->len = mark->len;
        log->begun = mark->begun;
        log->text[log->len] = '\0';
        /* Only what was written before the mark may be relied on. */
        if (log->parser.text)
                memset(log->parser.text + log->parser.text_used, '!',
                       log->parser.text_max - log->parser.text_used);
}
