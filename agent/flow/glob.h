/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lists of patterns, as settings have them: commas between, '*' stands for any text. Context: signal. */
#include <stdbool.h>

#include "agent/base/slice.h"

/* Does @text match one of the patterns in @list? Blanks around patterns do not count. */
bool glob_list_matches(struct slice list, struct slice text);
