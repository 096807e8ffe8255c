/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * FastCGI streams from a readable script: records, separated by '|', each
 *
 *      LETTER [ID] [+PADDING] [/SIZE] [ CONTENT]
 *
 *      B  BEGIN_REQUEST, content: the role's number, then 'k' to keep the connection
 *      P  PARAMS, content: NAME=value;NAME=value; a name after '~' has lengths of four bytes
 *      I  STDIN      D  DATA      A  ABORT_REQUEST      O  STDOUT      E  STDERR
 *      X  END_REQUEST, content: the outcome's number, then the application's status after ','
 *      G  GET_VALUES, content as of P      g  GET_VALUES_RESULT      u  UNKNOWN_TYPE, content: the type
 *      R  no record, content: bytes in hexadecimal
 *
 * With SIZE the content is cut into records of at most so many bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FCGI_SCRIPT_CONTENT 65536

struct fcgi_script {
        char *out;
        size_t room, len;
};

/* A stream that does not fit is a mistake of the test's. */
static inline void fcgi_script_put(struct fcgi_script *script, const void *bytes, size_t len)
{
        if (len > script->room - script->len)
                abort();
        memcpy(script->out + script->len, bytes, len);
        script->len += len;
}

static inline void fcgi_script_record(struct fcgi_script *script, uint8_t type, uint16_t id,
                                      const void *content, size_t len, uint8_t padding)
{
        const uint8_t header[8] = {
                1, type, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(len >> 8), (uint8_t)len, padding, 0};
        static const char pad[256];

        fcgi_script_put(script, header, sizeof(header));
        fcgi_script_put(script, content, len);
        fcgi_script_put(script, pad, padding);
}

static inline void fcgi_script_length(struct fcgi_script *script, size_t len, int wide)
{
        const uint8_t bytes[4] = {(uint8_t)(0x80 | len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                  (uint8_t)len};

        if (wide || len > 127)
                fcgi_script_put(script, bytes, sizeof(bytes));
        else
                fcgi_script_put(script, &bytes[3], 1);
}

static inline void fcgi_script_pair(struct fcgi_script *script, const char *name, size_t name_len,
                                    const char *value, size_t value_len)
{
        int wide = name_len && *name == '~';

        name += wide;
        name_len -= (size_t)wide;
        fcgi_script_length(script, name_len, wide);
        fcgi_script_length(script, value_len, wide);
        fcgi_script_put(script, name, name_len);
        fcgi_script_put(script, value, value_len);
}

static inline void fcgi_script_pairs(struct fcgi_script *script, const char *text, size_t len)
{
        const char *end = text + len;

        while (text < end) {
                const char *semi = memchr(text, ';', (size_t)(end - text)), *last = semi ? semi : end;
                const char *equals = memchr(text, '=', (size_t)(last - text));
                const char *value = equals ? equals + 1 : last;

                fcgi_script_pair(script, text, (size_t)((equals ? equals : last) - text), value,
                                 (size_t)(last - value));
                text = semi ? semi + 1 : end;
        }
}

static inline void fcgi_script_hex(struct fcgi_script *script, const char *text, size_t len)
{
        static const char digits[] = "0123456789abcdef";
        unsigned high = 16;

        for (size_t i = 0; i < len; i++) {
                const char *digit = text[i] == ' ' ? NULL : strchr(digits, text[i]);
                uint8_t byte;

                if (!digit)
                        continue;
                byte = (uint8_t)(high << 4 | (unsigned)(digit - digits));
                if (high < 16)
                        fcgi_script_put(script, &byte, 1);
                high = high < 16 ? 16 : (unsigned)(digit - digits);
        }
}

/* The content that @letter's text stands for. Return: its length. */
static inline size_t fcgi_script_content(char letter, const char *text, size_t len, char *out)
{
        struct fcgi_script content = {out, FCGI_SCRIPT_CONTENT, 0};
        const uint8_t *p = (const uint8_t *)text;
        const char *app = memchr(text, ',', len);
        unsigned long status = app ? strtoul(app + 1, NULL, 10) : 0;
        const uint8_t begin[8] = {0, len ? (uint8_t)(p[0] - '0') : 0, len > 1 && p[1] == 'k'};
        const uint8_t end[8] = {(uint8_t)(status >> 24), (uint8_t)(status >> 16), (uint8_t)(status >> 8),
                                (uint8_t)status, len ? (uint8_t)(p[0] - '0') : 0};
        const uint8_t unknown[8] = {(uint8_t)strtoul(text, NULL, 10)};

        if (letter == 'P' || letter == 'G' || letter == 'g')
                fcgi_script_pairs(&content, text, len);
        else if (letter == 'B' || letter == 'X' || letter == 'u')
                fcgi_script_put(&content, letter == 'B' ? begin : letter == 'X' ? end : unknown, 8);
        else
                fcgi_script_put(&content, text, len);
        return content.len;
}

static inline void fcgi_script_token(struct fcgi_script *script, const char *token, size_t len)
{
        static const char letters[] = "?BAXPIOEDGgu"; /* by type */
        static char content[FCGI_SCRIPT_CONTENT];
        const char *end = token + len, *text = memchr(token, ' ', len);
        const char *plus = memchr(token, '+', (size_t)((text ? text : end) - token));
        const char *slash = memchr(token, '/', (size_t)((text ? text : end) - token));
        uint16_t id = (uint16_t)strtoul(token + 1, NULL, 10);
        uint8_t padding = plus ? (uint8_t)strtoul(plus + 1, NULL, 10) : 0;
        uint8_t type = (uint8_t)(strchr(letters, *token) - letters);
        size_t at = 0, size, total;

        text = text ? text + 1 : end;
        if (*token == 'R') {
                fcgi_script_hex(script, text, (size_t)(end - text));
                return;
        }
        total = fcgi_script_content(*token, text, (size_t)(end - text), content);
        size = slash ? strtoul(slash + 1, NULL, 10) : total;
        do {
                size_t piece = total - at < size ? total - at : size;

                fcgi_script_record(script, type, id, content + at, piece, padding);
                at += piece;
        } while (at < total);
}

/* Return: bytes written to @out. */
static inline size_t fcgi_script(char *out, size_t room, const char *text)
{
        struct fcgi_script script = {out, room, 0};

        while (*text) {
                size_t len = strcspn(text, "|");

                fcgi_script_token(&script, text, len);
                text += len + (text[len] == '|');
        }
        return script.len;
}
