/* SPDX-License-Identifier: Apache-2.0 */
#include "export/queue.h"

#include <errno.h>
#include <stdlib.h>

void queue_init(struct queue *queue, size_t bytes_max)
{
        *queue = (struct queue){.bytes_max = bytes_max};
}

struct request *request_free(struct request *request)
{
        if (!request)
                return NULL;
        free(request->bytes);
        free(request);
        return NULL;
}

struct request *queue_take(struct queue *queue)
{
        struct request *request = queue->head;

        if (!request)
                return NULL;
        queue->head = request->next;
        if (!queue->head)
                queue->tail = NULL;
        queue->bytes -= request->len;
        request->next = NULL;
        return request;
}

int queue_push(struct queue *queue, uint8_t *bytes, size_t len, uint64_t spans, uint64_t *ret_dropped_spans)
{
        struct request *request = len <= queue->bytes_max ? malloc(sizeof(*request)) : NULL;
        uint64_t dropped = 0;

        if (!request) {
                free(bytes);
                *ret_dropped_spans = spans;
                return len <= queue->bytes_max ? -ENOMEM : -E2BIG;
        }
        while (queue->bytes_max - queue->bytes < len) {
                struct request *oldest = queue_take(queue);

                dropped += oldest->spans;
                request_free(oldest);
        }
        *request =
                (struct request){.bytes = bytes, .len = len, .spans = spans, .sequence = ++queue->sequence};
        *(queue->tail ? queue->tail : &queue->head) = request;
        queue->tail = &request->next;
        queue->bytes += len;
        *ret_dropped_spans = dropped;
        return 0;
}

uint64_t queue_clear(struct queue *queue)
{
        uint64_t spans = 0;

        for (struct request *request; (request = queue_take(queue));) {
                spans += request->spans;
                request_free(request);
        }
        return spans;
}
