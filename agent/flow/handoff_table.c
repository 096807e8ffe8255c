/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/handoff_table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/sys.h"

#define HOLDERS   11
#define OPEN      1ull          /* of a slot's word; above it the serial */
#define JOIN_NS   1000000000ull /* a child that has not joined by then was never born */
#define NAME_BITS 8             /* of a name: slot + 1; above it the serial */

/*
 * What stands below the word is marked with the low half of the serial that it was written for: who comes too
 * late does not touch what its slot is used for now.
 */
struct slot {
        _Atomic uint64_t word;
        _Atomic uint64_t forked_ns;        /* CLOCK_MONOTONIC of the latest fork */
        _Atomic uint64_t owner_ns;         /* CLOCK_MONOTONIC when the owner lived */
        _Atomic uint32_t owner;            /* who read the request ... */
        _Atomic uint32_t shown;            /* ... and is told of by others when killed */
        _Atomic uint64_t expected;         /* marked: children that did not join yet */
        _Atomic uint64_t holders[HOLDERS]; /* marked: process ids, 0 = free */
};

_Static_assert(sizeof(struct slot) == 128, "none has a part of another one's cache line");
_Static_assert(HANDOFF_SLOTS < 1 << NAME_BITS, "a slot fits into a name");

static struct slot *_Atomic table;
static uint32_t parent; /* when this process began */

static struct slot *slots(void)
{
        struct slot *now = atomic_load_explicit(&table, memory_order_acquire), *made;

        if (now)
                return now;
        made = sys_mmap(HANDOFF_SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1);
        if (!made || atomic_compare_exchange_strong(&table, &now, made))
                return made;
        (void)sys_munmap(made, HANDOFF_SLOTS * sizeof(struct slot));
        return now;
}

static struct slot *slot_of(uint64_t name)
{
        return &atomic_load_explicit(&table, memory_order_acquire)[handoff_slot(name)];
}

static uint64_t serial_of(uint64_t name)
{
        return name >> NAME_BITS;
}

static uint64_t open_word_of(uint64_t name)
{
        return serial_of(name) << 1 | OPEN;
}

static uint64_t marked(uint64_t serial, uint32_t value)
{
        return serial << 32 | value;
}

/* Return: 0 when it was written for another serial. */
static uint32_t value_of(uint64_t word, uint64_t serial)
{
        return word >> 32 == (uint32_t)serial ? (uint32_t)word : 0;
}

static uint32_t parent_now(void)
{
        return (uint32_t)sys_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

/* A zombie is gone as well: of our own children the kernel tells, without taking the host's news from it. */
static bool lives(uint32_t pid)
{
        siginfo_t info = {.si_pid = 0};

        if (sys_call(SYS_waitid, P_PID, pid, (long)&info, WEXITED | WNOHANG | WNOWAIT, 0, 0) == 0 &&
            info.si_pid == (pid_t)pid)
                return false;
        return sys_call(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH;
}

/* Does anybody but @self (0: anybody) hold it? */
static bool is_held(struct slot *slot, uint64_t serial, uint32_t self)
{
        if (value_of(atomic_load(&slot->expected), serial) &&
            clock_mono_ns() - atomic_load(&slot->forked_ns) < JOIN_NS)
                return true;
        for (unsigned i = 0; i < HOLDERS; i++) {
                uint32_t pid = value_of(atomic_load(&slot->holders[i]), serial);

                if (pid && pid != self && lives(pid))
                        return true;
        }
        return false;
}

/* Return: false without room. */
static bool hold(struct slot *slot, uint64_t serial)
{
        for (unsigned i = 0; i < HOLDERS; i++) {
                uint64_t holder = atomic_load(&slot->holders[i]);
                uint32_t pid = value_of(holder, serial);

                if ((!pid || !lives(pid)) &&
                    atomic_compare_exchange_strong(&slot->holders[i], &holder,
                                                   marked(serial, (uint32_t)sys_getpid())))
                        return true;
        }
        return false;
}

static void let_go(struct slot *slot, uint64_t serial)
{
        for (unsigned i = 0; i < HOLDERS; i++) {
                uint64_t own = marked(serial, (uint32_t)sys_getpid());

                (void)atomic_compare_exchange_strong(&slot->holders[i], &own, 0);
        }
}

/* Held before it is open: nobody may take it for a dead process's meanwhile. */
static bool take(struct slot *slot, uint64_t word)
{
        uint64_t serial = (word >> 1) + 1;

        (void)hold(slot, serial);
        if (!atomic_compare_exchange_strong(&slot->word, &word, serial << 1 | OPEN)) {
                let_go(slot, serial);
                return false;
        }
        atomic_store(&slot->owner, (uint32_t)sys_getpid());
        atomic_store(&slot->owner_ns, clock_mono_ns());
        atomic_store(&slot->shown, 0);
        return true;
}

static uint64_t name_of(const struct slot *slot, unsigned index)
{
        return (atomic_load(&slot->word) >> 1) << NAME_BITS | (index + 1);
}

uint64_t handoff_table_add(uint64_t avoid)
{
        struct slot *all = slots();

        /* At first only what is free; then what nobody lives for any more. */
        for (unsigned i = 0; all && i < 2 * HANDOFF_SLOTS; i++) {
                struct slot *slot = &all[i % HANDOFF_SLOTS];
                uint64_t word = atomic_load(&slot->word);

                if (avoid >> i % HANDOFF_SLOTS & 1)
                        continue;
                if (word & OPEN &&
                    (i < HANDOFF_SLOTS || is_held(slot, word >> 1, 0) || lives(atomic_load(&slot->owner))))
                        continue;
                if (take(slot, word))
                        return name_of(slot, i % HANDOFF_SLOTS);
        }
        return HANDOFF_NONE;
}

void handoff_table_shown(uint64_t name, bool shown)
{
        atomic_store(&slot_of(name)->shown, shown);
}

/* One more that is expected, or one less. */
static void expect(struct slot *slot, uint64_t serial, bool more)
{
        uint64_t seen = atomic_load(&slot->expected);
        uint32_t count;

        do {
                count = value_of(seen, serial);
                if (!more && !count)
                        return;
        } while (!atomic_compare_exchange_weak(&slot->expected, &seen,
                                               marked(serial, more ? count + 1 : count - 1)));
}

void handoff_table_expect(uint64_t name)
{
        struct slot *slot = slot_of(name);
        uint64_t now_ns = clock_mono_ns();

        if (!handoff_table_open(name))
                return;
        atomic_store(&slot->forked_ns, now_ns);
        if (atomic_load(&slot->owner) == (uint32_t)sys_getpid())
                atomic_store(&slot->owner_ns, now_ns);
        expect(slot, serial_of(name), true);
}

void handoff_table_join(uint64_t name, bool awaited)
{
        parent = parent_now();
        /* Without room it stays awaited, as long as that is waited for. */
        if (handoff_table_open(name) && hold(slot_of(name), serial_of(name)) && awaited)
                expect(slot_of(name), serial_of(name), false);
}

void handoff_table_leave(uint64_t name)
{
        let_go(slot_of(name), serial_of(name));
}

bool handoff_table_others(uint64_t name)
{
        return handoff_table_open(name) && is_held(slot_of(name), serial_of(name), (uint32_t)sys_getpid());
}

bool handoff_table_open(uint64_t name)
{
        return atomic_load(&slot_of(name)->word) == open_word_of(name);
}

/* A parent that nobody has waited for yet is gone as well. */
static bool owner_lives(const struct slot *slot)
{
        uint32_t owner = atomic_load(&slot->owner);

        return owner == (uint32_t)sys_getpid() || (owner == parent ? parent_now() == parent : lives(owner));
}

bool handoff_table_claim(uint64_t name)
{
        struct slot *slot = slot_of(name);
        uint64_t word = open_word_of(name);
        /* Of what a killed process showed, others wait so long for word of who lives. */
        bool told = atomic_load(&slot->shown) &&
                    clock_mono_ns() - atomic_load(&slot->owner_ns) >= LIMIT_SHARED_NS && !owner_lives(slot);

        return atomic_compare_exchange_strong(&slot->word, &word, word & ~OPEN) && !told;
}
