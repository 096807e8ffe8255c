/* SPDX-License-Identifier: Apache-2.0 */
#include "export/deliver.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "agent/base/rand.h"
#include "export/encode/otlp_encode.h"
#include "export/queue.h"
#include "export/retry.h"
#include "export/to/otlp_http.h"

#define NS_PER_MS 1000000ull

struct deliver {
        struct meter *meter;
        struct endpoint endpoint;
        struct otlp_http *http; /* NULL: no usable endpoint */
        struct queue queue;
        struct retry retry;
        struct request *current; /* the one that is being delivered, or NULL */
        uint64_t deadline_ns;    /* its own; UINT64_MAX = none */
        uint64_t pause_until_ns; /* nothing is sent before; 0 = no pause */
        uint64_t attempted_ns;   /* start of the last attempt */
        bool pause_is_theirs;    /* the collector asked for the pause */
        bool under_way;          /* an attempt for current has begun and not ended */
        bool outage_said;        /* one line per outage, not per attempt */
};

static void finish(struct deliver *deliver, enum meter_id id)
{
        meter_add(deliver->meter, id, deliver->current->spans);
        deliver->current = request_free(deliver->current);
}

static void went_well(struct deliver *deliver)
{
        if (deliver->outage_said)
                log_info("the collector answers again");
        deliver->outage_said = false;
        retry_reset(&deliver->retry);
}

static void answered_ok(struct deliver *deliver, const struct http_answer *answer)
{
        struct otlp_answer decoded = {0};
        uint64_t rejected;

        if (otlp_decode_response(answer->body, &decoded)) {
                log_warn("the collector accepted a batch with an answer that is not OTLP");
                decoded = (struct otlp_answer){0};
        }
        rejected = decoded.rejected_spans > 0 ? MIN((uint64_t)decoded.rejected_spans, deliver->current->spans)
                                              : 0;
        if (rejected || decoded.message[0])
                log_warn("the collector rejected %lu of %lu spans: %s", (unsigned long)rejected,
                         (unsigned long)deliver->current->spans, decoded.message);
        meter_add(deliver->meter, METER_REJECTED, rejected);
        deliver->current->spans -= rejected;
        finish(deliver, METER_SENT);
}

/* For good: retrying would not change the answer. */
static void refused(struct deliver *deliver, const struct http_answer *answer)
{
        struct otlp_answer decoded = {0};

        if (otlp_decode_status(answer->body, &decoded))
                decoded.message[0] = '\0'; /* a page in HTML or the like */
        log_error("the collector refused %lu spans: HTTP status %ld %s",
                  (unsigned long)deliver->current->spans, answer->status, decoded.message);
        finish(deliver, METER_FAILED_ANSWER);
}

static void retry_later(struct deliver *deliver, const struct http_answer *answer, uint64_t now_ns)
{
        int64_t asked_ms = answer->retry_after ? retry_after(answer->retry_after, time(NULL)) : -1;
        uint64_t pause_ms = retry_pause(&deliver->retry, rand_u64());

        deliver->pause_is_theirs = asked_ms >= 0;
        if (deliver->pause_is_theirs)
                pause_ms = (uint64_t)asked_ms;
        deliver->pause_until_ns = now_ns + pause_ms * NS_PER_MS;
        if (deliver->outage_said)
                log_debug("still no delivery: HTTP status %ld %s", answer->status,
                          answer->error ? answer->error : "");
        else
                log_warn("delivery failed, trying again: HTTP status %ld %s", answer->status,
                         answer->error ? answer->error : "");
        deliver->outage_said = true;
        if (deliver->pause_until_ns < deliver->deadline_ns)
                return;
        log_error("%lu spans lost: not delivered in time", (unsigned long)deliver->current->spans);
        finish(deliver, METER_FAILED_DEADLINE);
}

static void attempt_done(void *ctx, const struct http_answer *answer)
{
        struct deliver *deliver = ctx;

        deliver->under_way = false;
        if (answer->transient || retry_status(answer->status)) {
                retry_later(deliver, answer, clock_mono_ns());
                return;
        }
        went_well(deliver);
        if (answer->status >= 200 && answer->status < 300) {
                answered_ok(deliver, answer);
        } else if (answer->status) {
                refused(deliver, answer);
        } else {
                log_error("%lu spans lost: %s", (unsigned long)deliver->current->spans, answer->error);
                finish(deliver, METER_FAILED_TRANSPORT);
        }
}

struct deliver *deliver_new(const struct config *config, struct loop *loop, struct meter *meter,
                            bool resolve_inline)
{
        struct deliver *deliver = calloc(1, sizeof(*deliver));
        int error;

        if (!deliver)
                return NULL;
        deliver->meter = meter;
        queue_init(&deliver->queue, LIMIT_QUEUE);
        error = endpoint_traces(config, &deliver->endpoint);
        if (error == -EINVAL)
                return deliver;
        if (!error)
                deliver->http =
                        otlp_http_new(loop, &deliver->endpoint, resolve_inline, attempt_done, deliver);
        return deliver->http ? deliver : deliver_free(deliver);
}

struct deliver *deliver_free(struct deliver *deliver)
{
        if (!deliver)
                return NULL;
        otlp_http_free(deliver->http);
        if (deliver->current)
                finish(deliver, METER_DROPPED_STOPPED);
        meter_add(deliver->meter, METER_DROPPED_STOPPED, queue_clear(&deliver->queue));
        endpoint_done(&deliver->endpoint);
        free(deliver);
        return NULL;
}

void deliver_push(struct deliver *deliver, uint8_t *bytes, size_t len, uint64_t spans)
{
        uint64_t dropped = 0;
        int error;

        if (!deliver->http) {
                free(bytes);
                meter_add(deliver->meter, METER_DROPPED_ENDPOINT, spans);
                return;
        }
        error = queue_push(&deliver->queue, bytes, len, spans, &dropped);
        meter_add(deliver->meter, error == -ENOMEM ? METER_DROPPED_MEMORY : METER_DROPPED_QUEUE, dropped);
        if (dropped)
                log_warn("%lu spans dropped: queue full", (unsigned long)dropped);
}

void deliver_hurry(struct deliver *deliver)
{
        uint64_t earliest = deliver->attempted_ns + RETRY_FIRST_MS * NS_PER_MS;

        if (!deliver->pause_is_theirs)
                deliver->pause_until_ns = MIN(deliver->pause_until_ns, earliest);
}

uint64_t deliver_mark(const struct deliver *deliver)
{
        return deliver->queue.sequence;
}

bool deliver_passed(const struct deliver *deliver, uint64_t mark)
{
        const struct request *oldest = deliver->current ? deliver->current : deliver->queue.head;

        return !oldest || oldest->sequence > mark;
}

uint64_t deliver_due(const struct deliver *deliver)
{
        uint64_t due = deliver->http ? otlp_http_due(deliver->http) : UINT64_MAX;

        if (!deliver->under_way && (deliver->current || deliver->queue.head))
                due = MIN(due, deliver->pause_until_ns);
        return due;
}

static void attempt_begin(struct deliver *deliver, uint64_t now_ns)
{
        bool limited = deliver->endpoint.timeout_ms > 0;
        int64_t left_ms = 0;
        struct request *request = deliver->current;

        if (!request) {
                request = deliver->current = queue_take(&deliver->queue);
                deliver->deadline_ns =
                        limited ? now_ns + (uint64_t)deliver->endpoint.timeout_ms * NS_PER_MS : UINT64_MAX;
        }
        if (limited && deliver->deadline_ns > now_ns)
                left_ms = (int64_t)((deliver->deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
        if (limited && !left_ms) {
                finish(deliver, METER_FAILED_DEADLINE);
                return;
        }
        deliver->attempted_ns = now_ns;
        deliver->under_way = true;
        if (otlp_http_post(deliver->http, slice_make(request->bytes, request->len), left_ms)) {
                deliver->under_way = false;
                finish(deliver, METER_DROPPED_MEMORY);
        }
}

void deliver_step(struct deliver *deliver, uint64_t now_ns)
{
        if (!deliver->http)
                return;
        otlp_http_step(deliver->http, now_ns);
        if (!deliver->under_way && (deliver->current || deliver->queue.head) &&
            now_ns >= deliver->pause_until_ns)
                attempt_begin(deliver, now_ns);
}
