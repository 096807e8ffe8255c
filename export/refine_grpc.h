/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * RPC spans of gRPC, from calls seen on a socket, of clients and servers. The method is taken from the path
 * as it stands, but for a server that says it does not know it: then anybody may have made it up, and it is
 * "_OTHER".
 */
#include "export/refine_draft.h"

/* Context: worker. */
void refine_grpc(struct refine_draft *draft);

/* The name of the call's status where it is an error for its side; else empty. Context: worker. */
struct slice refine_grpc_error(const struct refine_draft *draft);

/* Did the call end with a status? Context: worker. */
bool refine_grpc_answered(const struct refine_draft *draft);
