/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP/2 streams written as scripts, frames separated by '|'; header blocks are nghttp2's own deflater's.
 *
 *      PRI                    the preface
 *      H1e name=value;...     HEADERS of stream 1; flags: e END_STREAM, p padded by 5, r with a priority,
 * digits after a / that many frames in all (CONTINUATION); a name with ! is never indexed P2>4 name=value;...
 * PUSH_PROMISE on stream 2 of stream 4 D1e 100                100 bytes of DATA S 1=0,5=16384 SETTINGS; S
 * alone is empty A                      SETTINGS with ACK R1 8                   RST_STREAM with code 8 G 5 2
 * GOAWAY: last stream 5, code 2 T 100                  the deflater's table gets that size =
 * 000004060000000000   bytes in hex
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/proto/http2.h"

#define HTTP2_SCRIPT_FIELDS 4096
#define HTTP2_SCRIPT_PAD    5

struct http2_script {
        unsigned char *out;
        size_t len, room;
        nghttp2_hd_deflater *deflater;
        char text[400 * 1024]; /* a copy of the script, cut into strings */
        unsigned char block[300 * 1024];
        nghttp2_nv fields[HTTP2_SCRIPT_FIELDS];
};

static inline void http2_script_add(struct http2_script *script, const void *bytes, size_t len)
{
        if (len > script->room - script->len)
                abort();
        memcpy(script->out + script->len, bytes, len);
        script->len += len;
}

static inline void http2_script_frame(struct http2_script *script, const void *payload, size_t len, int type,
                                      int flags, uint32_t stream)
{
        char header[HTTP2_FRAME_HEADER_LEN];

        http2_write_header(header, (uint32_t)len, (enum http2_frame)type, (uint8_t)flags, stream);
        http2_script_add(script, header, sizeof(header));
        http2_script_add(script, payload, len);
}

static inline void http2_script_u32(unsigned char *out, uint32_t value)
{
        for (int i = 0; i < 4; i++)
                out[i] = (unsigned char)(value >> (24 - 8 * i));
}

static inline size_t http2_script_fields(struct http2_script *script, char *text)
{
        size_t count = 0;
        char *state = NULL;

        for (char *pair = strtok_r(text, ";", &state); pair; pair = strtok_r(NULL, ";", &state)) {
                char *value = strchr(pair, '=');
                nghttp2_nv *field = &script->fields[count++];

                *value++ = '\0';
                field->flags = *pair == '!' ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
                pair += *pair == '!';
                field->name = (uint8_t *)pair;
                field->namelen = strlen(pair);
                field->value = (uint8_t *)value;
                field->valuelen = strlen(value);
        }
        return count;
}

/* HEADERS or PUSH_PROMISE, and what continues it. */
static inline void http2_script_block(struct http2_script *script, char *item)
{
        static unsigned char payload[300 * 1024];
        bool promise = *item == 'P';
        char *end, *fields = strchr(item, ' ');
        uint32_t stream = (uint32_t)strtoul(item + 1, &end, 10);
        int flags = 0;
        unsigned long frames = 1;
        size_t at = 0, len, count;

        if (promise) {
                http2_script_u32(payload, (uint32_t)strtoul(end + 1, &end, 10));
                at = 4;
        }
        for (; *end && *end != ' ' && *end != '/'; end++)
                flags |= *end == 'e' ? HTTP2_END_STREAM : *end == 'p' ? HTTP2_PADDED : HTTP2_WITH_PRIORITY;
        if (*end == '/')
                frames = strtoul(end + 1, NULL, 10);
        count = fields ? http2_script_fields(script, fields + 1) : 0;
        len = (size_t)nghttp2_hd_deflate_hd(script->deflater, script->block, sizeof(script->block),
                                            script->fields, count);
        if (flags & HTTP2_PADDED) {
                memmove(payload + 1, payload, at);
                payload[0] = HTTP2_SCRIPT_PAD;
                at++;
        }
        if (flags & HTTP2_WITH_PRIORITY) {
                memcpy(payload + at, "\0\0\0\0\x10", 5);
                at += 5;
        }
        for (unsigned long i = 0; i < frames; i++) {
                size_t from = len * i / frames, piece = len * (i + 1) / frames - from;
                int type = i ? HTTP2_CONTINUATION : promise ? HTTP2_PUSH_PROMISE : HTTP2_HEADERS;

                memcpy(payload + at, script->block + from, piece);
                at += piece;
                if (i == 0 && flags & HTTP2_PADDED) {
                        memset(payload + at, 0, HTTP2_SCRIPT_PAD);
                        at += HTTP2_SCRIPT_PAD;
                }
                http2_script_frame(script, payload, at, type,
                                   (i ? 0 : flags) | (i + 1 == frames ? HTTP2_END_HEADERS : 0), stream);
                at = 0;
        }
}

static inline void http2_script_settings(struct http2_script *script, char *item)
{
        unsigned char payload[60];
        size_t len = 0;

        for (char *p = item + 1; *p; len += 6) {
                unsigned long id = strtoul(p + 1, &p, 10);

                payload[len] = 0;
                payload[len + 1] = (unsigned char)id;
                http2_script_u32(payload + len + 2, (uint32_t)strtoul(p + 1, &p, 10));
        }
        http2_script_frame(script, payload, len, HTTP2_SETTINGS, 0, 0);
}

static inline void http2_script_hex(struct http2_script *script, const char *hex)
{
        for (; hex[0] && hex[1]; hex += 2) {
                char digits[3] = {hex[0], hex[1], 0};
                unsigned char byte = (unsigned char)strtoul(digits, NULL, 16);

                http2_script_add(script, &byte, 1);
        }
}

static inline void http2_script_item(struct http2_script *script, char *item)
{
        static const unsigned char zeros[1 << 17];
        unsigned char payload[8];
        char *end;
        unsigned long first = strtoul(item + 1, &end, 10), second = strtoul(end + (*end == 'e'), NULL, 10);

        switch (*item) {
        case 'H':
                http2_script_block(script, item);
                break;
        case 'P':
                if (item[1] == 'R')
                        http2_script_add(script, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP2_PREFACE_LEN);
                else
                        http2_script_block(script, item);
                break;
        case 'D':
                http2_script_frame(script, zeros, second, HTTP2_DATA, *end == 'e', (uint32_t)first);
                break;
        case 'S':
                http2_script_settings(script, item);
                break;
        case 'A':
                http2_script_frame(script, "", 0, HTTP2_SETTINGS, HTTP2_ACK, 0);
                break;
        case 'R':
                http2_script_u32(payload, (uint32_t)second);
                http2_script_frame(script, payload, 4, HTTP2_RST_STREAM, 0, (uint32_t)first);
                break;
        case 'G':
                http2_script_u32(payload, (uint32_t)first);
                http2_script_u32(payload + 4, (uint32_t)second);
                http2_script_frame(script, payload, 8, HTTP2_GOAWAY, 0, 0);
                break;
        case 'T':
                nghttp2_hd_deflate_change_table_size(script->deflater, first);
                break;
        case '=':
                http2_script_hex(script, item + 2);
                break;
        default:
                abort();
        }
}

/* Return: bytes written to @out. */
static inline size_t http2_script(void *out, size_t room, const char *text)
{
        static struct http2_script script;
        char *state = NULL;

        script.out = out;
        script.room = room;
        script.len = 0;
        if (strlen(text) >= sizeof(script.text) || nghttp2_hd_deflate_new(&script.deflater, 65536))
                abort();
        nghttp2_hd_deflate_change_table_size(script.deflater, 4096);
        strcpy(script.text, text);
        for (char *item = strtok_r(script.text, "|", &state); item; item = strtok_r(NULL, "|", &state))
                http2_script_item(&script, item);
        nghttp2_hd_deflate_del(script.deflater);
        return script.len;
}
