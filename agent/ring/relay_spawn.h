/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/**
 * relay_spawn() - start the relay
 * @path:      program to execute
 * @listen_fd: becomes its descriptor RELAY_LISTEN_FD, and the only one it has but for /dev/null as 0 to 2;
 *             stays the caller's
 *
 * The host sees nothing of it: no SIGCHLD, nothing for its wait(), no signal of its own is lost. Returns as
 * soon as the program is executed, which is before it has done anything. The relay is nobody's child: in a
 * container whose process 1 is the host itself (or under PR_SET_CHILD_SUBREAPER) it becomes the host's,
 * as every orphan does there.
 *
 * Context: hook. errno kept.
 * Return: 0, or -errno of whatever failed, the execution included.
 */
int relay_spawn(const char *path, int listen_fd);
