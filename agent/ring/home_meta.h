/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "agent/ring/ring.h"

/* Write what the consumer must know of this process into a new ring (keys: export/resource). Context: hook.
 */
void home_meta_write(struct ring *ring);

/* In a forked child: it is another instance of its service. Context: signal. */
void home_meta_after_fork(void);
