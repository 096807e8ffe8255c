/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The ELF part of image.h, for image.c only. */
#include "launcher/image.h"

/* Judge a file that begins with ELF's four bytes. Sets kind and the fields of @image. Return: 0 or -errno. */
int image_elf_read(int fd, struct image *image);
