/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What system() and popen() share. libc starts the shell from `environ` itself, which we never change, so
 * both are done here, as libc does them, when there is a context to hand to the shell.
 */
#include "hooks/libc/environ.h"

#define SHELL_PATH "/bin/sh"

/* May this command be handed to sh -c by us? What begins like an option is treated differently by different
 * versions of libc: left to it. */
static inline bool shell_takes(const char *command)
{
        return *command != '-' && *command != '+';
}

/* A lock for a few system calls at a time, as libc has it in both; one that a fork left locked is free. */
struct shell_lock {
        int holder; /* process id */
};

/* Waits. Context: hook. */
void shell_lock(struct shell_lock *lock);
void shell_unlock(struct shell_lock *lock);

/* waitpid() until the child has ended; no cancellation point. Return: its id, or -1 with errno. Context:
 * hook. */
pid_t shell_wait(pid_t pid, int *ret_status);

/* If @file was opened by popen(): take it out of the list. *ret_pid is 0 for one that libc opened.
 * Context: hook. */
bool popen_take(FILE *file, pid_t *ret_pid);

/* The end of one that was ours: @closed is what fclose said. Return: as pclose(). Context: hook. */
int popen_end(pid_t pid, int closed);
