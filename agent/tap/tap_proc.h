/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The door between hooks and agent, for what concerns the whole process. Same laws as tap_net.h. */
#include <stdbool.h>

/* Is this number one of ours? Then it is not open for the host. Context: signal. */
bool tap_proc_owns_fd(int fd);

/* The lowest of our descriptors that is >= @from, or -1. Context: signal. */
int tap_proc_next_fd(int from);

/**
 * tap_proc_give_up_fd() - the host puts something else under one of our numbers
 *
 * BEFORE the real dup2, whose kernel side closes ours. It is renewed when it is needed again. Nothing
 * in a vfork child, where the number means the child's copy.
 *
 * Context: signal.
 */
void tap_proc_give_up_fd(int fd);

/* Before setuid and the like. Context: hook. */
void tap_proc_before_identity_change(void);
