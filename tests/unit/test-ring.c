/* SPDX-License-Identifier: Apache-2.0 */
/* The producer's side: order, room, wake-ups, open spans, making. */
#include "agent/ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "tests/unit/rings.h"

#define PER_THREAD 50000

START_TEST(test_ring_push_and_pop_in_order)
{
        struct ring ring = make_ring(2048), reader;
        int fd = dup(ring.fd);

        ck_assert_int_eq(ring_attach(&reader, fd), 0);
        close(fd);
        assert_empty(&reader);
        for (int64_t i = 0; i < 100; i++)
                ck_assert_int_ge(push(&ring, 0, i, (size_t)i), 0);
        ck_assert_uint_eq(ring_pending(&reader), 100);
        for (int64_t i = 0; i < 100; i++)
                assert_pops(&reader, i);
        assert_empty(&reader);
        ring_detach(&reader);
        ring_drop(&ring);
        ck_assert_ptr_null(ring.header);
}
END_TEST

START_TEST(test_ring_push_many_laps_of_all_sizes)
{
        struct ring ring = make_ring(16);
        int64_t written = 0, read = 0;

        while (written < 20000) {
                size_t len = (size_t)(written * 7919 % 9000);

                if (push(&ring, 0, written, len) >= 0)
                        written++;
                else
                        assert_pops(&ring, read++);
        }
        while (read < written)
                assert_pops(&ring, read++);
        assert_empty(&ring);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_push_after_positions_wrapped)
{
        struct ring ring = make_ring(16);

        /* As after 2^40 cells and 2^24 records. */
        ring.tail = (MARK_RECORDS - 3) << MARK_CELL_BITS | (MARK_CELLS - ring.cells * 2 + 1);
        atomic_store(&ring.header->tail, ring.tail);
        atomic_store(&ring.header->head, ring.tail);
        for (int64_t i = 0; i < 5000; i++) {
                ck_assert_int_ge(push(&ring, 0, i, 1000), 0);
                assert_pops(&ring, i);
        }
        assert_empty(&ring);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_push_full_by_count)
{
        struct ring ring = make_ring(3);

        for (int64_t i = 0; i < 3; i++)
                ck_assert_int_ge(push(&ring, 0, i, 1), 0);
        ck_assert_int_eq(push(&ring, 0, 3, 1), RING_FULL);
        assert_pops(&ring, 0);
        ck_assert_int_ge(push(&ring, 0, 4, 1), 0);
        ck_assert_int_eq(push(&ring, 0, 5, 1), RING_FULL);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_push_full_by_bytes)
{
        struct ring ring = make_ring(100);
        int64_t written = 0, read = 0;

        while (push(&ring, 0, written, 10000) >= 0)
                written++;
        ck_assert_int_eq(written, LIMIT_RING_MIN / 10200);
        assert_pops(&ring, read++);
        assert_pops(&ring, read++);
        ck_assert_int_ge(push(&ring, 0, written++, 10000), 0);
        while (read < written)
                assert_pops(&ring, read++);
        assert_empty(&ring);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_push_too_large)
{
        struct ring ring = make_ring(100);
        struct span span = numbered(0, 0, 0);
        size_t room = LIMIT_RECORD - record_size(&span) - sizeof(struct record_attr);

        ck_assert_int_eq(push(&ring, 0, 0, room + 1), RING_TOO_LARGE);
        ck_assert_uint_eq(ring_pending(&ring), 0);
        ck_assert_int_ge(push(&ring, 0, 7, room), 0);
        assert_pops(&ring, 7);
        ring_drop(&ring);
}
END_TEST

/* A tail that makes no sense must not make room. */
START_TEST(test_ring_push_hostile_tail)
{
        struct ring ring = make_ring(100);

        atomic_store(&ring.header->tail, mark_advance(0, 1, 1));
        ck_assert_int_eq(push(&ring, 0, 0, 1), RING_FULL);
        atomic_store(&ring.header->tail, UINT64_MAX);
        for (int i = 0; i < 1000; i++)
                ck_assert_int_le(push(&ring, 0, 0, 5000), RING_PUSHED_WAKE);
        ck_assert_int_eq(push(&ring, 0, 0, 5000), RING_FULL);
        ring_drop(&ring);
}
END_TEST

/* Every producer's records in its order, none twice, none missing. */
static void consume_all(struct ring *ring, int64_t producers, int64_t per_producer)
{
        int64_t next[THREADS] = {0}, who, number;

        for (int64_t left = producers * per_producer; left > 0;) {
                if (!pop(ring, false, NOW, &who, &number)) {
                        sched_yield();
                        continue;
                }
                ck_assert_int_eq(number, next[who]);
                next[who]++;
                left--;
        }
        assert_empty(ring);
}

START_TEST(test_ring_push_from_threads)
{
        struct ring ring = make_ring(64);
        struct producer producers[THREADS];
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++) {
                producers[i] = (struct producer){&ring, i, PER_THREAD};
                ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
        }
        consume_all(&ring, THREADS, PER_THREAD);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_push_from_processes)
{
        struct ring ring = make_ring(64), reader;
        pid_t children[THREADS];

        ck_assert_int_eq(ring_attach(&reader, ring.fd), 0);
        for (int i = 0; i < THREADS; i++) {
                struct producer producer = {&ring, i, PER_THREAD / 10};

                children[i] = fork();
                if (children[i] == 0) {
                        produce(&producer);
                        _exit(0);
                }
        }
        consume_all(&reader, THREADS, PER_THREAD / 10);
        for (int i = 0; i < THREADS; i++)
                waitpid(children[i], NULL, 0);
        ring_detach(&reader);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_wake_first_and_after_sleep)
{
        struct ring ring = make_ring(1000);

        ck_assert_int_eq(push(&ring, 0, 0, 1), RING_PUSHED_WAKE);
        ck_assert_int_eq(push(&ring, 0, 1, 1), RING_PUSHED);
        ck_assert(!ring_sleep(&ring, 0)); /* there are two */
        assert_pops(&ring, 0);
        assert_pops(&ring, 1);
        ck_assert(ring_sleep(&ring, 0));
        ck_assert_int_eq(push(&ring, 0, 2, 1), RING_PUSHED_WAKE);
        ck_assert_int_eq(push(&ring, 0, 3, 1), RING_PUSHED);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_wake_consumer_on_its_timer)
{
        struct ring ring = make_ring(1000);
        struct span span = numbered(0, 0, 1);

        ck_assert(ring_sleep(&ring, NOW + 100));
        ck_assert_int_eq(ring_push(&ring, &span, NOW), RING_PUSHED);
        ck_assert_int_eq(ring_push(&ring, &span, NOW + 99), RING_PUSHED);
        /* It should have drained by now: is it dead? Said again, but not with every record. */
        ck_assert_int_eq(ring_push(&ring, &span, NOW + 100), RING_PUSHED_WAKE);
        ck_assert_int_eq(ring_push(&ring, &span, NOW + 101), RING_PUSHED);
        ck_assert_int_eq(ring_push(&ring, &span, NOW + 100 + RING_WAKE_AGAIN_NS), RING_PUSHED_WAKE);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_wake_high_water)
{
        struct ring ring = make_ring(10), bytes = make_ring(100);

        ring_sleep(&ring, UINT64_MAX);
        for (int i = 0; i < 10; i++)
                ck_assert_int_eq(push(&ring, 0, i, 1), i == 4 ? RING_PUSHED_WAKE : RING_PUSHED);
        ring_sleep(&bytes, UINT64_MAX);
        for (int i = 0; i < 6; i++)
                ck_assert_int_eq(push(&bytes, 0, i, 10000), i == 3 ? RING_PUSHED_WAKE : RING_PUSHED);
        ring_drop(&ring);
        ring_drop(&bytes);
}
END_TEST

START_TEST(test_ring_wake_due_when_full)
{
        struct ring ring = make_ring(1);

        ring_sleep(&ring, NOW + 10);
        ck_assert_int_ge(push(&ring, 0, 0, 1), 0);
        ck_assert_int_eq(push(&ring, 0, 0, 1), RING_FULL);
        ck_assert(!ring_wake_due(&ring, NOW));
        ck_assert(ring_wake_due(&ring, NOW + 10));
        ck_assert(!ring_wake_due(&ring, NOW + 11));
        ring_drop(&ring);
}
END_TEST

static void *sleeping_consumer(void *arg)
{
        struct producer *p = arg;
        int64_t who, number;

        while (p->count > 0) {
                while (pop(p->ring, false, NOW, &who, &number))
                        p->count--;
                if (p->count > 0 && ring_sleep(p->ring, 0))
                        while (atomic_load(&p->ring->header->wake_after_ns) == 0)
                                sched_yield(); /* only a producer's wake-up ends this */
        }
        return NULL;
}

/* Either the consumer sees the record before it sleeps, or the producer sees that it sleeps. */
START_TEST(test_ring_wake_is_never_missed)
{
        struct ring ring = make_ring(64);
        struct producer producer = {&ring, 0, PER_THREAD}, consumer = producer;
        pthread_t threads[2];

        pthread_create(&threads[0], NULL, sleeping_consumer, &consumer);
        pthread_create(&threads[1], NULL, produce, &producer);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        ck_assert_int_eq(consumer.count, 0);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_open_put_take_clear)
{
        static char buf[LIMIT_RECORD];
        struct ring ring = make_ring(10), reader;
        struct span span = numbered(0, 1, 10), back;
        unsigned cursor = 0;
        int slots[3];
        size_t len;

        for (int i = 0; i < 3; i++) {
                span.attrs[1].num = i;
                slots[i] = ring_open_put(&ring, &span);
                ck_assert_int_ge(slots[i], 0);
        }
        ring_open_clear(&ring, slots[1]);
        ring_open_clear(&ring, -1);
        ring_open_share(&ring, slots[2]);
        ring_open_share(&ring, -1);
        ck_assert_int_eq(ring_attach(&reader, ring.fd), 0);
        len = ring_open_take(&reader, &cursor, buf);
        ck_assert(record_read(slice_make(buf, len), &back));
        ck_assert_int_eq(back.attrs[1].num, 0);
        ck_assert(!back.shared);
        len = ring_open_take(&reader, &cursor, buf);
        ck_assert(record_read(slice_make(buf, len), &back));
        ck_assert_int_eq(back.attrs[1].num, 2);
        ck_assert(back.shared);
        ck_assert_uint_eq(ring_open_take(&reader, &cursor, buf), 0);
        cursor = 0; /* taken is taken */
        ck_assert_uint_eq(ring_open_take(&reader, &cursor, buf), 0);
        ring_detach(&reader);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_open_put_all_taken)
{
        struct ring ring = make_ring(10);
        struct span span = numbered(0, 1, 10);
        bool seen[LIMIT_OPEN_SPANS] = {false};

        for (int i = 0; i < LIMIT_OPEN_SPANS; i++) {
                int slot = ring_open_put(&ring, &span);

                ck_assert(slot >= 0 && slot < LIMIT_OPEN_SPANS && !seen[slot]);
                seen[slot] = true;
        }
        ck_assert_int_eq(ring_open_put(&ring, &span), -1);
        ring_open_clear(&ring, 99);
        ck_assert_int_eq(ring_open_put(&ring, &span), 99);
        span = numbered(0, 1, LIMIT_OPEN_SPAN_SIZE);
        ring_open_clear(&ring, 99);
        ck_assert_int_eq(ring_open_put(&ring, &span), -1);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_meta_appended_and_full)
{
        struct ring ring = make_ring(10);
        struct slice one = {"a=b", 4};

        ring_add_meta(&ring, one);
        ring_add_meta(&ring, slice_make(letters, LIMIT_RING_META - 4 + 1)); /* one byte too long */
        ck_assert_uint_eq(atomic_load(&ring.header->meta_len), 4);
        ring_add_meta(&ring, one);
        ck_assert_mem_eq(ring.meta, "a=b\0a=b", 8);
        ck_assert_uint_eq(atomic_load(&ring.header->meta_len), 8);
        ring_set_meta(&ring, one);
        ck_assert_uint_eq(atomic_load(&ring.header->meta_len), 4);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_create_sealed_high_and_small)
{
        struct ring ring = make_ring(2048);
        int seals = fcntl(ring.fd, F_GET_SEALS);

        ck_assert_int_eq(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
                         F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        ck_assert_int_lt(ftruncate(ring.fd, 4096), 0);
        ck_assert_int_ge(ring.fd, LIMIT_OWN_FD_FLOOR);
        ck_assert_int_eq(fcntl(ring.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        ck_assert_uint_eq(ring.cells, 2048 * LIMIT_RECORD_AVERAGE / RING_CELL);
        ring_drop(&ring);
        ring = make_ring(UINT64_MAX);
        ck_assert_uint_eq(ring.cells, LIMIT_RING_MAX / RING_CELL);
        ring_drop(&ring);
        ring = make_ring(0);
        ck_assert_uint_eq(ring.record_max, 1);
        ring_drop(&ring);
}
END_TEST

static void create_with_file_limit(void *arg)
{
        struct rlimit limit = {1024 * 1024, 1024 * 1024};
        struct ring ring = {.fd = -7};

        setrlimit(RLIMIT_FSIZE, &limit);
        if (ring_create(&ring, 1000000) || ring.cells > 1024 * 1024 / RING_CELL)
                _exit(1);
        limit.rlim_cur = 512 * 1024;
        setrlimit(RLIMIT_FSIZE, &limit);
        ring.fd = -7;
        if (ring_create(&ring, 1000000) != -EFBIG || ring.fd != -7)
                _exit(2);
}

START_TEST(test_ring_create_file_size_limit)
{
        int status = unit_in_child(create_with_file_limit, NULL);

        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

static void create_without_descriptors(void *arg)
{
        struct rlimit limit = {0, 0};
        struct ring ring = {.fd = -7};

        setrlimit(RLIMIT_NOFILE, &limit);
        errno = 77;
        if (ring_create(&ring, 10) != -EMFILE || ring.fd != -7 || errno != 77)
                _exit(1);
}

static void create_without_memory(void *arg)
{
        struct rlimit limit = {0, 0};
        struct ring ring = {.fd = -7};
        int before = dup(0), after;

        close(before);
        setrlimit(RLIMIT_AS, &limit);
        if (ring_create(&ring, 10) != -ENOMEM || ring.fd != -7)
                _exit(1);
        after = dup(0);
        if (after != before)
                _exit(2); /* a descriptor was left behind */
}

START_TEST(test_ring_create_without_means)
{
        ck_assert_int_eq(unit_in_child(create_without_descriptors, NULL), 0);
        ck_assert_int_eq(unit_in_child(create_without_memory, NULL), 0);
}
END_TEST

UNIT_MAIN("ring", test_ring_push_and_pop_in_order, test_ring_push_many_laps_of_all_sizes,
          test_ring_push_after_positions_wrapped, test_ring_push_full_by_count, test_ring_push_full_by_bytes,
          test_ring_push_too_large, test_ring_push_hostile_tail, test_ring_push_from_threads,
          test_ring_push_from_processes, test_ring_wake_first_and_after_sleep,
          test_ring_wake_consumer_on_its_timer, test_ring_wake_high_water, test_ring_wake_due_when_full,
          test_ring_wake_is_never_missed, test_ring_open_put_take_clear, test_ring_open_put_all_taken,
          test_ring_meta_appended_and_full, test_ring_create_sealed_high_and_small,
          test_ring_create_file_size_limit, test_ring_create_without_means)
