/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

/**
 * relay_name() - the abstract address under which our relay is found
 * @suffix: 0, or up to LIMIT_RELAY_NAMES - 1 for the next one when a name is held by somebody else
 *
 * Differs by user, export configuration, proxies and certificates of the environment, and pid and mount
 * namespace: containers that share a network stay apart.
 *
 * Context: hook.
 * Return: length of the address.
 */
socklen_t relay_name(unsigned suffix, struct sockaddr_un *ret_name);

/**
 * relay_peer_trusted() - is whoever listens at the other end of @fd this user?
 *
 * Context: hook.
 */
bool relay_peer_trusted(int fd);
