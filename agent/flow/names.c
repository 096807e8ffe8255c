/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flow/names.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/un.h>

#include "agent/base/load.h"

#define WAYS 4

/* Guarded by an odd/even sequence: odd while it is being written. */
struct entry {
        _Atomic uint32_t sequence;
        uint32_t lookup;
        uint16_t family, name_len;
        uint8_t addr[16];
        char name[LIMIT_HOST_NAME];
};

static LARGE_TABLE struct entry entries[LIMIT_DNS_CACHE];
static _Atomic uint32_t lookups;

struct key {
        uint16_t family;
        uint8_t addr[16];
};

static bool key_of(const struct sockaddr *addr, struct key *ret)
{
        memset(ret, 0, sizeof(*ret));
        ret->family = addr->sa_family;
        if (addr->sa_family == AF_INET)
                memcpy(ret->addr, &((const struct sockaddr_in *)addr)->sin_addr, 4);
        else if (addr->sa_family == AF_INET6)
                memcpy(ret->addr, &((const struct sockaddr_in6 *)addr)->sin6_addr, 16);
        else
                return false;
        return true;
}

static struct entry *set_of(const struct key *key)
{
        uint64_t hash = hash_bytes(key, sizeof(*key), HASH_SEED);

        return &entries[((hash ^ hash >> 32) % (LIMIT_DNS_CACHE / WAYS)) * WAYS];
}

static bool matches(const struct entry *entry, const struct key *key)
{
        return entry->name_len && entry->family == key->family && memcmp(entry->addr, key->addr, 16) == 0;
}

uint32_t names_lookup_number(void)
{
        uint32_t number;

        do
                number = atomic_fetch_add_explicit(&lookups, 1, memory_order_relaxed) + 1;
        while (number == 0);
        return number;
}

/* The same address again, else the oldest of the set. */
static struct entry *place_for(struct entry *set, const struct key *key)
{
        struct entry *oldest = &set[0];

        for (int i = 0; i < WAYS; i++) {
                if (matches(&set[i], key))
                        return &set[i];
                if ((int32_t)(set[i].lookup - oldest->lookup) < 0)
                        oldest = &set[i];
        }
        return oldest;
}

void names_remember(const struct sockaddr *addr, struct slice name, uint32_t lookup)
{
        struct entry *entry;
        struct key key;
        uint32_t sequence;

        if (!name.len || name.len > LIMIT_HOST_NAME || !key_of(addr, &key))
                return;
        entry = place_for(set_of(&key), &key);
        sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
        if (sequence & 1 ||
            !atomic_compare_exchange_strong_explicit(&entry->sequence, &sequence, sequence + 1,
                                                     memory_order_acquire, memory_order_relaxed))
                return; /* somebody writes it now: their news is as good as ours */
        entry->lookup = lookup;
        entry->family = key.family;
        memcpy(entry->addr, key.addr, sizeof(key.addr));
        memcpy(entry->name, name.p, name.len);
        entry->name_len = (uint16_t)name.len;
        atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
}

void peer_call(struct peer *peer, struct slice name)
{
        size_t len = MIN(name.len, (size_t)LIMIT_HOST_NAME);

        room_give(&peer->name);
        peer->name_len = 0;
        if (len == 0 || !room_take(&peer->name, len))
                return;
        memcpy(peer->name.p, name.p, len);
        peer->name_len = (uint16_t)len;
}

static void find_name(struct peer *peer, const struct key *key)
{
        struct entry *set = set_of(key);

        for (int i = 0; i < WAYS; i++) {
                uint32_t sequence = atomic_load_explicit(&set[i].sequence, memory_order_acquire);

                if (sequence & 1 || !matches(&set[i], key))
                        continue;
                peer_call(peer, slice_make(set[i].name, set[i].name_len));
                peer->lookup = set[i].lookup;
                /* A write of nothing, because it may not pass the reads before it as a load could. */
                if (atomic_fetch_add_explicit(&set[i].sequence, 0, memory_order_acq_rel) == sequence)
                        return;
                room_give(&peer->name);
                peer->name_len = 0;
                peer->lookup = 0;
        }
}

static bool fill_unix(struct peer *peer, const struct sockaddr_un *addr, socklen_t len)
{
        size_t path_max = len - offsetof(struct sockaddr_un, sun_path);
        size_t path_len = addr->sun_path[0] ? strnlen(addr->sun_path, path_max) : 0;

        peer_call(peer, slice_make(addr->sun_path, path_len));
        return true;
}

bool peer_fill(struct peer *ret_peer, const struct sockaddr *addr, socklen_t len)
{
        struct key key;

        ret_peer->len = 0;
        ret_peer->lookup = 0;
        ret_peer->name_len = 0;
        if (!addr || len < sizeof(sa_family_t))
                return false;
        if (addr->sa_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path))
                return fill_unix(ret_peer, (const struct sockaddr_un *)addr, len);
        if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
                ret_peer->len = sizeof(struct sockaddr_in);
        else if (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
                ret_peer->len = sizeof(struct sockaddr_in6);
        else
                return false;
        memcpy(&ret_peer->addr, addr, ret_peer->len);
        if (key_of(addr, &key))
                find_name(ret_peer, &key);
        return true;
}

int peer_port(const struct peer *peer)
{
        if (!peer->len)
                return 0;
        /* sin_port and sin6_port stand at the same place. */
        return ntohs(peer->addr.in.sin_port);
}
