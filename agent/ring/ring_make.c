/* SPDX-License-Identifier: Apache-2.0 */
/* The making of a ring, on the host's thread. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/base/clock.h"
#include "agent/base/sys.h"
#include "agent/ring/ring_layout.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define OPEN_SIZE  ((size_t)LIMIT_OPEN_SPANS * LIMIT_OPEN_SPAN_SIZE)
#define FIXED_SIZE (RING_HEADER_SIZE + (size_t)LIMIT_RING_META + OPEN_SIZE)

static size_t data_wanted(uint64_t record_max)
{
        size_t size = LIMIT_RING_MIN;

        while (size < LIMIT_RING_MAX && size / LIMIT_RECORD_AVERAGE < record_max)
                size *= 2;
        return size;
}

/* Growing a file over RLIMIT_FSIZE would raise SIGXFSZ in the host. Return: data bytes, 0 = no room. */
static size_t data_permitted(size_t size)
{
        struct rlimit limit;

        if (sys_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0) < 0)
                return 0;
        while (size >= LIMIT_RING_MIN && FIXED_SIZE + size > limit.rlim_cur)
                size /= 2;
        return size >= LIMIT_RING_MIN ? size : 0;
}

static int memfd_make(void)
{
        const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        long fd = sys_call(SYS_memfd_create, (long)"otel-instrument", flags | MFD_NOEXEC_SEAL, 0, 0, 0, 0);

        /* Kernels before 6.3 do not know the flag; some later ones insist on it (vm.memfd_noexec). */
        if (fd == -EINVAL)
                fd = sys_call(SYS_memfd_create, (long)"otel-instrument", flags, 0, 0, 0, 0);
        return (int)fd;
}

/*
 * Pages of a memfd are accounted when they are touched: where the machine never promises memory that
 * it has not got (vm.overcommit_memory=2) a first touch may end in SIGBUS, so there they are taken
 * beforehand, or there is no ring.
 */
static int pages_reserve(int fd, size_t size)
{
        int setting = sys_open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC, 0);
        char mode = '0';

        if (setting >= 0) {
                (void)sys_read(setting, &mode, 1); /* unreadable: taken for the default */
                (void)sys_close(setting);          /* read only */
        }
        if (mode != '2')
                return 0;
        return (int)sys_call(SYS_fallocate, fd, 0, 0, (long)size, 0, 0);
}

static int memfd_prepare(int fd, size_t size)
{
        int result = (int)sys_call(SYS_ftruncate, fd, (long)size, 0, 0, 0, 0);

        if (result == 0)
                result = pages_reserve(fd, size);
        if (result == 0)
                result = sys_fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        return result;
}

static void header_fill(struct ring_header *header, size_t data_size, uint32_t record_max)
{
        header->magic = RING_MAGIC;
        header->version = RING_VERSION;
        header->header_size = RING_HEADER_SIZE;
        header->meta_size = LIMIT_RING_META;
        header->open_size = OPEN_SIZE;
        header->data_size = data_size;
        header->open_slots = LIMIT_OPEN_SPANS;
        header->open_slot_size = LIMIT_OPEN_SPAN_SIZE;
        header->record_max = record_max;
        header->pid = (uint32_t)sys_getpid();
        header->generation_start_ns = clock_wall_ns(clock_mono_ns());
}

/*
 * The mapping is inherited by a forked child on purpose (no MADV_DONTFORK): a child that was made
 * behind our back and writes before anybody noticed must not fault. What keeps a child from writing
 * into its parent's ring is process_notice_fork() before each record, and home_after_fork().
 */
int ring_create(struct ring *ret_ring, uint64_t record_max)
{
        uint32_t records = (uint32_t)MIN(MAX(record_max, (uint64_t)1), (uint64_t)RING_RECORDS_MAX);
        size_t data_size = data_permitted(data_wanted(records));
        size_t map_len = FIXED_SIZE + data_size;
        unsigned char *map;
        int fd, result;

        if (data_size == 0)
                return -EFBIG;
        fd = memfd_make();
        if (fd < 0)
                return fd;
        result = memfd_prepare(fd, map_len);
        map = result ? NULL : sys_mmap(map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
        if (!map) {
                (void)sys_close(fd); /* memory: nothing is lost */
                return result ? result : -ENOMEM;
        }
        /* No part of the host's core dumps. */
        (void)sys_call(SYS_madvise, (long)map, (long)map_len, MADV_DONTDUMP, 0, 0, 0);
        header_fill((struct ring_header *)(void *)map, data_size, records);
        *ret_ring = (struct ring){
                .header = (struct ring_header *)(void *)map,
                .meta = map + RING_HEADER_SIZE,
                .open = map + RING_HEADER_SIZE + LIMIT_RING_META,
                .data = map + FIXED_SIZE,
                .map_len = map_len,
                .fd = sys_fd_high(fd),
                .cells = (uint32_t)(data_size / RING_CELL),
                .meta_size = LIMIT_RING_META,
                .record_max = records,
                .open_slots = LIMIT_OPEN_SPANS,
                .open_slot_size = LIMIT_OPEN_SPAN_SIZE,
        };
        return 0;
}
