/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that were HTTP/1 before. */
#include "agent/base/load.h"
#include "agent/proto/http2.h"

#define SETTING_DIGITS 8 /* of base64, for the six bytes of a setting: groups never need padding */
#define DIGIT_BITS     6
#define VALUE_BITS     32

/* A digit of base64url (RFC 4648 section 5); -1: it is none. */
static int digit_of(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == '-')
                return 62;
        return c == '_' ? 63 : -1;
}

static bool read_setting(const char *digits, uint64_t *ret_setting)
{
        uint64_t setting = 0;

        for (int i = 0; i < SETTING_DIGITS; i++) {
                int digit = digit_of(digits[i]);

                if (digit < 0)
                        return false;
                setting = setting << DIGIT_BITS | (uint64_t)digit;
        }
        *ret_setting = setting;
        return true;
}

bool http2_hello_read(struct slice value, struct http2_hello *ret_hello)
{
        struct http2_hello hello = {HTTP2_FRAME_MIN, HTTP2_TABLE_DEFAULT};
        uint64_t setting;

        if (value.len % SETTING_DIGITS)
                return false;
        for (size_t at = 0; at < value.len; at += SETTING_DIGITS) {
                if (!read_setting(value.p + at, &setting))
                        return false;
                if (setting >> VALUE_BITS == HTTP2_HEADER_TABLE_SIZE)
                        hello.table = (uint32_t)setting;
                if (setting >> VALUE_BITS == HTTP2_MAX_FRAME_SIZE)
                        hello.frame_max = (uint32_t)setting;
        }
        if (hello.frame_max < HTTP2_FRAME_MIN || hello.frame_max > HTTP2_FRAME_MAX)
                return false;
        *ret_hello = hello;
        return true;
}

/* A table that is made smaller stays in the client's own settings, which the server acknowledges. */
bool http2_go_on(struct http2 *parser, const struct http2_hello *hello)
{
        if (parser->sender == HTTP2_SERVER) {
                parser->frame_max = hello->frame_max;
                return http2_limit_table(parser, MAX(hello->table, HTTP2_TABLE_DEFAULT));
        }
        parser->client_last = HTTP2_UPGRADED;
        parser->told_frame_max = hello->frame_max;
        parser->told_table = hello->table;
        return true;
}
