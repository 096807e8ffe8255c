/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "export/refine_draft.h"

/* The attributes of the TLS that a request went over, as far as it was told. Context: worker. */
void refine_tls(struct refine_draft *draft);
