/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * System calls of our own, made directly: they touch neither errno nor any hook, are no
 * cancellation points and work in a vfork child. All return the result or -errno.
 * x86-64 and aarch64.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* sys_call() - any system call, six arguments. Context: signal. */
long sys_call(long number, long a, long b, long c, long d, long e, long f);

/* Thin names for what we use; same arguments as the manual pages of section 2. Context: signal. */
void *sys_mmap(size_t len, int prot, int flags, int fd); /* NULL on failure, at offset 0 */
int sys_munmap(void *p, size_t len);
int sys_close(int fd);
ssize_t sys_read(int fd, void *buf, size_t len);
ssize_t sys_write(int fd, const void *buf, size_t len);
ssize_t sys_readlink(const char *path, char *buf, size_t len);
int sys_open(const char *path, int flags, int mode);
int sys_getpid(void);
int sys_gettid(void);
int sys_fcntl(int fd, int cmd, long arg);
int sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

/**
 * sys_readable() - could memory of the host's be read?
 *
 * Asks the kernel for the first and the last byte. What cannot be read is for the kernel to refuse.
 *
 * Context: signal.
 */
bool sys_readable(const void *p, size_t len);

/**
 * sys_fd_high() - move one of our descriptors out of the host's way
 * @fd: consumed: closed after it was duplicated, close-on-exec, to the first free number from
 *      LIMIT_OWN_FD_FLOOR (or as high as the rlimit permits)
 *
 * Context: hook.
 * Return: the new number; @fd itself where no higher number can be had.
 */
int sys_fd_high(int fd);
