/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "export/queue.h"
#include "tests/unit/unit.h"

static uint8_t *bytes_new(size_t len, uint8_t fill)
{
        uint8_t *bytes = malloc(len ? len : 1);

        ck_assert_ptr_nonnull(bytes);
        memset(bytes, fill, len);
        return bytes;
}

static uint64_t push(struct queue *queue, size_t len, uint8_t fill, uint64_t spans)
{
        uint64_t dropped = 99;

        ck_assert_int_eq(queue_push(queue, bytes_new(len, fill), len, spans, &dropped), 0);
        return dropped;
}

static void expect_oldest(struct queue *queue, uint8_t fill, size_t len)
{
        struct request *request = queue_take(queue);

        ck_assert_ptr_nonnull(request);
        ck_assert_uint_eq(request->len, len);
        ck_assert_uint_eq(request->bytes[0], fill);
        request_free(request);
}

START_TEST(test_queue_take_when_filled)
{
        struct queue queue;

        queue_init(&queue, 1000);
        ck_assert_ptr_null(queue_take(&queue));
        for (uint8_t i = 1; i <= 5; i++)
                ck_assert_uint_eq(push(&queue, 100, i, i), 0);
        ck_assert_uint_eq(queue.sequence, 5);
        for (uint8_t i = 1; i <= 5; i++)
                expect_oldest(&queue, i, 100);
        ck_assert_ptr_null(queue_take(&queue));
        ck_assert_uint_eq(queue.bytes, 0);
        ck_assert_uint_eq(push(&queue, 10, 7, 1), 0);
        expect_oldest(&queue, 7, 10);
}
END_TEST

START_TEST(test_queue_push_when_full)
{
        struct queue queue;

        queue_init(&queue, 1000);
        for (uint8_t i = 1; i <= 10; i++)
                ck_assert_uint_eq(push(&queue, 100, i, i), 0);
        ck_assert_uint_eq(push(&queue, 100, 11, 1), 1);         /* the oldest went */
        ck_assert_uint_eq(push(&queue, 201, 12, 1), 2 + 3 + 4); /* as many as are needed */
        ck_assert_uint_le(queue.bytes, 1000);
        expect_oldest(&queue, 5, 100);
        ck_assert_uint_eq(push(&queue, 1000, 13, 1), 6 + 7 + 8 + 9 + 10 + 1 + 1); /* all of them */
        expect_oldest(&queue, 13, 1000);
        ck_assert_ptr_null(queue_take(&queue));
}
END_TEST

START_TEST(test_queue_push_when_too_large)
{
        struct queue queue;
        uint64_t dropped = 0;

        queue_init(&queue, 1000);
        push(&queue, 400, 1, 1);
        ck_assert_int_eq(queue_push(&queue, bytes_new(1001, 2), 1001, 42, &dropped), -E2BIG);
        ck_assert_uint_eq(dropped, 42);
        expect_oldest(&queue, 1, 400); /* nothing else had to go for it */
        ck_assert_uint_eq(queue.sequence, 1);
}
END_TEST

START_TEST(test_queue_clear_when_filled)
{
        struct queue queue;

        queue_init(&queue, 1000);
        ck_assert_uint_eq(queue_clear(&queue), 0);
        push(&queue, 100, 1, 3);
        push(&queue, 0, 1, 4); /* empty ones count as well */
        ck_assert_uint_eq(queue_clear(&queue), 7);
        ck_assert_ptr_null(queue.head);
        ck_assert_uint_eq(queue.bytes, 0);
        push(&queue, 100, 2, 1);
        expect_oldest(&queue, 2, 100);
}
END_TEST

UNIT_MAIN("queue", test_queue_take_when_filled, test_queue_push_when_full, test_queue_push_when_too_large,
          test_queue_clear_when_filled)
