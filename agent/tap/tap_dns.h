/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The door between hooks and agent, for name look-ups. Same laws as tap_net.h. Context: hook. */
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct tap_lookup {
        uint64_t start_ns; /* 0: not looked at */
};

void tap_dns_begin(struct tap_lookup *lookup);

/**
 * tap_dns_end() - getaddrinfo came back
 * @result: its return value (EAI_*), 0 = success
 * @list: the answers on success
 * @report: false: remember good answers but make no span of a failure (libcurl's own look-ups, numeric
 *          checks, passive sockets)
 */
void tap_dns_end(struct tap_lookup *lookup, const char *node, const char *service, int result,
                 const struct addrinfo *list, bool report);

/* gethostbyname and its kin: @error is an h_errno value, 0 = success. */
void tap_dns_end_hostent(struct tap_lookup *lookup, const char *name, int error, const struct hostent *entry);
