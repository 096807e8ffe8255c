/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trace/traceparent.h"

#define VERSION_LEN     2
#define TRACE_ID_AT     3
#define SPAN_ID_AT      36
#define FLAGS_AT        53
#define VERSION_INVALID 0xff
#define MEMBERS_MAX     32
#define KEY_MAX         256
#define VALUE_MAX       256
#define MEMBER_LONG     128 /* longer members are the first to go */

/* 0 to 15, or -1: upper case is refused by the standard. */
static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

static bool hex_read(const char *p, uint8_t *out, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++) {
                int high = hex_digit(p[2 * i]), low = hex_digit(p[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                out[i] = (uint8_t)(high << 4 | low);
        }
        return true;
}

static void hex_write(char *out, const uint8_t *bytes, size_t count)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < count; i++) {
                out[2 * i] = digits[bytes[i] >> 4];
                out[2 * i + 1] = digits[bytes[i] & 15];
        }
}

/* Version 00 is exactly this long; a later one may go on behind another dash. */
static bool length_fits(struct slice value, uint8_t version)
{
        if (value.len == TRACEPARENT_LEN)
                return true;
        return version > 0 && value.len > TRACEPARENT_LEN && value.p[TRACEPARENT_LEN] == '-';
}

bool traceparent_parse(struct slice value, struct trace_context *ret_context)
{
        struct trace_context context = {.tracestate = SLICE_NULL};
        uint8_t version;

        value = slice_trim(value);
        if (value.len < TRACEPARENT_LEN || !hex_read(value.p, &version, 1) || version == VERSION_INVALID)
                return false;
        if (!length_fits(value, version))
                return false;
        if (value.p[VERSION_LEN] != '-' || value.p[SPAN_ID_AT - 1] != '-' || value.p[FLAGS_AT - 1] != '-')
                return false;
        if (!hex_read(value.p + TRACE_ID_AT, context.trace_id, sizeof(context.trace_id)) ||
            !hex_read(value.p + SPAN_ID_AT, context.span_id, sizeof(context.span_id)) ||
            !hex_read(value.p + FLAGS_AT, &context.flags, 1))
                return false;
        if (!trace_context_valid(&context))
                return false;
        context.flags &= TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM;
        *ret_context = context;
        return true;
}

void traceparent_write(char out[TRACEPARENT_LEN], const struct trace_context *context)
{
        const uint8_t flags = context->flags & (TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);

        out[0] = out[1] = '0';
        out[VERSION_LEN] = out[SPAN_ID_AT - 1] = out[FLAGS_AT - 1] = '-';
        hex_write(out + TRACE_ID_AT, context->trace_id, sizeof(context->trace_id));
        hex_write(out + SPAN_ID_AT, context->span_id, sizeof(context->span_id));
        hex_write(out + FLAGS_AT, &flags, 1);
}

static bool key_starts_well(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* By Level 2, which is wider than Level 1: any number of '@' after the first character. */
static bool key_valid(struct slice key)
{
        if (key.len == 0 || key.len > KEY_MAX || !key_starts_well(key.p[0]))
                return false;
        for (size_t i = 1; i < key.len; i++)
                if (!key_starts_well(key.p[i]) && !memchr("_-*/@", key.p[i], 5))
                        return false;
        return true;
}

static bool value_valid(struct slice value)
{
        if (value.len == 0 || value.len > VALUE_MAX)
                return false;
        for (size_t i = 0; i < value.len; i++)
                if (value.p[i] < 0x20 || value.p[i] > 0x7e || value.p[i] == '=')
                        return false;
        return true;
}

static bool member_valid(struct slice member)
{
        size_t equals = slice_find(member, '=');

        return equals < member.len && key_valid(slice_to(member, equals)) &&
               value_valid(slice_from(member, equals + 1));
}

bool tracestate_check(struct slice value)
{
        unsigned members = 0;

        while (value.len) {
                size_t end = slice_find(value, ',');
                struct slice member = slice_trim(slice_to(value, end));

                value = slice_from(value, end + 1);
                if (member.len == 0)
                        continue;
                if (++members > MEMBERS_MAX || !member_valid(member))
                        return false;
        }
        return true;
}

struct slice tracestate_fit(struct slice value, char *buf, size_t size)
{
        size_t used = 0;

        if (value.len <= size)
                return value;
        while (value.len) {
                size_t end = slice_find(value, ',');
                struct slice member = slice_trim(slice_to(value, end));
                size_t comma = used != 0;

                value = slice_from(value, end + 1);
                if (member.len == 0 || member.len > MEMBER_LONG)
                        continue;
                if (used + comma + member.len > size)
                        break;
                if (comma)
                        buf[used] = ',';
                memcpy(buf + used + comma, member.p, member.len);
                used += comma + member.len;
        }
        return slice_make(buf, used);
}
