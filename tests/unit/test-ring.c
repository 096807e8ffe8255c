/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "agent/record/record.h"
#include "agent/ring/ring_layout.h"
#include "tests/unit/unit.h"

#define THREADS    4
#define PER_THREAD 50000
#define NOW        5000000000ull

static char letters[LIMIT_RECORD * 2];

static struct ring make_ring(uint64_t record_max)
{
        struct ring ring;

        ck_assert_int_eq(ring_create(&ring, record_max), 0);
        return ring;
}

/* A span that carries two numbers and @len bytes of text. */
static struct span numbered(int64_t who, int64_t number, size_t len)
{
        struct span span = {.kind = SPAN_CLIENT, .shape = SHAPE_CONNECT, .start_ns = 1, .end_ns = 2};

        memset(span.context.trace_id, 1, 16);
        memset(span.context.span_id, 1, 8);
        span_add_int(&span, SEMCONV_RAW_ERRNO, who);
        span_add_int(&span, SEMCONV_RAW_EAI, number);
        span_add_str(&span, SEMCONV_RAW_NAME, slice_make(letters, len));
        return span;
}

static enum ring_push push(struct ring *ring, int64_t who, int64_t number, size_t len)
{
        struct span span = numbered(who, number, len);

        return ring_push(ring, &span, NOW);
}

/* Return: false when there is none now; a record that is none fails the test. */
static bool pop(struct ring *ring, bool dead, uint64_t now, int64_t *ret_who, int64_t *ret_number)
{
        static __thread _Alignas(8) char buf[LIMIT_RECORD];
        size_t len = ring_pop(ring, buf, dead, now);
        struct span span;

        if (len == 0)
                return false;
        ck_assert(record_read(slice_make(buf, len), &span));
        ck_assert_uint_ge(span.attr_count, 2);
        if (span.attr_count > 2)
                ck_assert(slice_eq(span.attrs[2].str, slice_make(letters, span.attrs[2].str.len)));
        *ret_who = span.attrs[0].num;
        *ret_number = span.attrs[1].num;
        return true;
}

static void assert_pops(struct ring *ring, int64_t number)
{
        int64_t who, got;

        ck_assert(pop(ring, false, NOW, &who, &got));
        ck_assert_int_eq(got, number);
}

static void assert_empty(struct ring *ring)
{
        int64_t who, number;

        ck_assert(!pop(ring, false, NOW, &who, &number));
        ck_assert_uint_eq(ring_pending(ring), 0);
}

/* What a producer does that is killed between its claim and its word. */
static void claim_silently(struct ring *ring, uint64_t cells)
{
        atomic_store(&ring->header->head, mark_advance(atomic_load(&ring->header->head), cells, 1));
}

/* The same, killed one step later. */
static uint64_t claim_and_reserve(struct ring *ring, size_t len)
{
        uint64_t at = mark_cells(atomic_load(&ring->header->head));

        claim_silently(ring, len_cells(len));
        atomic_store(ring_word(ring, at), word_make(WORD_RESERVED, len, at));
        return at;
}

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

struct producer {
        struct ring *ring;
        int64_t who, count;
};

static void *produce(void *arg)
{
        struct producer *p = arg;

        for (int64_t i = 0; i < p->count;) {
                if (push(p->ring, p->who, i, (size_t)(i * 31 % 400)) >= 0)
                        i++;
                else
                        sched_yield();
        }
        return NULL;
}

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

/* Killed anywhere: what was committed is read, in order, and at most the last one is missing. */
START_TEST(test_ring_pop_killed_producer)
{
        for (int round = 0; round < 50; round++) {
                struct ring ring = make_ring(2048);
                struct producer producer = {&ring, 0, INT64_MAX};
                int64_t who, number, next = 0;
                pid_t pid = fork();

                if (pid == 0) {
                        produce(&producer);
                        _exit(0);
                }
                while (next < 100 + round * 10) {
                        if (!pop(&ring, false, NOW, &who, &number))
                                continue;
                        ck_assert_int_eq(number, next++);
                }
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                while (pop(&ring, true, NOW, &who, &number))
                        ck_assert_int_eq(number, next++);
                ck_assert_uint_eq(ring_pending(&ring), 0);
                ck_assert_uint_le(atomic_load(&ring.header->stats[STAT_DROPPED_ABANDONED]), 1);
                ring_drop(&ring);
        }
}
END_TEST

START_TEST(test_ring_pop_reserved_never_committed)
{
        struct ring ring = make_ring(100);
        int64_t who, number;
        uint64_t at;

        push(&ring, 0, 1, 10);
        at = claim_and_reserve(&ring, 500);
        push(&ring, 0, 2, 10);
        assert_pops(&ring, 1);
        ck_assert(!pop(&ring, false, NOW, &who, &number));
        ck_assert(!pop(&ring, false, NOW + LIMIT_ABANDONED_NS - 1, &who, &number));
        ck_assert(pop(&ring, false, NOW + LIMIT_ABANDONED_NS, &who, &number));
        ck_assert_int_eq(number, 2);
        ck_assert_uint_eq(atomic_load(&ring.header->stats[STAT_DROPPED_ABANDONED]), 1);
        ck_assert_uint_eq(atomic_load(ring_word(&ring, at)), 0);
        assert_empty(&ring);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_pop_reserved_and_committed_in_time)
{
        struct ring ring = make_ring(100);
        struct span span = numbered(0, 9, 100);
        size_t len = record_size(&span);
        uint64_t at = claim_and_reserve(&ring, len);
        int64_t who, number;

        ck_assert(!pop(&ring, false, NOW, &who, &number));
        record_write(ring_cell(&ring, at) + RING_WORD_SIZE, &span);
        atomic_store(ring_word(&ring, at), word_make(WORD_COMMITTED, len, at));
        assert_pops(&ring, 9);
        /* The next one that is late has the full time again. */
        claim_and_reserve(&ring, 10);
        ck_assert(!pop(&ring, false, NOW + LIMIT_ABANDONED_NS, &who, &number));
        ck_assert_uint_eq(ring_pending(&ring), 1);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_pop_claimed_and_no_word)
{
        struct ring ring = make_ring(100);
        int64_t who, number;

        claim_silently(&ring, 3);
        claim_silently(&ring, 5);
        push(&ring, 0, 2, 10);
        ck_assert(!pop(&ring, false, NOW, &who, &number));
        ck_assert(!pop(&ring, false, NOW + LIMIT_ABANDONED_NS - 1, &who, &number));
        push(&ring, 0, 3, 10);
        ck_assert(pop(&ring, false, NOW + LIMIT_ABANDONED_NS, &who, &number));
        ck_assert_int_eq(number, 2);
        assert_pops(&ring, 3);
        /* The gap was two records and counted as one: the number of those outstanding is right again. */
        assert_empty(&ring);
        ring_drop(&ring);
}
END_TEST

/* Only what has been stuck for long is given up, not what was claimed a moment ago. */
START_TEST(test_ring_pop_claimed_spares_the_young)
{
        struct ring ring = make_ring(100);
        int64_t who, number;
        uint64_t at;

        claim_silently(&ring, 3);
        ck_assert(!pop(&ring, false, NOW, &who, &number));
        at = mark_cells(atomic_load(&ring.header->head));
        claim_silently(&ring, 4);
        ck_assert(!pop(&ring, false, NOW + LIMIT_ABANDONED_NS, &who, &number));
        ck_assert_uint_eq(mark_cells(ring.tail), at);
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_pop_claimed_at_every_place)
{
        for (unsigned lead = 0; lead < LIMIT_RING_MIN / RING_CELL; lead += 37) {
                struct ring ring = make_ring(100);
                int64_t who, number;

                ring.tail = mark_advance(0, lead, 0);
                atomic_store(&ring.header->tail, ring.tail);
                atomic_store(&ring.header->head, ring.tail);
                claim_silently(&ring, 200);
                push(&ring, 0, 1, 9000);
                push(&ring, 0, 2, 9000);
                ck_assert(pop(&ring, true, NOW, &who, &number));
                ck_assert_int_eq(number, 1);
                assert_pops(&ring, 2);
                assert_empty(&ring);
                ring_drop(&ring);
        }
}
END_TEST

/* Its record was given up: the late writer must not make it readable. */
START_TEST(test_ring_pop_late_commit)
{
        struct ring ring = make_ring(100);
        int64_t who, number;
        uint64_t at = claim_and_reserve(&ring, 500), word = word_make(WORD_RESERVED, 500, at);

        ck_assert(!pop(&ring, false, NOW, &who, &number));
        ck_assert(!pop(&ring, false, NOW + LIMIT_ABANDONED_NS, &who, &number));
        ck_assert_uint_eq(ring_pending(&ring), 0);
        ck_assert(!atomic_compare_exchange_strong(ring_word(&ring, at), &word, 1));
        push(&ring, 0, 5, 10);
        assert_pops(&ring, 5);
        ring_drop(&ring);
}
END_TEST

static uint64_t noise_state = 88172645463325252ull;

static uint64_t noise(void)
{
        noise_state ^= noise_state << 13;
        noise_state ^= noise_state >> 7;
        noise_state ^= noise_state << 17;
        return noise_state;
}

/* Marks and words as bad as they can be: it ends, and no record is longer than the buffer. */
START_TEST(test_ring_pop_hostile_words)
{
        static char buf[LIMIT_RECORD];
        struct ring ring = make_ring(100);

        for (int round = 0; round < 20000; round++) {
                uint64_t at = mark_cells(ring.tail + noise() % ring.cells);
                uint64_t word = word_make((enum word_state)(noise() & 3), noise() % (WORD_LEN_MAX + 1),
                                          noise() & 1 ? at : noise());

                atomic_store(ring_word(&ring, at), word);
                if (noise() & 1)
                        atomic_store(ring_word(&ring, mark_cells(ring.tail)),
                                     word_make(WORD_COMMITTED, noise() % (LIMIT_RECORD * 2), ring.tail));
                atomic_store(&ring.header->head,
                             noise() & 3 ? mark_advance(ring.tail, noise() % ring.cells, noise()) : noise());
                ck_assert_uint_le(ring_pop(&ring, buf, noise() & 1, NOW + (uint64_t)round * 1000000000), LIMIT_RECORD);
                ck_assert_uint_le(ring_pending(&ring), 100);
                (void)ring_sleep(&ring, 0);
        }
        ring_drop(&ring);
}
END_TEST

START_TEST(test_ring_pop_endless_padding)
{
        static char buf[LIMIT_RECORD];
        struct ring ring = make_ring(100);
        uint64_t used = ring.cells;

        for (uint64_t i = 0; i < used; i++)
                atomic_store(ring_word(&ring, i), word_make(WORD_PADDING, RING_CELL - RING_WORD_SIZE, i));
        atomic_store(&ring.header->head, mark_advance(0, used, 0));
        ck_assert_uint_eq(ring_pop(&ring, buf, false, NOW), 0);
        ck_assert_uint_eq(mark_cells(ring.tail), used);
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
        ck_assert_int_eq(ring_attach(&reader, ring.fd), 0);
        len = ring_open_take(&reader, &cursor, buf);
        ck_assert(record_read(slice_make(buf, len), &back));
        ck_assert_int_eq(back.attrs[1].num, 0);
        len = ring_open_take(&reader, &cursor, buf);
        ck_assert(record_read(slice_make(buf, len), &back));
        ck_assert_int_eq(back.attrs[1].num, 2);
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

/* A file with a header of the caller's choice. */
static int file_with(const struct ring_header *header, size_t size, int seals)
{
        int fd = memfd_create("test", MFD_ALLOW_SEALING);

        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        ck_assert_int_eq(pwrite(fd, header, sizeof(*header), 0), (ssize_t)sizeof(*header));
        if (seals)
                ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static int attach(const struct ring_header *header, size_t size, int seals)
{
        int fd = file_with(header, size, seals);
        struct ring ring;
        int result = ring_attach(&ring, fd);

        if (result == 0)
                ring_detach(&ring);
        close(fd);
        return result;
}

START_TEST(test_ring_attach_bad_headers)
{
        struct ring ring = make_ring(10);
        struct ring_header good, bad;
        size_t size = ring.map_len;
        int fds[2];

        memcpy(&good, ring.header, sizeof(good));
        ck_assert_int_eq(attach(&good, size, F_SEAL_SHRINK), 0);
        ck_assert_int_eq(attach(&good, size, 0), -EINVAL);
        ck_assert_int_eq(attach(&good, size + 4096, F_SEAL_SHRINK), -EINVAL);
        ck_assert_int_eq(attach(&good, size - 4096, F_SEAL_SHRINK), -EINVAL);
        ck_assert_int_eq(attach(&good, sizeof(good) - 1, F_SEAL_SHRINK), -EINVAL);
#define BAD(field, value)                                                                \
        do {                                                                             \
                bad = good;                                                              \
                bad.field = (value);                                                     \
                ck_assert_int_eq(attach(&bad, size, F_SEAL_SHRINK), -EINVAL); \
        } while (0)
        BAD(magic, 0);
        BAD(version, RING_VERSION + 1);
        BAD(header_size, 8);
        BAD(header_size, UINT32_MAX);
        BAD(meta_size, UINT64_MAX);
        BAD(meta_size, good.meta_size - 1);
        BAD(open_size, UINT64_MAX);
        BAD(open_slot_size, 0);
        BAD(open_slots, UINT32_MAX);
        BAD(data_size, 0);
        BAD(data_size, good.data_size - RING_CELL);
        BAD(data_size, 1ull << 63);
        BAD(record_max, 0);
        BAD(record_max, UINT32_MAX);
#undef BAD
        ck_assert_int_eq(pipe(fds), 0);
        ck_assert_int_eq(ring_attach(&ring, fds[0]), -EINVAL);
        ck_assert_int_eq(ring_attach(&ring, -1), -EINVAL);
}
END_TEST

/* Sizes that change after they were checked are not looked at again. */
START_TEST(test_ring_attach_header_changed_later)
{
        struct ring ring = make_ring(10), reader;
        unsigned cursor = 0;
        static char buf[LIMIT_RECORD];

        ck_assert_int_eq(ring_attach(&reader, ring.fd), 0);
        push(&ring, 0, 1, 10);
        memset(ring.header, 0xff, offsetof(struct ring_header, head));
        assert_pops(&reader, 1);
        assert_empty(&reader);
        ck_assert_uint_eq(ring_open_take(&reader, &cursor, buf), 0);
        ring_detach(&reader);
        ring_drop(&ring);
}
END_TEST

/* A consumer that died in between: the next goes on where it stopped. */
START_TEST(test_ring_attach_resumes)
{
        struct ring ring = make_ring(10), reader;

        for (int64_t i = 0; i < 6; i++)
                push(&ring, 0, i, 10);
        ck_assert_int_eq(ring_attach(&reader, ring.fd), 0);
        assert_pops(&reader, 0);
        assert_pops(&reader, 1);
        ring_detach(&reader);
        ck_assert_int_eq(ring_attach(&reader, ring.fd), 0);
        for (int64_t i = 2; i < 6; i++)
                assert_pops(&reader, i);
        assert_empty(&reader);
        ring_detach(&reader);
        ring_drop(&ring);
}
END_TEST

__attribute__((constructor)) static void fill_letters(void)
{
        for (size_t i = 0; i < sizeof(letters); i++)
                letters[i] = (char)('a' + i % 26);
}

UNIT_MAIN("ring", test_ring_push_and_pop_in_order, test_ring_push_many_laps_of_all_sizes,
          test_ring_push_after_positions_wrapped, test_ring_push_full_by_count, test_ring_push_full_by_bytes,
          test_ring_push_too_large, test_ring_push_hostile_tail, test_ring_push_from_threads,
          test_ring_push_from_processes, test_ring_pop_killed_producer, test_ring_pop_reserved_never_committed,
          test_ring_pop_reserved_and_committed_in_time, test_ring_pop_claimed_and_no_word,
          test_ring_pop_claimed_spares_the_young, test_ring_pop_claimed_at_every_place,
          test_ring_pop_late_commit, test_ring_pop_hostile_words, test_ring_pop_endless_padding,
          test_ring_wake_first_and_after_sleep, test_ring_wake_consumer_on_its_timer,
          test_ring_wake_high_water, test_ring_wake_due_when_full, test_ring_wake_is_never_missed,
          test_ring_open_put_take_clear, test_ring_open_put_all_taken, test_ring_meta_appended_and_full,
          test_ring_create_sealed_high_and_small, test_ring_create_file_size_limit,
          test_ring_create_without_means, test_ring_attach_bad_headers,
          test_ring_attach_header_changed_later, test_ring_attach_resumes)
