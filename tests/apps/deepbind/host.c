/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens plugins with RTLD_DEEPBIND. deepbind-host SCENARIO PORT PLUGIN...
 *   requests  a request by each plugin, twice, with the plugin closed in between
 *   threads   all plugins at once, each on a thread that opens it again and again
 *   curl      curl-host's scenario "reset" in each plugin; PORT is a URL
 *   names     what dlopen and dlsym say to a library
 *   maps      the plugin's own pages after it was used: one line for each mapping, its protection
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 50

static void *open_plugin(const char *path)
{
        void *plugin = dlopen(path, RTLD_LAZY | RTLD_GLOBAL | RTLD_DEEPBIND);

        if (!plugin) {
                fprintf(stderr, "%s\n", dlerror());
                exit(2);
        }
        return plugin;
}

static int get(void *plugin, const char *port, const char *path)
{
        int (*run)(int, const char *, char *, int);
        char answer[4096];

        *(void **)&run = dlsym(plugin, "plugin_get");
        return run ? run(atoi(port), path, answer, sizeof(answer)) : -1;
}

static int on_requests(const char *port, char **plugins)
{
        for (; *plugins; plugins++)
                for (int i = 0; i < 2; i++) {
                        void *plugin = open_plugin(*plugins);

                        printf("%d bytes\n", get(plugin, port, i ? "/second" : "/first"));
                        dlclose(plugin);
                }
        return 0;
}

static const char *thread_port;
static pthread_barrier_t together;

static void *on_thread(void *path)
{
        int good = 0;

        for (int i = 0; i < ROUNDS; i++) {
                void *plugin;

                pthread_barrier_wait(&together);
                plugin = open_plugin(path);
                good += get(plugin, thread_port, "/thread") > 0;
                dlclose(plugin);
        }
        return (void *)(long)good;
}

static int on_threads(const char *port, char **plugins)
{
        pthread_t threads[8];
        unsigned count = 0;

        while (plugins[count] && count < 8)
                count++;
        thread_port = port;
        pthread_barrier_init(&together, NULL, count);
        for (unsigned i = 0; i < count; i++)
                pthread_create(&threads[i], NULL, on_thread, plugins[i]);
        for (unsigned i = 0; i < count; i++) {
                void *good;

                pthread_join(threads[i], &good);
                printf("%ld good\n", (long)good);
        }
        return 0;
}

static int on_curl(const char *url, char **plugins)
{
        int (*run)(const char *, const char *);

        for (; *plugins; plugins++) {
                *(void **)&run = dlsym(open_plugin(*plugins), "curl_host_run");
                if (!run || run("reset", url) != 0)
                        return 1;
        }
        return 0;
}

static int on_names(const char *port, char **plugins)
{
        int (*run)(void);

        *(void **)&run = dlsym(open_plugin(*plugins), "opener_run");
        return run ? run() : 2;
}

static int on_maps(const char *port, char **plugins)
{
        void *plugin = open_plugin(*plugins);
        FILE *maps;
        char line[512], protection[8];

        if (get(plugin, port, "/maps") <= 0)
                return 1;
        maps = fopen("/proc/self/maps", "r");
        while (fgets(line, sizeof(line), maps))
                if (strstr(line, *plugins) && sscanf(line, "%*s %7s", protection) == 1)
                        puts(protection);
        return fclose(maps);
}

static const struct {
        const char *name;
        int (*run)(const char *port, char **plugins);
} scenarios[] = {
        {"requests", on_requests}, {"threads", on_threads}, {"curl", on_curl},
        {"names", on_names},       {"maps", on_maps},
};

int main(int argc, char **argv)
{
        for (size_t i = 0; argc > 3 && i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
                if (strcmp(argv[1], scenarios[i].name) == 0)
                        return scenarios[i].run(argv[2], argv + 3);
        return 2;
}
