/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Objects that were opened with RTLD_DEEPBIND (all extensions of PHP) look for functions in their own
 * libraries first, and so miss our wrappers. After such a dlopen, at the next dlopen or dlsym, what these
 * objects are bound to is led to us: each pointer in their tables that leads to the very function that our
 * wrapper calls. Anything else stays as the dynamic linker made it, in particular symbols of their own.
 *
 * Objects that were there before the first such dlopen are never touched.
 */
#include <stdbool.h>

extern bool deepbind_on __attribute__((visibility("hidden")));

/* Was deepbind_look() ever called? Context: signal. */
static inline bool deepbind_used(void)
{
        return __atomic_load_n(&deepbind_on, __ATOMIC_ACQUIRE);
}

/**
 * deepbind_look() - lead objects that were loaded since the last look to our wrappers
 *
 * The first look only remembers what is there. Costs one question to the loader when nothing came or went.
 * An object that another thread is still loading waits for the next look.
 *
 * Context: hook, under the guard; waits for a dlopen or dlclose of another thread to change the list of
 * objects.
 */
void deepbind_look(void);
