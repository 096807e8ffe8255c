/* SPDX-License-Identifier: Apache-2.0 */
/* Says from its constructor whether the stack can be followed from there to the program. */
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <string.h>

static __attribute__((constructor)) void tell(void)
{
        void *frames[64];
        int count = backtrace(frames, 64);
        Dl_info info;

        for (int i = 0; i < count; i++)
                if (dladdr(frames[i], &info) && strstr(info.dli_fname, "deepbind-host")) {
                        printf("loaded by the program\n");
                        return;
                }
        printf("loaded by nobody\n");
}
