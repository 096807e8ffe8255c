/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/libc/environ.h"

#include <sys/mman.h>

#include "agent/base/sys.h"
#include "agent/tap/tap_proc.h"

#define PAGE        4096
#define STACK_SPARE 8192 /* for libc's own exec functions, below what we take */

/* Page by page, as the kernel lets a stack grow; the guard page at its end cannot be read. */
static bool stack_has(size_t len)
{
        const char *here = __builtin_frame_address(0);

        for (size_t below = 0; below < len + PAGE; below += PAGE)
                if (!sys_readable(here - below, 1))
                        return false;
        return true;
}

size_t environ_begin(struct environ_pass *ret_pass, char *const *envp, bool replaced)
{
        size_t len = tap_proc_environ_room(envp);

        *ret_pass = (struct environ_pass){.envp = envp, .len = len, .replaced = replaced};
        if (!len)
                return 0;
        if (!tap_proc_own_memory())
                return stack_has(len + STACK_SPARE) ? len : 0;
        ret_pass->memory = sys_mmap(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (ret_pass->memory)
                ret_pass->envp = tap_proc_environ(ret_pass->memory, envp, replaced);
        return 0;
}

void environ_on_stack(struct environ_pass *pass, void *memory)
{
        pass->envp = tap_proc_environ(memory, pass->envp, pass->replaced);
}

void environ_end(struct environ_pass *pass)
{
        if (!pass->memory)
                return;
        (void)sys_munmap(pass->memory, pass->len);
        if (pass->replaced)
                tap_proc_not_replaced();
}
