/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/curl/curl_headers.h"

#define FIELD_TRACEPARENT SLICE("traceparent")
#define FIELD_TRACESTATE  SLICE("tracestate")
#define FIELD_BAGGAGE     SLICE("baggage")

/* The line's value, if it is one of the field ("Name: value", or "Name;" for an empty one); .p NULL: it is
 * not. */
static struct slice line_value(const struct curl_slist *line, struct slice name)
{
        struct slice own = slice_make(line->data, line->data ? strcspn(line->data, ":;") : 0);

        if (!slice_eq_nocase(slice_trim(own), name))
                return SLICE_NULL;
        return slice_trim(slice_str(own.p + own.len + (own.p[own.len] != '\0')));
}

struct slice curl_headers_find(const struct curl_slist *list, struct slice name)
{
        struct slice value = SLICE_NULL;

        for (; list && !value.p; list = list->next)
                value = line_value(list, name);
        return value;
}

struct curl_own curl_headers_own(const struct curl_handle *handle)
{
        struct curl_own own = {.count = 0};

        for (struct curl_slist *line = handle->headers; line; line = line->next) {
                struct slice value = line_value(line, FIELD_TRACEPARENT);

                if (value.p && own.count++ == 0) {
                        own.first = line;
                        own.value = value;
                }
                own.before += own.count == 0;
        }
        if (own.count != 1 || own.before > LIMIT_CURL_COPIED)
                own.value = SLICE_NULL;
        return own;
}

bool curl_headers_respected(const struct curl_handle *handle)
{
        struct curl_own own = curl_headers_own(handle);
        bool replaced = handle->replaces && slice_eq(slice_to(own.value, TRACEPARENT_LEN),
                                                     slice_make(handle->replaced, TRACEPARENT_LEN));

        return own.count && !replaced;
}

/* Return: the line in @text, or NULL for a value that is empty or does not fit. */
static char *write_line(char *text, struct slice name, struct slice value, size_t most)
{
        if (value.len == 0 || value.len > most)
                return NULL;
        memcpy(text, name.p, name.len);
        memcpy(text + name.len, value.p, value.len);
        text[name.len + value.len] = '\0';
        return text;
}

void curl_headers_write(struct curl_handle *handle)
{
        const struct scope_decision *decision = &handle->request.decision;
        char value[TRACEPARENT_LEN];

        traceparent_write(value, &decision->context);
        handle->traceparent.data = write_line(handle->traceparent_text, SLICE("traceparent: "),
                                              slice_make(value, sizeof(value)), sizeof(value));
        handle->tracestate.data = write_line(handle->tracestate_text, SLICE("tracestate: "),
                                             decision->context.tracestate, LIMIT_TRACESTATE);
        handle->baggage.data =
                write_line(handle->baggage_text, SLICE("baggage: "), decision->baggage, LIMIT_BAGGAGE);
}

struct curl_slist *curl_headers_list(struct curl_handle *handle)
{
        const struct curl_slist *own = curl_headers_own(handle).first;
        struct curl_slist *list, **link = &list, *rest = handle->headers;

        for (size_t i = 0; own && rest != own; i++, rest = rest->next) {
                handle->copied[i].data = rest->data;
                *link = &handle->copied[i];
                link = &handle->copied[i].next;
        }
        *link = &handle->traceparent;
        link = &handle->traceparent.next;
        if (handle->tracestate.data && !curl_headers_find(handle->headers, FIELD_TRACESTATE).p) {
                *link = &handle->tracestate;
                link = &handle->tracestate.next;
        }
        if (handle->baggage.data && !curl_headers_find(handle->headers, FIELD_BAGGAGE).p) {
                *link = &handle->baggage;
                link = &handle->baggage.next;
        }
        *link = own ? rest->next : rest;
        return list;
}
