/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What addresses were last looked up under: a fixed table, lock-free, newest wins. A reader that
 * meets a writer simply finds nothing.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "agent/base/limits.h"
#include "agent/base/room.h"
#include "agent/base/slice.h"

/* A peer as we keep it: IPv4 or IPv6 by value, UNIX sockets by path. */
struct peer {
        union {
                struct sockaddr any;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } addr;
        uint32_t len;    /* 0: not known, or not IP */
        uint32_t lookup; /* number of the look-up that gave the address; 0: none */
        uint16_t name_len;
        struct room name; /* looked-up name, or the UNIX path; not terminated */
};

/* A number for a new look-up, never 0. Context: signal. */
uint32_t names_lookup_number(void);

/**
 * names_remember() - @addr was found under @name by look-up @lookup
 *
 * Names longer than LIMIT_HOST_NAME and addresses other than IPv4/IPv6 are not kept.
 *
 * Context: signal.
 */
void names_remember(const struct sockaddr *addr, struct slice name, uint32_t lookup);

/**
 * peer_fill() - keep @addr in @ret_peer, with the name that it was last looked up under
 * @ret_peer: its name holds nothing yet
 *
 * Context: signal. Return: false for an address family that we do not trace.
 */
bool peer_fill(struct peer *ret_peer, const struct sockaddr *addr, socklen_t len);

/* @name (at most LIMIT_HOST_NAME bytes of it) in place of what @peer is called. Context: signal. */
void peer_call(struct peer *peer, struct slice name);

/* Port in host byte order, 0 for UNIX sockets. */
int peer_port(const struct peer *peer);
