/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The door between hooks and agent, for what concerns the whole process. Same laws as tap_net.h. */
#include <stdbool.h>
#include <stddef.h>

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

/* Before the process bars its own way to the relay's program: a server's is started now, or never. Context:
 * hook. */
void tap_proc_before_lockdown(void);

/* False in a vfork child, which runs in its parent's memory. Context: signal. */
bool tap_proc_own_memory(void);

/**
 * tap_proc_environ_room() - does a new program get more than @envp?
 * @envp: what the host wants to pass on; NULL is an empty one
 *
 * Context: signal.
 * Return: bytes of memory for tap_proc_environ(); 0: pass @envp.
 */
size_t tap_proc_environ_room(char *const *envp);

/**
 * tap_proc_environ() - the environment with the context that this thread works in
 * @memory: as many bytes as tap_proc_environ_room() said, aligned for pointers; kept by the caller as long as
 *          the result. Nothing else is written.
 * @replaced: exec: this very process goes on with it
 *
 * Context: signal.
 * Return: an array in @memory; @envp itself where nothing changes.
 */
char *const *tap_proc_environ(void *memory, char *const *envp, bool replaced);

/* exec failed: the process goes on as it is. Context: hook. */
void tap_proc_not_replaced(void);

/* Does anybody want to know how children end? Two loads. Context: signal. */
bool tap_proc_minds_children(void);

/* A child was killed by a signal, as wait() says. Context: hook. */
void tap_proc_child_killed(int pid, int signal);
