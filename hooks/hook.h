/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a hook is declared: one row in hooks.def, one wrapper with the library's own prototype, and
 * REAL(name) for the function that it stands in front of. The pointer's type is taken from the
 * library's header, so a wrapper with another signature does not compile, and neither does a
 * wrapper without a row; a row without a wrapper fails tests/check (nm -D against the list).
 *
 * A wrapper: real function, our work under the guard, errno kept (design 5). Files here are built
 * with -U_FORTIFY_SOURCE.
 */
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "hooks/real.h"

#define HOOK_EXPORT __attribute__((visibility("default")))
