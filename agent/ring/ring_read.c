/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer's side. Everything in the mapping is taken for written by an enemy: sizes are checked
 * once and never read again, positions are our own, a length is believed only where it fits.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/base/sys.h"
#include "agent/ring/ring_layout.h"

/* Of another build, but still no larger than this. */
#define HEADER_SIZE_MAX (64 * 1024)
#define META_SIZE_MAX   (1024 * 1024)
#define OPEN_SIZE_MAX   (16 * 1024 * 1024)
#define SLOT_SIZE_MIN   64

static bool power_of_two(uint64_t n)
{
        return n && (n & (n - 1)) == 0;
}

static bool sizes_plausible(const struct ring_header *header, uint64_t file_size)
{
        if (header->magic != RING_MAGIC || header->version != RING_VERSION)
                return false;
        if (header->header_size < sizeof(*header) || header->header_size > HEADER_SIZE_MAX ||
            header->header_size % RING_CELL)
                return false;
        if (header->meta_size > META_SIZE_MAX || header->meta_size % RING_CELL ||
            header->open_size > OPEN_SIZE_MAX)
                return false;
        if (header->open_slot_size < SLOT_SIZE_MIN || header->open_slot_size % RING_CELL ||
            (uint64_t)header->open_slots * header->open_slot_size != header->open_size)
                return false;
        if (!power_of_two(header->data_size) || header->data_size < LIMIT_RING_MIN ||
            header->data_size > LIMIT_RING_MAX)
                return false;
        if (header->record_max == 0 || header->record_max > RING_RECORDS_MAX)
                return false;
        return header->header_size + header->meta_size + header->open_size + header->data_size == file_size;
}

/* Return: 0 and the size of a file that cannot shrink under our reading, which would be a SIGBUS. */
static int file_check(int fd, uint64_t *ret_size)
{
        struct stat file;
        int seals = sys_fcntl(fd, F_GET_SEALS, 0);

        if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &file) < 0 || !S_ISREG(file.st_mode))
                return -EINVAL;
        if (file.st_size < (off_t)sizeof(struct ring_header) ||
            file.st_size > HEADER_SIZE_MAX + META_SIZE_MAX + OPEN_SIZE_MAX + LIMIT_RING_MAX)
                return -EINVAL;
        *ret_size = (uint64_t)file.st_size;
        return 0;
}

int ring_attach(struct ring *ret_ring, int fd)
{
        struct ring_header copy;
        uint64_t size;
        unsigned char *map;

        if (file_check(fd, &size))
                return -EINVAL;
        map = sys_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
        if (!map)
                return -ENOMEM;
        memcpy(&copy, map, offsetof(struct ring_header, head));
        if (!sizes_plausible(&copy, size)) {
                (void)sys_munmap(map, size); /* ours: cannot fail */
                return -EINVAL;
        }
        *ret_ring = (struct ring){
                .header = (struct ring_header *)(void *)map,
                .meta = map + copy.header_size,
                .open = map + copy.header_size + copy.meta_size,
                .data = map + copy.header_size + copy.meta_size + copy.open_size,
                .map_len = size,
                .fd = -1,
                .cells = (uint32_t)(copy.data_size / RING_CELL),
                .meta_size = (uint32_t)copy.meta_size,
                .record_max = copy.record_max,
                .open_slots = copy.open_slots,
                .open_slot_size = copy.open_slot_size,
        };
        /* Where the consumer before us stopped. */
        ret_ring->tail = atomic_load(&ret_ring->header->tail);
        return 0;
}

void ring_detach(struct ring *ring)
{
        if (ring->header)
                (void)sys_munmap(ring->header, ring->map_len); /* ours: cannot fail */
        *ring = (struct ring){.fd = -1};
}

/* Does @word stand where it says, and does what it announces lie within @used cells and before the end? */
static bool word_fits(const struct ring *ring, uint64_t word, uint64_t position, uint64_t used)
{
        uint64_t cells = len_cells(word_len(word));

        if (word_state(word) == WORD_FREE || (word & MARK_CELLS) != mark_cells(position))
                return false;
        if (word_state(word) != WORD_PADDING && (word_len(word) == 0 || word_len(word) > LIMIT_RECORD))
                return false;
        return cells <= used && (position & (ring->cells - 1)) + cells <= ring->cells;
}

/* Zero, and no longer ours. */
static void release_cells(struct ring *ring, uint64_t cells, uint64_t records)
{
        uint64_t position = mark_cells(ring->tail);
        uint64_t head, first = MIN(cells, ring->cells - (position & (ring->cells - 1)));

        memset(ring_cell(ring, position), 0, first * RING_CELL);
        memset(ring->data, 0, (cells - first) * RING_CELL);
        ring->tail = mark_advance(ring->tail, cells, records);
        /* A gap may have been several records: once nothing is left, the count is known again. */
        head = atomic_load_explicit(&ring->header->head, memory_order_acquire);
        if (mark_cells(head) == mark_cells(ring->tail))
                ring->tail = head;
        atomic_store_explicit(&ring->header->tail, ring->tail, memory_order_release);
}

static void count_abandoned(struct ring *ring)
{
        atomic_fetch_add_explicit(&ring->header->stats[STAT_DROPPED_ABANDONED], 1, memory_order_relaxed);
}

/*
 * Nothing readable stands at the tail. Return: how many of the @used cells its producer has had for
 * longer than the limit (all, when it is dead), 0 = wait on.
 */
static uint64_t stuck_cells(struct ring *ring, uint64_t used, bool dead, uint64_t now_mono_ns)
{
        if (dead)
                return used;
        if (ring->stuck_since_ns == 0 || ring->stuck_at != mark_cells(ring->tail)) {
                ring->stuck_at = mark_cells(ring->tail);
                ring->stuck_head = mark_cells(ring->tail + used);
                ring->stuck_since_ns = MAX(now_mono_ns, (uint64_t)1);
                return 0;
        }
        if (now_mono_ns - ring->stuck_since_ns < LIMIT_ABANDONED_NS || now_mono_ns < ring->stuck_since_ns)
                return 0;
        return MIN(mark_cells_between(ring->stuck_at, ring->stuck_head), used);
}

/*
 * Nobody knows how long the record at the tail was to be: its producer did not even get to its word, so
 * its cells are as we left them, zero. The next word that stands where it says is the next record.
 */
static uint64_t gap_cells(const struct ring *ring, uint64_t used, uint64_t stuck)
{
        for (uint64_t gap = 1; gap < stuck; gap++) {
                uint64_t position = mark_cells(ring->tail + gap);

                if (word_fits(ring, atomic_load(ring_word(ring, position)), position, used - gap))
                        return gap;
        }
        return stuck;
}

/* Step over a record that will never be committed. Return: cells passed, 0 = wait for it. */
static uint64_t skip_abandoned(struct ring *ring, uint64_t word, uint64_t used, bool dead,
                               uint64_t now_mono_ns)
{
        _Atomic uint64_t *at = ring_word(ring, mark_cells(ring->tail));
        uint64_t stuck = stuck_cells(ring, used, dead, now_mono_ns);
        uint64_t cells;

        if (stuck == 0)
                return 0;
        if (!word_fits(ring, word, mark_cells(ring->tail), used))
                cells = gap_cells(ring, used, stuck);
        else if (atomic_compare_exchange_strong(at, &word, 0))
                cells = len_cells(word_len(word));
        else
                return 0; /* committed at the last moment: readable at the next look */
        ring->stuck_since_ns = 0;
        count_abandoned(ring);
        release_cells(ring, cells, 1);
        return cells;
}

size_t ring_pop(struct ring *ring, void *buf, bool dead, uint64_t now_mono_ns)
{
        uint64_t passed = 0;

        /* Who writes nothing but padding, without end, does not keep us here. */
        while (passed <= ring->cells) {
                uint64_t head = atomic_load_explicit(&ring->header->head, memory_order_acquire);
                uint64_t used = mark_cells_between(ring->tail, head);
                uint64_t position = mark_cells(ring->tail);
                uint64_t word, cells;

                if (used == 0 || used > ring->cells)
                        return 0;
                word = atomic_load(ring_word(ring, position));
                if (!word_fits(ring, word, position, used) || word_state(word) == WORD_RESERVED) {
                        cells = skip_abandoned(ring, word, used, dead, now_mono_ns);
                        if (cells == 0)
                                return 0;
                        passed += cells;
                        continue;
                }
                ring->stuck_since_ns = 0;
                cells = len_cells(word_len(word));
                if (word_state(word) == WORD_COMMITTED) {
                        memcpy(buf, ring_cell(ring, position) + RING_WORD_SIZE, word_len(word));
                        release_cells(ring, cells, 1);
                        return word_len(word);
                }
                release_cells(ring, cells, 0);
                passed += cells;
        }
        return 0;
}

bool ring_sleep(struct ring *ring, uint64_t wake_after_ns)
{
        uint64_t used, word;

        atomic_store(&ring->header->wake_after_ns, wake_after_ns);
        if (wake_after_ns)
                return true; /* the consumer comes back by itself */
        used = mark_cells_between(ring->tail, atomic_load(&ring->header->head));
        if (used == 0 || used > ring->cells)
                return true;
        word = atomic_load(ring_word(ring, mark_cells(ring->tail)));
        return !word_fits(ring, word, mark_cells(ring->tail), used) || word_state(word) == WORD_RESERVED;
}

size_t ring_open_take(struct ring *ring, unsigned *cursor, void *buf)
{
        while (*cursor < ring->open_slots) {
                _Atomic uint64_t *word = open_word(ring, (*cursor)++);
                /* Taken once, even by a consumer that is started again in the midst of it. */
                uint64_t len = atomic_exchange(word, 0);

                if (len == 0 || len > ring->open_slot_size - RING_WORD_SIZE || len > LIMIT_RECORD)
                        continue;
                memcpy(buf, (unsigned char *)word + RING_WORD_SIZE, len);
                return len;
        }
        return 0;
}

size_t ring_open_peek(const struct ring *ring, unsigned *cursor, void *buf, size_t size)
{
        size_t max = MIN(ring->open_slot_size - RING_WORD_SIZE, size);

        while (*cursor < ring->open_slots) {
                _Atomic uint64_t *word = open_word(ring, (*cursor)++);
                uint64_t len = atomic_load(word);

                if (len == 0 || len > max)
                        continue;
                memcpy(buf, (unsigned char *)word + RING_WORD_SIZE, len);
                return len;
        }
        return 0;
}
