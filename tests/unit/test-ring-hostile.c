/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's side: producers that died, records never finished, words and headers of an enemy. */
#include "agent/ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "tests/unit/rings.h"

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
                ck_assert_uint_le(ring_pop(&ring, buf, noise() & 1, NOW + (uint64_t)round * 1000000000),
                                  LIMIT_RECORD);
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
#define BAD(field, value)                                                     \
        do {                                                                  \
                bad = good;                                                   \
                bad.field = (value);                                          \
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

UNIT_MAIN("ring-hostile", test_ring_pop_killed_producer, test_ring_pop_reserved_never_committed,
          test_ring_pop_reserved_and_committed_in_time, test_ring_pop_claimed_and_no_word,
          test_ring_pop_claimed_spares_the_young, test_ring_pop_claimed_at_every_place,
          test_ring_pop_late_commit, test_ring_pop_hostile_words, test_ring_pop_endless_padding,
          test_ring_attach_bad_headers, test_ring_attach_header_changed_later, test_ring_attach_resumes)
