/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/start_memory.h"

#include <sys/mman.h>

#include "agent/base/load.h"
#include "agent/base/sys.h"

#define BLOCK_BYTES 1024

static START_DATA _Alignas(void *) unsigned char block[BLOCK_BYTES];
static START_DATA size_t used;

START_TEXT void *start_memory(size_t len)
{
        size_t size = ALIGN_UP(len, sizeof(void *));

        if (len > BLOCK_BYTES || size > BLOCK_BYTES - used)
                return sys_mmap(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        used += size;
        return block + used - size;
}
