/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HTTP CLIENT spans, from a request seen on a socket or a transfer seen at libcurl's API. */
#include "export/refine_draft.h"

/* Name and attributes but for what all shapes share. Context: worker. */
void refine_http_socket(struct refine_draft *draft);
void refine_http_curl(struct refine_draft *draft);
