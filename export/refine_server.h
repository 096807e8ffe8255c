/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP SERVER spans, from a request received on a socket. Scheme, client and server are the original ones as
 * far as proxies tell them. client.port is opt-in by the convention: it is there only where a proxy told it,
 * since the socket's own is network.peer.port anyway.
 */
#include "export/refine_draft.h"

/* Name and attributes but for what all shapes share. Context: worker. */
void refine_server(struct refine_draft *draft);
