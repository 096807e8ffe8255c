/* SPDX-License-Identifier: Apache-2.0 */
/* Ends that the program asks for. Before exit handlers run: those of other libraries pull the ground away. */
#include "agent/lifecycle.h"
#include "hooks/hook.h"

HOOK_EXPORT void exit(int status)
{
        lifecycle_stop();
        REAL(exit)(status);
        __builtin_unreachable();
}

HOOK_EXPORT void _exit(int status)
{
        lifecycle_stop();
        REAL(_exit)(status);
        __builtin_unreachable();
}

HOOK_EXPORT void _Exit(int status)
{
        lifecycle_stop();
        REAL(_Exit)(status);
        __builtin_unreachable();
}

HOOK_EXPORT void quick_exit(int status)
{
        lifecycle_stop();
        REAL(quick_exit)(status);
        __builtin_unreachable();
}

/* Its parent ends inside libc, by an _exit that nobody sees. */
HOOK_EXPORT int daemon(int nochdir, int noclose)
{
        lifecycle_stop();
        return REAL(daemon)(nochdir, noclose);
}
