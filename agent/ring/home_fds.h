/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our descriptors in the host's table: few, high, close-on-exec, known by a handle that outlives a change of
 * number. home_owns_fd(), home_next_fd() and home_lose_fd() of home.h work on them.
 *
 * A host may close any number behind our back (a raw system call): before a number is used it is
 * compared with the file that we put there, so that no byte of ours goes to a file of the host's.
 */

/**
 * home_fd_keep() - make @fd one of ours
 * @fd: consumed, also on failure; negative: nothing is done
 *
 * Context: hook.
 * Return: a handle >= 0, or -1.
 */
int home_fd_keep(int fd);

/* Number behind @handle, -1 when there is none any more. Context: signal. */
int home_fd_get(int handle);

/* Close it and forget it; a handle of -1 is fine. Context: signal. */
void home_fd_close(int handle);

/* In a forked child: close all of the parent's. Context: signal. */
void home_fds_drop(void);
