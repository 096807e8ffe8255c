/* SPDX-License-Identifier: Apache-2.0 */
/* Values of contexts as HPACK has them (RFC 7541), where others can take their place. */
#include "agent/base/load.h"
#include "agent/proto/http2_priv.h"

#define CODED        0x80u /* in the byte before a string: Huffman's code */
#define SHORT_MAX    126   /* longest length that stands in that byte alone */
#define FORM_MASK    0xf0u /* of a field's first byte: 0 without indexing, ... */
#define FORM_NEVER   0x10u /* ... 1 never indexed */
#define CODE_BITS    6     /* of the longest code below */
#define PADDING_ONES 0xffu

/* The characters of a traceparent (RFC 7541 appendix B): those before '3' have codes of five bits. */
static bool code_of(char c, unsigned *ret_code, unsigned *ret_bits)
{
        static const char characters[] = "012ace3456789-bdf";
        static const uint8_t codes[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x19, 0x1a, 0x1b,
                                        0x1c, 0x1d, 0x1e, 0x1f, 0x16, 0x23, 0x24, 0x25};
        const char *at = memchr(characters, c, sizeof(characters) - 1);

        if (!at)
                return false;
        *ret_code = codes[at - characters];
        *ret_bits = at - characters < 6 ? CODE_BITS - 1 : CODE_BITS;
        return true;
}

uint8_t http2_other_digit(uint8_t digit, bool shortest)
{
        static const uint8_t shorts[16] = {0, 1, 2, 10, 12, 14, 0, 1, 2, 10, 10, 12, 12, 14, 14, 0};
        static const uint8_t longs[16] = {3, 4, 5, 3, 4, 5, 6, 7, 8, 9, 6, 11, 7, 13, 8, 15};

        return (shortest ? shorts : longs)[digit];
}

size_t http2_write_value(char *out, struct slice value, bool coded)
{
        unsigned pending = 0, held = 0, code, bits; /* bits that are not written yet, and how many */
        size_t len = 0;

        for (size_t i = 0; i < value.len; i++) {
                if (!code_of(value.p[i], &code, &bits))
                        return 0;
                if (!coded) {
                        out[len++] = value.p[i];
                        continue;
                }
                pending = pending << bits | code;
                held += bits;
                if (held < 8)
                        continue;
                held -= 8;
                out[len++] = (char)(pending >> held);
                pending &= (1u << held) - 1;
        }
        if (held)
                out[len++] = (char)(pending << (8 - held) | PADDING_ONES >> held);
        return len;
}

struct http2_place http2_place_of(const struct http2_field *field)
{
        struct slice sent = field->sent;
        char bytes[SHORT_MAX];
        unsigned form = field->first & FORM_MASK;

        if ((form && form != FORM_NEVER) || field->value.len > SHORT_MAX)
                return (struct http2_place){.from = 0};
        for (unsigned coded = 0; coded < 2; coded++) {
                size_t len = http2_write_value(bytes, field->value, coded);
                struct slice value = slice_from(sent, sent.len - len);

                /* The byte before, its length, may have come earlier. */
                if (len && len <= sent.len && slice_eq(value, slice_make(bytes, len)) &&
                    (len == sent.len || (unsigned char)value.p[-1] == (len | (coded ? CODED : 0))))
                        return (struct http2_place){field->end - len, (uint8_t)len, coded};
        }
        return (struct http2_place){.from = 0};
}
