/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_tls.h"

#include <stddef.h>
#include <string.h>

#include "export/refine_attr.h"

#define VERSION_FIRST 0x0300

void refine_tls(struct refine_draft *draft)
{
        static const char *const versions[][2] = {
                {"ssl", "3"}, {"tls", "1.0"}, {"tls", "1.1"}, {"tls", "1.2"}, {"tls", "1.3"}};
        const struct attr *attr = refine_attr(draft->raw, SEMCONV_RAW_TLS, ATTR_BYTES);
        struct span_tls told;
        struct slice text;
        unsigned version;

        if (!attr || attr->str.len < offsetof(struct span_tls, text))
                return;
        memcpy(&told, attr->str.p, offsetof(struct span_tls, text));
        text = slice_from(attr->str, offsetof(struct span_tls, text));
        version = (unsigned)told.version - VERSION_FIRST;
        if (version < sizeof(versions) / sizeof(*versions)) {
                refine_draft_add_str(draft, SEMCONV_TLS_PROTOCOL_NAME, slice_str(versions[version][0]));
                refine_draft_add_str(draft, SEMCONV_TLS_PROTOCOL_VERSION, slice_str(versions[version][1]));
        }
        refine_draft_add_str(draft, SEMCONV_TLS_CIPHER, slice_to(text, told.cipher_len));
        text = slice_from(text, told.cipher_len);
        refine_draft_add_str(draft, SEMCONV_TLS_NEXT_PROTOCOL, slice_to(text, told.next_protocol_len));
        refine_draft_add_bool(draft, SEMCONV_TLS_RESUMED, told.resumed);
}
