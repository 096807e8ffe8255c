/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a scenario of curl-host in each plugin given, all loaded RTLD_LOCAL: curl-plugins SCENARIO URL
 * PLUGIN... */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
        int (*run)(const char *, const char *);

        if (argc < 4)
                return 2;
        for (int i = 3; i < argc; i++) {
                void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);

                if (!plugin) {
                        fprintf(stderr, "%s\n", dlerror());
                        return 2;
                }
        }
        for (int i = 3; i < argc; i++) {
                void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_NOLOAD);

                *(void **)&run = dlsym(plugin, "curl_host_run");
                if (!run || run(argv[1], argv[2]) != 0)
                        return 2;
                dlclose(plugin);
                dlclose(plugin); /* the library goes, and its libcurl with it; the next one may take its place
                                  */
        }
        return 0;
}
