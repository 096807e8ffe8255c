/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What proxies say of the request that they pass on: Forwarded (RFC 7239) and the X-Forwarded-* fields that
 * it replaced. All of it is text from the network. No state.
 */
#include "export/refine_draft.h"

/**
 * refine_forwarded_get() - a parameter of a Forwarded field
 * @arena: holds the value where it had to be unquoted
 * @name: in lower case
 *
 * The first of that name: what the proxy nearest to the client said. Whatever follows a pair that is none is
 * not looked at.
 *
 * Context: worker.
 * Return: its value without quotes, or an empty slice.
 */
struct slice refine_forwarded_get(struct arena *arena, struct slice field, struct slice name);

/* The first element of a comma-separated list, without blanks and quotes. Context: worker. */
struct slice refine_forwarded_first(struct slice list);

/**
 * refine_forwarded_node() - the address that a proxy names
 *
 * IPv4 or IPv6, the latter with or without brackets, perhaps with a port. "unknown" and made-up identifiers
 * are no addresses.
 *
 * Context: worker.
 * Return: false when it is none; *ret_node is untouched then.
 */
bool refine_forwarded_node(struct slice node, struct refine_peer *ret_node);
