/* SPDX-License-Identifier: Apache-2.0 */
#include "export/refine_draft.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "export/refine_attr.h"
#include "export/utf8.h"

_Static_assert(SEMCONV_FIRST_RAW <= 64, "struct refine_draft keeps a bit per exported key");

static const char *const semconv_names[SEMCONV_COUNT] = {
#define X(id, name) [SEMCONV_##id] = name,
        SEMCONV_ROWS(X)
#undef X
};

struct slice refine_draft_str(const struct refine_draft *draft, enum semconv key)
{
        return refine_attr_str(draft->raw, key);
}

int64_t refine_draft_int(const struct refine_draft *draft, enum semconv key)
{
        return refine_attr_int(draft->raw, key);
}

static struct out_attr *draft_slot(struct refine_draft *draft, enum semconv key, enum attr_type type)
{
        struct out_attr *attr;

        if (key >= SEMCONV_FIRST_RAW || draft->taken >> key & 1)
                return NULL;
        draft->taken |= 1ull << key;
        attr = &draft->attrs[draft->attr_count++];
        *attr = (struct out_attr){.key = semconv_names[key], .type = (uint8_t)type};
        return attr;
}

struct slice refine_draft_copy(struct refine_draft *draft, struct slice text)
{
        struct slice copy = utf8_copy(draft->arena, text);

        if (!copy.p)
                draft->failed = true;
        return copy;
}

void refine_draft_add_given(struct refine_draft *draft, enum semconv key, struct slice value)
{
        struct out_attr *attr = draft_slot(draft, key, ATTR_STR);

        if (attr)
                attr->str = refine_draft_copy(draft, value);
}

void refine_draft_add_str(struct refine_draft *draft, enum semconv key, struct slice value)
{
        if (value.len)
                refine_draft_add_given(draft, key, value);
}

void refine_draft_add_int(struct refine_draft *draft, enum semconv key, int64_t value)
{
        struct out_attr *attr = draft_slot(draft, key, ATTR_INT);

        if (attr)
                attr->num = value;
}

void refine_draft_add_bool(struct refine_draft *draft, enum semconv key, bool value)
{
        struct out_attr *attr = draft_slot(draft, key, ATTR_BOOL);

        if (attr)
                attr->num = value;
}

static struct refine_peer peer_v4(struct slice bytes)
{
        struct refine_peer peer = {.port = 0};
        struct sockaddr_in in;

        memcpy(&in, bytes.p, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, peer.address, sizeof(peer.address)); /* fits always */
        peer.port = ntohs(in.sin_port);
        return peer;
}

static struct refine_peer peer_v6(struct slice bytes)
{
        struct refine_peer peer = {.port = 0};
        struct sockaddr_in6 in;

        memcpy(&in, bytes.p, sizeof(in));
        /* On a dual-stack socket the network spoken is IPv4. */
        if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr))
                (void)inet_ntop(AF_INET, &in.sin6_addr.s6_addr[12], peer.address, sizeof(peer.address));
        else
                (void)inet_ntop(AF_INET6, &in.sin6_addr, peer.address, sizeof(peer.address));
        peer.port = ntohs(in.sin6_port);
        return peer;
}

struct refine_peer refine_draft_peer(const struct refine_draft *draft, enum semconv key)
{
        const struct attr *attr = refine_attr(draft->raw, key, ATTR_BYTES);
        sa_family_t family;

        if (!attr || attr->str.len < sizeof(family))
                return (struct refine_peer){.port = 0};
        memcpy(&family, attr->str.p, sizeof(family));
        if (family == AF_INET && attr->str.len >= sizeof(struct sockaddr_in))
                return peer_v4(attr->str);
        if (family == AF_INET6 && attr->str.len >= sizeof(struct sockaddr_in6))
                return peer_v6(attr->str);
        return (struct refine_peer){.port = 0};
}

void refine_draft_add_peer(struct refine_draft *draft, const struct refine_peer *peer)
{
        refine_draft_add_str(draft, SEMCONV_NETWORK_PEER_ADDRESS, slice_str(peer->address));
        if (peer->port)
                refine_draft_add_int(draft, SEMCONV_NETWORK_PEER_PORT, peer->port);
}
