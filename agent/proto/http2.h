/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/2 (RFC 9113), incremental, one direction per parser: what the client sends, or what the server does.
 *
 * Frames are followed one by one; header blocks go through nghttp2's HPACK inflater as they come and are
 * never kept. All that the inflater allocates lies in one piece of memory, which whoever uses the parser
 * lends it: so http2_mark() can take a snapshot of parser and inflater, and http2_rewind() put both back (the
 * same bytes fed again land in the same places).
 *
 * Texts of interest are captured into a buffer that the sink supplies per header block. Flow control,
 * priorities and frames of unknown types pass by. Everything that a peer would end the connection for is
 * lost: wrong lengths, frames on the wrong stream, anything inside a header block, a block that does not
 * decode.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/limits.h"
#include "agent/base/slice.h"
#include "agent/proto/http1.h" /* spans, so that an exchange keeps the texts of both alike */
#include "agent/proto/proto.h"

#define HTTP2_PREFACE_LEN      24
#define HTTP2_PREFACE_SURE     4 /* bytes of it that no request of HTTP/1 begins with */
#define HTTP2_FRAME_HEADER_LEN 9
#define HTTP2_FLAGS_AT         4     /* in a frame header */
#define HTTP2_FRAME_MIN        16384 /* the least that SETTINGS_MAX_FRAME_SIZE can be, and what it begins with */
#define HTTP2_FRAME_MAX        16777215
#define HTTP2_TABLE_DEFAULT    4096 /* SETTINGS_HEADER_TABLE_SIZE before anybody says anything */

enum http2_sender { HTTP2_CLIENT, HTTP2_SERVER };

enum http2_frame {
        HTTP2_DATA,
        HTTP2_HEADERS,
        HTTP2_PRIORITY,
        HTTP2_RST_STREAM,
        HTTP2_SETTINGS,
        HTTP2_PUSH_PROMISE,
        HTTP2_PING,
        HTTP2_GOAWAY,
        HTTP2_WINDOW_UPDATE,
        HTTP2_CONTINUATION,
        HTTP2_FRAMES /* any other */
};

enum http2_flag {
        HTTP2_END_STREAM = 0x1,
        HTTP2_ACK = 0x1,
        HTTP2_END_HEADERS = 0x4,
        HTTP2_PADDED = 0x8,
        HTTP2_WITH_PRIORITY = 0x20
};

enum http2_setting { HTTP2_HEADER_TABLE_SIZE = 1, HTTP2_MAX_FRAME_SIZE = 5 };

#define HTTP2_UPGRADED 1 /* the stream that a request of HTTP/1 becomes */

/* What a client says of itself in the request that asks for HTTP/2. */
struct http2_hello {
        uint32_t frame_max, table;
};

/* Captured from a header block. Of several fields of one name the first; of tracestate, baggage, Forwarded
 * and X-Forwarded-For all, with ',' between them. */
enum http2_text {
        HTTP2_METHOD,
        HTTP2_SCHEME,
        HTTP2_AUTHORITY,
        HTTP2_PATH,
        HTTP2_HOST,
        HTTP2_TRACEPARENT,
        HTTP2_TRACESTATE,
        HTTP2_USER_AGENT,
        HTTP2_BAGGAGE,
        HTTP2_FORWARDED,
        HTTP2_X_FORWARDED_FOR,
        HTTP2_X_FORWARDED_PROTO,
        HTTP2_X_FORWARDED_HOST,
        HTTP2_CONTENT_TYPE,
        HTTP2_TE,
        HTTP2_TEXTS
};

enum http2_kind {
        HTTP2_REQUEST,  /* has a :method */
        HTTP2_RESPONSE, /* has a :status */
        HTTP2_TRAILERS, /* has neither */
        HTTP2_PROMISE   /* a request that the server makes up */
};

#define HTTP2_NO_GRPC_STATUS (-1)

/* Positions count the bytes of the direction from the first one on. */
/* A value that no table remembers, whole in its frame: others of the same length can take its place. */
struct http2_place {
        uint64_t from; /* 0: nowhere */
        uint8_t len;   /* as sent */
        bool coded;    /* by Huffman's code */
};

struct http2_head {
        uint32_t stream;
        uint32_t promised; /* HTTP2_PROMISE: the stream that will be */
        uint8_t kind;      /* enum http2_kind */
        bool end_stream;   /* nothing follows it on its stream */
        bool grpc;         /* its content-type says so */
        bool length_known;
        uint16_t status; /* HTTP2_RESPONSE */
        int32_t grpc_status;
        uint32_t grpc_message_len;
        uint64_t content_length;
        uint16_t traceparent_count, tracestate_count;
        struct http2_place traceparent; /* of the first one */
        /* The last frame of the block: where it begins, its header's length and flags, and where in it the
         * block ends (padding may follow). */
        uint64_t begin_at; /* the first frame of the block */
        uint64_t frame_at, block_end;
        uint32_t frame_len;
        uint8_t frame_flags;
        struct http1_span text[HTTP2_TEXTS]; /* cut: has no room, or holds control characters */
};

struct http2_memory;
struct http2_sink;
struct http2_undo;

struct http2 {
        uint8_t sender; /* enum http2_sender */
        uint8_t state;  /* private */
        bool lost;
        bool settled;          /* the first SETTINGS frame was seen */
        uint64_t position;     /* of the first byte of the bytes being fed; between feeds: of the next byte */
        uint32_t frame_max;    /* longest payload that the other side takes; its SETTINGS change it */
        uint32_t client_last;  /* highest stream that the client has opened */
        uint32_t promise_last; /* highest stream that the server has promised */
        /* What this side has said of what the other may send: its last settings, and how many frames of them.
         */
        uint32_t told_frame_max, told_table;
        uint32_t told_count;
        uint32_t ack_count; /* settings of the other side that are in force */
        uint32_t table_max; /* see http2_limit_table() */

        /* The current frame; private, but for type and stream. */
        uint8_t type, flags;
        uint8_t have, want; /* bytes of fixed[] */
        uint8_t fixed[HTTP2_PREFACE_LEN];
        uint32_t stream;
        uint32_t len, left; /* of its payload */
        uint64_t frame_at;

        /* The header block; private. */
        bool block_open;  /* only CONTINUATION may come */
        bool block_opens; /* a stream, as the client's requests do */
        uint8_t pad;
        uint32_t block_left; /* of this frame */
        uint32_t block_len;  /* bytes of it so far, as sent ... */
        uint32_t list_len;   /* ... and decoded (RFC 9113 section 10.5.1) */
        bool field_begun;    /* the bytes before were the first ones of a field, ... */
        uint8_t field_first; /* ... and the very first one */
        uint64_t bytes_end;  /* where the block's bytes end that are being decoded */
        uint16_t text_used, text_max;
        char *text; /* the block's buffer, from the sink; NULL: capture nothing */
        struct http2_head head;
        const struct http2_sink *sink; /* of the call under way */

        struct http2_memory *memory;
        struct http2_undo *undo; /* where the memory goes before it changes; NULL: nowhere */
};

/*
 * Calls back in stream order. @at is the offset, in the slice being fed, of the byte after the event's last
 * byte. Return false to stop. A NULL member is not called.
 */
struct http2_sink {
        /* A header block begins, on parser->head.stream: of a request (@opens) or of anything else. Give it a
         * text buffer (or leave *ret_max 0). */
        bool (*begin)(void *ctx, struct http2 *parser, size_t at, bool opens, char **ret_text,
                      uint16_t *ret_max);
        /* The header block is complete: parser->head. */
        bool (*head)(void *ctx, struct http2 *parser, size_t at);
        /* A DATA frame of parser->stream begins. */
        bool (*data)(void *ctx, struct http2 *parser, size_t at);
        /* The sender is done with parser->stream. */
        bool (*end)(void *ctx, struct http2 *parser, size_t at);
        bool (*reset)(void *ctx, struct http2 *parser, size_t at, uint32_t code);
        /* Streams above @last were not and will not be worked on. */
        bool (*goaway)(void *ctx, struct http2 *parser, size_t at, uint32_t last, uint32_t code);
        /* A SETTINGS frame is complete: parser->told_... */
        bool (*settings_end)(void *ctx, struct http2 *parser, size_t at);
        /* The other side's settings are in force from here on. */
        bool (*settings_ack)(void *ctx, struct http2 *parser, size_t at);
        void *ctx;
        /* The text buffer has no room for @need bytes in all: as http1_sink.grow. */
        bool (*grow)(void *ctx, struct http2 *parser, size_t need);
};

/* Memory of one inflater; lent to a parser from http2_init() on. */
struct http2_memory {
        uint32_t used; /* private, as all below: bytes of room[] up to the last one in use */
        uint32_t free_first[64];
        void *inflater;
        void *functions[5];
        unsigned char room[LIMIT_HTTP2_MEMORY] __attribute__((aligned(64)));
};

/* What a rewind needs. The memory is copied only where the inflater is about to change it. */
struct http2_undo {
        bool saved;
        struct http2 parser;
        struct http2_memory memory;
};

/* Context: signal (all of these). */

/**
 * http2_init() - a direction before its first byte
 * @memory: stays the caller's, who keeps it as long as the parser
 *
 * A client's direction begins with the preface. Return: false when @memory is not enough.
 */
bool http2_init(struct http2 *parser, enum http2_sender sender, struct http2_memory *memory);

/* Can these be the first bytes of a client, or of a server (who may be the first to speak)? */
enum proto_guess http2_guess(struct slice first, enum http2_sender sender);

/**
 * http2_feed() - the next bytes of the direction
 *
 * Lost, beyond what is said above: blocks over LIMIT_HTTP_HEAD, decoded ones over LIMIT_HTTP2_LIST, and those
 * for which the memory is not enough.
 *
 * Return: bytes consumed, or PROTO_LOST. After a sink callback returned false: the bytes consumed up to that
 * event (feed again with the rest, even if it is empty: an end that follows a head is told then).
 */
long http2_feed(struct http2 *parser, struct slice bytes, const struct http2_sink *sink);

/* @n bytes went by unseen. Return: true when they lie inside what http2_body_left() says, false: lost. */
bool http2_skip(struct http2 *parser, uint64_t n, const struct http2_sink *sink);

/* Bytes of the current DATA frame that can pass without the parser. */
uint64_t http2_body_left(const struct http2 *parser);

/* True in mid-frame and inside a header block. */
bool http2_busy(const struct http2 *parser);

/* The other side's SETTINGS_HEADER_TABLE_SIZE is in force; between header blocks only. Return: false: lost.
 */
bool http2_limit_table(struct http2 *parser, uint32_t size);

/**
 * http2_hello_read() - the value of a HTTP2-Settings field (RFC 7540 section 3.2.1)
 *
 * Return: false when it is none.
 */
bool http2_hello_read(struct slice value, struct http2_hello *ret_hello);

/* The connection was one of HTTP/1 (RFC 7540 section 3.2): a new parser begins with what the client has said.
 * Return: false: lost. */
bool http2_go_on(struct http2 *parser, const struct http2_hello *hello);

/* From here on the parser can be put back to where it is now. One mark at a time; http2_unmark() ends it. */
void http2_mark(struct http2 *parser, struct http2_undo *undo);
void http2_rewind(struct http2 *parser, struct http2_undo *undo);
void http2_unmark(struct http2 *parser);

#define HTTP2_FIELD_EXTRA 7 /* most that an HPACK literal of ours adds to name and value */

/**
 * http2_write_field() - a field as an HPACK literal without indexing (no table changes), neither part Huffman
 * coded
 *
 * Return: bytes written to @out; 0 when @room is not enough for the most that it could be.
 */
size_t http2_write_field(char *out, size_t room, struct slice name, struct slice value);

/**
 * http2_write_value() - a context's value, to take the place of one of the same length
 * @coded: by Huffman's code
 *
 * Return: bytes written to @out (no more than @value has); 0: it has other characters than contexts have.
 */
size_t http2_write_value(char *out, struct slice value, bool coded);

/* A hexadecimal digit in place of another one, whose code is the shortest (or the longest) of those. */
uint8_t http2_other_digit(uint8_t digit, bool shortest);

/* The length of a frame, which its header begins with; and a whole header. */
void http2_write_len(char out[3], uint32_t len);
void http2_write_header(char out[HTTP2_FRAME_HEADER_LEN], uint32_t len, enum http2_frame type, uint8_t flags,
                        uint32_t stream);

/* A captured text, or an empty slice when absent or cut. */
static inline struct slice http2_text_get(const struct http2 *parser, enum http2_text which)
{
        const struct http1_span *span = &parser->head.text[which];

        if (!parser->text || !span->present || span->cut)
                return SLICE_NULL;
        return slice_make(parser->text + span->at, span->len);
}
