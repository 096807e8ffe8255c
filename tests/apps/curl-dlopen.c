/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads libcurl itself and asks dlsym for what it calls: curl-dlopen URL LIBRARY... One request with each.
 * Also prints what dlsym says elsewhere, which must not depend on who watches.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#undef curl_easy_setopt

static size_t discard(char *data, size_t size, size_t n, void *user)
{
        return size * n;
}

static int request(const char *url, const char *path)
{
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        __typeof__(curl_easy_init) *init;
        __typeof__(curl_easy_setopt) *setopt;
        __typeof__(curl_easy_perform) *perform;
        __typeof__(curl_easy_cleanup) *cleanup;
        __typeof__(curl_easy_strerror) *text;
        char error[CURL_ERROR_SIZE] = "";
        CURLcode code;
        CURL *easy;

        if (!library)
                return 1;
        *(void **)&init = dlsym(library, "curl_easy_init");
        *(void **)&setopt = dlsym(library, "curl_easy_setopt");
        *(void **)&perform = dlsym(library, "curl_easy_perform");
        *(void **)&cleanup = dlsym(library, "curl_easy_cleanup");
        *(void **)&text = dlsym(library, "curl_easy_strerror");
        easy = init();
        setopt(easy, CURLOPT_URL, url);
        setopt(easy, CURLOPT_WRITEFUNCTION, discard);
        setopt(easy, CURLOPT_ERRORBUFFER, error);
        code = perform(easy);
        printf("%s: %s: %s\n", path, text(code), error);
        cleanup(easy);
        return 0;
}

static void look(void *handle, const char *name)
{
        void *found = dlsym(handle, name);
        const char *error = dlerror();
        Dl_info info = {0};

        if (found)
                dladdr(found, &info);
        printf("%s: %s %s\n", name, info.dli_fname ? info.dli_fname : "nowhere", error ? error : "");
}

int main(int argc, char **argv)
{
        void *self = dlopen(NULL, RTLD_NOW);

        look(RTLD_DEFAULT, "qsort");
        look(RTLD_NEXT, "qsort");
        look(RTLD_DEFAULT, "no_such_function");
        look(RTLD_NEXT, "no_such_function");
        look(self, "qsort");
        look(self, "no_such_function");
        look(self, "curl_no_such_function");
        for (int i = 2; i < argc; i++)
                if (request(argv[1], argv[i]) != 0)
                        return 1;
        return 0;
}
