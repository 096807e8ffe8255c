/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a process ended that is not our child. No state. */
#include <sys/types.h>

/**
 * ending_signal() - the signal that ended a process
 * @pidfd: of the process, and readable: it is dead
 * @pid: its id
 *
 * Before its parent has waited for it /proc tells, afterwards the pidfd does, from Linux 6.15 on.
 *
 * Context: worker.
 * Return: the signal; 0 when it ended by itself, or when that cannot be known.
 */
int ending_signal(int pidfd, pid_t pid);
