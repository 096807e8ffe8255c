/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>

#include "agent/base/load.h"
#include "export/endpoint.h"
#include "export/to/resolve.h"
#include "tests/unit/unit.h"

#define NOW 1000000000000ull

static struct endpoint endpoint_for(char *host)
{
        return (struct endpoint){.host = host, .port = 4318};
}

static void no_proxies(void)
{
        static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                            "ALL_PROXY"};

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                ck_assert_int_eq(unsetenv(names[i]), 0);
}

START_TEST(test_resolve_fresh_when_nothing_to_look_up)
{
        char *const hosts[] = {"127.0.0.1", "::1",       "fe80::1%1",
                               "localhost", "LocalHost", "collector.localhost"};

        no_proxies();
        for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
                struct endpoint endpoint = endpoint_for(hosts[i]);
                struct resolve resolve = {0};

                ck_assert_msg(resolve_fresh(&resolve, &endpoint, NOW), "%s", hosts[i]);
                ck_assert_ptr_null(resolve.list);
                resolve_done(&resolve);
        }
}
END_TEST

START_TEST(test_resolve_fresh_when_own_name)
{
        struct addrinfo *infos = NULL;
        struct resolve resolve = {0};
        char host[256], start[300];
        struct endpoint endpoint = endpoint_for(host);

        no_proxies();
        ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
        if (getaddrinfo(host, NULL, NULL, &infos))
                return; /* a machine without a name for itself */
        freeaddrinfo(infos);
        ck_assert(resolve_fresh(&resolve, &endpoint, NOW));
        if (strcasecmp(host, "localhost") != 0) {
                (void)snprintf(start, sizeof(start), "%s:4318:", host);
                ck_assert_ptr_nonnull(resolve.list);
                ck_assert_int_eq(strncmp(resolve.list->data, start, strlen(start)), 0);
                ck_assert_uint_gt(strlen(resolve.list->data), strlen(start) + 3);
                ck_assert_ptr_null(resolve.list->next);
        }
        resolve_done(&resolve);
}
END_TEST

START_TEST(test_resolve_fresh_when_unknown)
{
        struct endpoint endpoint = endpoint_for("no-such-host.invalid");
        struct resolve resolve = {0};

        no_proxies();
        ck_assert(!resolve_fresh(&resolve, &endpoint, NOW));
        ck_assert_uint_eq(resolve.until_ns, 0); /* asked again at the next attempt */
        setenv("https_proxy", "http://127.0.0.1:3128", 1);
        ck_assert(!resolve_fresh(&resolve, &endpoint, NOW)); /* not for this scheme */
        setenv("http_proxy", "127.0.0.1:3128", 1);
        ck_assert(resolve_fresh(&resolve, &endpoint, NOW)); /* the proxy knows the host */
        ck_assert_uint_gt(resolve.until_ns, NOW);
        no_proxies();
        ck_assert(resolve_fresh(&resolve, &endpoint, NOW + 1)); /* fresh yet: nobody is asked */
        resolve_stale(&resolve);
        ck_assert(!resolve_fresh(&resolve, &endpoint, NOW + 1));
        resolve_done(&resolve);
}
END_TEST

UNIT_MAIN("resolve", test_resolve_fresh_when_nothing_to_look_up, test_resolve_fresh_when_own_name,
          test_resolve_fresh_when_unknown)
