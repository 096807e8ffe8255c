/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What kind of program a file holds: an ELF executable and what matters of it, a script, or neither.
 * Reads by bounded pread only and believes nothing: a file may be hostile or change meanwhile.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define IMAGE_LINE_MAX 256 /* how much of a "#!" line the kernel reads */

enum image_kind {
        IMAGE_EMPTY,
        IMAGE_ELF,    /* of this machine: the fields below hold */
        IMAGE_ALIEN,  /* ELF, but of another class, byte order or machine */
        IMAGE_BROKEN, /* ELF by its first bytes, then nonsense; or not a program (object, core) */
        IMAGE_SCRIPT, /* begins with "#!" */
        IMAGE_TEXT,   /* a shell would run it as a script */
        IMAGE_BINARY, /* neither */
};

struct image {
        enum image_kind kind;
        char loader[PATH_MAX]; /* PT_INTERP, "" when there is none */
        bool is_loader;        /* it is the dynamic loader itself */
        bool is_go;
        bool is_asan;
        unsigned bits; /* ALIEN: 32 or 64; 0 when unknown */
        uint16_t machine;
        char interpreter[IMAGE_LINE_MAX]; /* SCRIPT */
        char argument[IMAGE_LINE_MAX];    /* SCRIPT: the one argument, "" without */
};

/**
 * image_read() - look at a file
 * @fd: open for reading; its offset is not used
 *
 * Context: start.
 * Return: 0, or -errno of a failed read.
 */
int image_read(int fd, struct image *ret_image);

/* Name of an ELF machine number, or "unknown". Context: signal. */
const char *image_machine_name(uint16_t machine);

/* The machine that this launcher, and so the agent, was built for. */
extern const uint16_t image_own_machine;
