/* SPDX-License-Identifier: Apache-2.0 */
/* Opens by names that only its own RUNPATH, or its own place, makes a file of; and asks dlsym what comes
 * next. */
#include <dlfcn.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int opener_run(void);

static void try_open(const char *name, int mode)
{
        void *opened = dlopen(name, mode);
        const char *error = dlerror();

        printf("%s %#x: %s\n", name, (unsigned)mode, opened ? "opened" : error);
        if (opened)
                dlclose(opened);
}

static void try_sym(void *handle, const char *name)
{
        void *found = dlsym(handle, name);
        const char *error = dlerror();
        Dl_info info = {0};

        if (found)
                dladdr(found, &info);
        printf("%s: %s %s\n", name, info.dli_fname ? info.dli_fname : "nowhere", error ? error : "");
}

int opener_run(void)
{
        const int modes[] = {RTLD_NOW, RTLD_LAZY | RTLD_DEEPBIND, RTLD_NOW | RTLD_NOLOAD};
        void *absent;

        for (int i = 0; i < 3; i++) {
                try_open("deepbind-runpath.so", modes[i]);
                try_open("$ORIGIN/only/deepbind-runpath.so", modes[i]);
                try_open("deepbind-nowhere.so", modes[i]);
        }
        try_sym(RTLD_NEXT, "qsort");
        try_sym(RTLD_NEXT, "opener_run");
        try_sym(RTLD_DEFAULT, "opener_run");
        try_sym(RTLD_DEFAULT, "nowhere");
        absent = dlopen("deepbind-nowhere.so", RTLD_NOW | RTLD_DEEPBIND);
        try_sym(RTLD_NEXT, "qsort"); /* succeeds, and the error before is gone with it */
        return absent != NULL;
}
