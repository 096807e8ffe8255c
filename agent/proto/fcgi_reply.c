/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a CGI response (RFC 3875 section 6): which status does it mean? */
#include "agent/proto/fcgi_priv.h"

enum reply_step {
        REPLY_LINE,     /* at the first byte of a line */
        REPLY_BLANK_LF, /* a CR began the line: an LF makes it the blank one */
        REPLY_NAME,
        REPLY_STATUS, /* in the value of Status */
        REPLY_REST    /* to the line's end */
};

enum reply_field { REPLY_FIELD_STATUS, REPLY_FIELD_LOCATION, REPLY_FIELDS /* any other */ };

static const struct slice fields[REPLY_FIELDS] = {
        [REPLY_FIELD_STATUS] = {"status", 6},
        [REPLY_FIELD_LOCATION] = {"location", 8},
};

#define STATUS_DIGITS   3
#define STATUS_MIN      100
#define STATUS_REDIRECT 302 /* RFC 3875 section 6.2.3 */
#define STATUS_NO_OTHER 200 /* RFC 3875 section 6.3.3 */

/* The head is over; what it says counts only if all of it was understood. */
static void finish(struct fcgi_reply *reply)
{
        reply->done = true;
        reply->status = reply->stated;
        if (reply->status == 0)
                reply->status = reply->location ? STATUS_REDIRECT : STATUS_NO_OTHER;
        if (reply->odd)
                reply->status = 0;
}

static void step_name(struct fcgi_reply *reply, char c);

static void step_line(struct fcgi_reply *reply, char c)
{
        if (c == '\n') {
                finish(reply);
                return;
        }
        if (c == '\r' || c == ' ' || c == '\t') { /* the latter two go on with the line before */
                reply->step = c == '\r' ? REPLY_BLANK_LF : REPLY_REST;
                return;
        }
        reply->step = REPLY_NAME;
        reply->matched = 0;
        reply->field = REPLY_FIELDS;
        for (uint8_t i = 0; i < REPLY_FIELDS; i++)
                if (ascii_lower(c) == fields[i].p[0])
                        reply->field = i;
        step_name(reply, c);
}

static void step_blank_lf(struct fcgi_reply *reply, char c)
{
        if (c == '\n') {
                finish(reply);
                return;
        }
        reply->odd = true;
        reply->step = REPLY_REST;
}

static void step_name(struct fcgi_reply *reply, char c)
{
        const struct slice *field = &fields[reply->field];

        if (c == '\n') { /* a line without a colon */
                reply->odd = true;
                reply->step = REPLY_LINE;
                return;
        }
        if (c == ':') {
                bool known = reply->field < REPLY_FIELDS && reply->matched == field->len;
                bool status = known && reply->field == REPLY_FIELD_STATUS;

                reply->location |= known && reply->field == REPLY_FIELD_LOCATION;
                reply->step = status ? REPLY_STATUS : REPLY_REST;
                reply->matched = 0;
                reply->number = 0;
                return;
        }
        if (reply->field == REPLY_FIELDS)
                return;
        if (reply->matched < field->len && ascii_lower(c) == field->p[reply->matched])
                reply->matched++;
        else
                reply->field = REPLY_FIELDS;
}

/* The number is over, before @c. */
static void end_status(struct fcgi_reply *reply, char c)
{
        bool ends = c == ' ' || c == '\t' || c == '\r' || c == '\n';

        reply->odd |= !ends || reply->matched != STATUS_DIGITS || reply->number < STATUS_MIN ||
                      (reply->stated && reply->stated != reply->number);
        reply->stated = reply->number;
        reply->step = c == '\n' ? REPLY_LINE : REPLY_REST;
}

static void step_status(struct fcgi_reply *reply, char c)
{
        bool digit = c >= '0' && c <= '9';

        if (reply->matched == 0 && (c == ' ' || c == '\t'))
                return;
        if (!digit || reply->matched == STATUS_DIGITS) {
                end_status(reply, c);
                return;
        }
        reply->number = (uint16_t)(reply->number * 10 + (c - '0'));
        reply->matched++;
}

/* Return: bytes taken, at least one. */
static size_t step_rest(struct fcgi_reply *reply, struct slice bytes)
{
        size_t n = slice_find(bytes, '\n');

        if (n == bytes.len)
                return n;
        reply->step = REPLY_LINE;
        return n + 1;
}

size_t fcgi_reply_read(struct fcgi_reply *reply, struct slice bytes)
{
        static void (*const steps[])(struct fcgi_reply * reply, char c) = {
                [REPLY_LINE] = step_line,
                [REPLY_BLANK_LF] = step_blank_lf,
                [REPLY_NAME] = step_name,
                [REPLY_STATUS] = step_status,
        };
        struct slice rest = slice_to(bytes, LIMIT_FCGI_REPLY_HEAD - reply->head_len);
        size_t n;

        while (rest.len && !reply->done) {
                n = 1;
                if (reply->step == REPLY_REST)
                        n = step_rest(reply, rest);
                else
                        steps[reply->step](reply, rest.p[0]);
                reply->head_len += (uint32_t)n;
                rest = slice_from(rest, n);
        }
        if (!reply->done && reply->head_len == LIMIT_FCGI_REPLY_HEAD) {
                reply->odd = true;
                finish(reply);
        }
        return (size_t)(rest.p - bytes.p);
}
