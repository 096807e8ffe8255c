/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The INTERNAL span of a process (semantic conventions for CLI programs): its executable, its id, how it
 * ended. One that a signal ended has no exit code. One thread.
 */
#include "export/refine_draft.h"

/* Name and attributes but for what all shapes share. Context: worker. */
void refine_process(struct refine_draft *draft);
