/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HTTP CLIENT spans, from a request seen on a socket or a transfer seen at libcurl's API. */
#include "export/refine_draft.h"

/* Name and attributes but for what all shapes share. Context: worker. */
void refine_http_socket(struct refine_draft *draft);
void refine_http_curl(struct refine_draft *draft);

/* http.request.method and where it differs its original. Return: what stands for it in a name. Context:
 * worker. */
struct slice refine_http_add_method(struct refine_draft *draft);

/* network.protocol.version, as far as known. Context: worker. */
void refine_http_add_version(struct refine_draft *draft);
