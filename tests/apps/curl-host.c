/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs do with libcurl handles, one scenario per run: curl-host SCENARIO URL. Prints what the
 * program sees of it, which must not depend on who watches. Built as a program and as a plugin.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "curl-host.h"

#define TRANSFERS 4

static size_t count_bytes(char *data, size_t size, size_t n, void *total)
{
        *(size_t *)total += size * n;
        return size * n;
}

static void say(CURL *easy, const char *what, int code)
{
        long status = 0, redirects = 0;

        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &redirects);
        printf("%s: code %d, status %ld, redirects %ld\n", what, code, status, redirects);
}

static size_t received;

static CURL *make(const char *url, const char *path)
{
        static char text[4096];
        CURL *easy = curl_easy_init();

        snprintf(text, sizeof(text), "%s%s", url, path);
        curl_easy_setopt(easy, CURLOPT_URL, text);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_bytes);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &received);
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        if (getenv("CURL_HOST_CA"))
                curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("CURL_HOST_CA"));
        return easy;
}

static void print_list(const struct curl_slist *list)
{
        for (; list; list = list->next)
                printf("list: %s\n", list->data);
}

/* One header list for many transfers, changed between them, freed at the end. */
static void keep_list(const char *url)
{
        struct curl_slist *list = curl_slist_append(NULL, "X-Kept: 1");
        CURL *easy = make(url, "/kept");

        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
        for (int i = 0; i < 3; i++) {
                say(easy, "kept", curl_easy_perform(easy));
                list = curl_slist_append(list, "X-More: 2");
                print_list(list);
        }
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
        curl_slist_free_all(list);
        say(easy, "without", curl_easy_perform(easy));
        curl_easy_cleanup(easy);
}

/* The list lives only around the transfer: set, perform, free; the handle is used again without a new one. */
static void free_list_early(const char *url)
{
        CURL *easy = make(url, "/early");

        for (int i = 0; i < 3; i++) {
                struct curl_slist *list = curl_slist_append(NULL, "X-Early: 1");

                curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
                say(easy, "early", curl_easy_perform(easy));
                curl_slist_free_all(list);
        }
        curl_easy_cleanup(easy);
}

static void duplicate(const char *url)
{
        struct curl_slist *list = curl_slist_append(NULL, "X-Shared: 1");
        CURLM *multi = curl_multi_init();
        CURL *easy = make(url, "/slow/50"), *copy, *copy_of_running;
        int running;

        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
        copy = curl_easy_duphandle(easy);
        curl_multi_add_handle(multi, easy);
        curl_multi_perform(multi, &running);
        copy_of_running = curl_easy_duphandle(easy);
        curl_multi_remove_handle(multi, easy);
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
        say(copy, "copy", curl_easy_perform(copy));
        say(copy_of_running, "copy of a running one", curl_easy_perform(copy_of_running));
        curl_easy_cleanup(copy_of_running);
        curl_easy_cleanup(copy);
        curl_slist_free_all(list);
}

static void reset(const char *url)
{
        struct curl_slist *list = curl_slist_append(NULL, "X-Gone: 1");
        CURL *easy = make(url, "/before");
        char text[4096];

        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
        say(easy, "before", curl_easy_perform(easy));
        curl_easy_reset(easy);
        curl_slist_free_all(list);
        snprintf(text, sizeof(text), "%s/after", url);
        curl_easy_setopt(easy, CURLOPT_URL, text);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_bytes);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &received);
        if (getenv("CURL_HOST_CA"))
                curl_easy_setopt(easy, CURLOPT_CAINFO, getenv("CURL_HOST_CA"));
        say(easy, "after", curl_easy_perform(easy));
        curl_easy_cleanup(easy);
}

static unsigned asked;

static int on_request(void *data, char *peer, char *local, int peer_port, int local_port)
{
        asked++;
        printf("asked with %s for %s\n", (const char *)data, peer);
        return asked == 4 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* The host's own callback is called as often as without us, with its own data, and its answer counts. */
static void own_prereq(const char *url)
{
        CURL *easy = make(url, "/redirect/302/redirect/302/end");

        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, "mine");
        say(easy, "three requests", curl_easy_perform(easy));
        say(easy, "aborted", curl_easy_perform(easy));
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, NULL);
        say(easy, "nobody asked", curl_easy_perform(easy));
        printf("asked %u times\n", asked);
        curl_easy_cleanup(easy);
}

/* Results in the order in which the handles were added, whichever was over first. */
static void finish(CURLM *multi, CURL *const *handles, int count)
{
        CURLcode codes[TRANSFERS] = {CURLE_OK};
        int running = 1, done = 0, left;
        CURLMsg *message;

        while (running) {
                curl_multi_perform(multi, &running);
                while ((message = curl_multi_info_read(multi, &left))) {
                        for (int i = 0; i < count; i++)
                                if (handles[i] == message->easy_handle)
                                        codes[i] = message->data.result;
                        curl_multi_remove_handle(multi, message->easy_handle);
                        done++;
                }
                if (running)
                        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
        printf("%d of %d\n", done, count);
        for (int i = 0; i < count; i++) {
                say(handles[i], "result", codes[i]);
                curl_easy_cleanup(handles[i]);
        }
        curl_multi_cleanup(multi);
}

static void multi_perform(const char *url)
{
        static const char *const paths[TRANSFERS] = {"/slow/60", "/redirect/302/slow/20", "/status/500",
                                                     "/hangup"};
        CURL *handles[TRANSFERS];
        CURLM *multi = curl_multi_init();

        for (int i = 0; i < TRANSFERS; i++)
                curl_multi_add_handle(multi, handles[i] = make(url, paths[i]));
        finish(multi, handles, TRANSFERS);
}

/* Results are read long after the transfers were over. */
static void multi_late(const char *url)
{
        CURL *handles[] = {make(url, "/quick"), make(url, "/slow/200")};
        CURLM *multi = curl_multi_init();
        int running = 1;

        curl_multi_add_handle(multi, handles[0]);
        curl_multi_add_handle(multi, handles[1]);
        while (running) {
                curl_multi_perform(multi, &running);
                if (running)
                        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
        finish(multi, handles, 2);
}

/* Nobody asks for results: the handles are just taken out. */
static void multi_unread(const char *url)
{
        CURLM *multi = curl_multi_init();
        CURL *good = make(url, "/good"), *bad = make(url, "/hangup");
        int running = 1;

        curl_multi_add_handle(multi, good);
        curl_multi_add_handle(multi, bad);
        while (running) {
                curl_multi_perform(multi, &running);
                if (running)
                        curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
        curl_multi_remove_handle(multi, good);
        curl_multi_cleanup(multi);
        say(good, "good", 0);
        say(good, "again", curl_easy_perform(good));
        curl_easy_cleanup(good);
        curl_easy_cleanup(bad);
}

static bool is_sent(CURL *easy)
{
        long bytes = 0;

        curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
        return bytes > 0;
}

/* Taken out in flight, in all three ways; the handles are used again afterwards. */
static void multi_remove(const char *url)
{
        CURLM *multi = curl_multi_init();
        CURL *removed = make(url, "/slow/900"), *freed = make(url, "/slow/900"),
             *left = make(url, "/slow/900");
        struct curl_slist *list = curl_slist_append(NULL, "X-Mine: 1");
        int running = 0;

        curl_easy_setopt(removed, CURLOPT_HTTPHEADER, list);
        curl_multi_add_handle(multi, removed);
        curl_multi_add_handle(multi, freed);
        curl_multi_add_handle(multi, left);
        do {
                curl_multi_perform(multi, &running);
                curl_multi_poll(multi, NULL, 0, 20, NULL);
        } while (running == 3 && !(is_sent(removed) && is_sent(freed) && is_sent(left)));
        printf("running %d\n", running);
        curl_multi_remove_handle(multi, removed);
        curl_easy_cleanup(freed);
        curl_multi_cleanup(multi);
        say(removed, "removed", curl_easy_perform(removed));
        say(left, "left", curl_easy_perform(left));
        curl_easy_cleanup(removed);
        curl_easy_cleanup(left);
        curl_slist_free_all(list);
}

/* The list is set after the handle was added, and again while the transfer is under way. */
static void multi_list_late(const char *url)
{
        struct curl_slist *first = curl_slist_append(NULL, "X-First: 1"), *second = NULL;
        CURLM *multi = curl_multi_init();
        CURL *handles[] = {make(url, "/slow/50"), make(url, "/own")};
        int running;

        curl_multi_add_handle(multi, handles[0]);
        curl_easy_setopt(handles[0], CURLOPT_HTTPHEADER, first);
        curl_multi_add_handle(multi, handles[1]);
        second = curl_slist_append(second,
                                   "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01");
        curl_easy_setopt(handles[1], CURLOPT_HTTPHEADER, second);
        curl_multi_perform(multi, &running);
        finish(multi, handles, 2);
        print_list(first);
        print_list(second);
        curl_slist_free_all(first);
        curl_slist_free_all(second);
}

/* --- driven by events --- */

struct loop {
        int epoll;
        long timeout;
};

static int on_socket(CURL *easy, curl_socket_t s, int what, void *data, void *per_socket)
{
        struct loop *loop = data;
        struct epoll_event event = {.data.fd = s};

        event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
        if (what == CURL_POLL_REMOVE)
                epoll_ctl(loop->epoll, EPOLL_CTL_DEL, s, NULL);
        else if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, s, &event) < 0)
                epoll_ctl(loop->epoll, EPOLL_CTL_ADD, s, &event);
        return 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *data)
{
        ((struct loop *)data)->timeout = timeout_ms;
        return 0;
}

static void multi_events(const char *url)
{
        static const char *const paths[TRANSFERS] = {"/slow/60", "/redirect/302/slow/20", "/status/500",
                                                     "/hangup"};
        struct loop loop = {epoll_create1(EPOLL_CLOEXEC), -1};
        CURLM *multi = curl_multi_init();
        CURL *handles[TRANSFERS];
        int running = TRANSFERS;

        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, &loop);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, &loop);
        for (int i = 0; i < TRANSFERS; i++)
                curl_multi_add_handle(multi, handles[i] = make(url, paths[i]));
        while (running) {
                struct epoll_event event;
                int n = epoll_wait(loop.epoll, &event, 1, loop.timeout < 0 ? 1000 : (int)loop.timeout);

                if (n > 0)
                        curl_multi_socket_action(multi, event.data.fd, 0, &running);
                else
                        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        finish(multi, handles, TRANSFERS);
        close(loop.epoll);
}

/* A transfer made from inside another one's callback. */
static size_t nested_write(char *data, size_t size, size_t n, void *url)
{
        CURL *easy = make(url, "/inner");

        say(easy, "inner", curl_easy_perform(easy));
        curl_easy_cleanup(easy);
        return size * n;
}

static void nested(const char *url)
{
        CURL *easy = make(url, "/outer");

        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, nested_write);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, url);
        say(easy, "outer", curl_easy_perform(easy));
        curl_easy_cleanup(easy);
}

static void url_object(const char *url)
{
        CURL *easy = make(url, "/ignored");
        CURLU *object = curl_url();

        curl_url_set(object, CURLUPART_URL, url, 0);
        curl_url_set(object, CURLUPART_PATH, "/object", 0);
        curl_easy_setopt(easy, CURLOPT_CURLU, object);
        say(easy, "object", curl_easy_perform(easy));
        curl_easy_cleanup(easy);
        curl_url_cleanup(object);
}

static void *many_handles(void *url)
{
        for (int i = 0; i < 50; i++) {
                size_t bytes = 0;
                CURL *easy = curl_easy_init();

                curl_easy_setopt(easy, CURLOPT_URL, url);
                curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_bytes);
                curl_easy_setopt(easy, CURLOPT_WRITEDATA, &bytes);
                curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
                if (curl_easy_perform(easy) != CURLE_OK || bytes == 0)
                        printf("thread: failed\n");
                curl_easy_cleanup(easy);
        }
        return NULL;
}

/* Handles come and go on eight threads: their addresses are used again at once by other threads. */
static void threads(const char *url)
{
        pthread_t ids[8];

        curl_global_init(CURL_GLOBAL_ALL);
        for (int i = 0; i < 8; i++)
                pthread_create(&ids[i], NULL, many_handles, (void *)url);
        for (int i = 0; i < 8; i++)
                pthread_join(ids[i], NULL);
}

static void error_text(const char *url)
{
        char text[CURL_ERROR_SIZE] = "";
        CURL *easy = make(url, "/untrusted");

        curl_easy_setopt(easy, CURLOPT_CAINFO, "/etc/ssl/certs/ca-certificates.crt");
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
        say(easy, "untrusted", curl_easy_perform(easy));
        printf("%s\n", text);
        curl_easy_cleanup(easy);
}

static const struct {
        const char *name;
        void (*run)(const char *url);
} scenarios[] = {{"keep-list", keep_list},
                 {"free-list-early", free_list_early},
                 {"duplicate", duplicate},
                 {"reset", reset},
                 {"own-prereq", own_prereq},
                 {"multi-perform", multi_perform},
                 {"multi-late", multi_late},
                 {"multi-unread", multi_unread},
                 {"multi-remove", multi_remove},
                 {"multi-list-late", multi_list_late},
                 {"multi-events", multi_events},
                 {"nested", nested},
                 {"url-object", url_object},
                 {"error-text", error_text},
                 {"threads", threads}};

int curl_host_run(const char *name, const char *url)
{
        for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
                if (strcmp(scenarios[i].name, name) != 0)
                        continue;
                received = 0;
                asked = 0;
                scenarios[i].run(url);
                printf("received %zu\n", received);
                fflush(stdout);
                return 0;
        }
        return 2;
}

#ifndef CURL_HOST_PLUGIN
int main(int argc, char **argv)
{
        return argc == 3 ? curl_host_run(argv[1], argv[2]) : 2;
}
#endif
