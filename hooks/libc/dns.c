/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses. */
#include <errno.h>

#include "agent/tap/tap_dns.h"
#include "hooks/curl/curl_library.h"
#include "hooks/hook.h"

/* A failure that the program is told of, as opposed to checks of numbers and libcurl's own look-ups. */
static bool worth_reporting(const char *node, const struct addrinfo *hints, const void *caller)
{
        if (!node || (hints && hints->ai_flags & (AI_NUMERICHOST | AI_PASSIVE)))
                return false;
        return !curl_library_has(caller);
}

HOOK_EXPORT int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                            struct addrinfo **pai)
{
        struct tap_lookup lookup;
        int result;

        tap_dns_begin(&lookup);
        result = REAL(getaddrinfo)(name, service, req, pai);
        tap_dns_end(&lookup, name, service, result, result == 0 ? *pai : NULL,
                    result != 0 && worth_reporting(name, req, __builtin_return_address(0)));
        return result;
}

/* NETDB_INTERNAL: a buffer was too small or memory ran out; that says nothing of the name. */
static void looked_up(struct tap_lookup *lookup, const char *name, const struct hostent *entry, int error)
{
        if (entry || error != NETDB_INTERNAL)
                tap_dns_end_hostent(lookup, name, entry ? 0 : error, entry);
}

HOOK_EXPORT struct hostent *gethostbyname(const char *name)
{
        struct tap_lookup lookup;
        struct hostent *entry;

        tap_dns_begin(&lookup);
        entry = REAL(gethostbyname)(name);
        looked_up(&lookup, name, entry, h_errno);
        return entry;
}

HOOK_EXPORT struct hostent *gethostbyname2(const char *name, int af)
{
        struct tap_lookup lookup;
        struct hostent *entry;

        tap_dns_begin(&lookup);
        entry = REAL(gethostbyname2)(name, af);
        looked_up(&lookup, name, entry, h_errno);
        return entry;
}

HOOK_EXPORT int gethostbyname_r(const char *name, struct hostent *result_buf, char *buf, size_t buflen,
                                struct hostent **result, int *h_errnop)
{
        struct tap_lookup lookup;
        int failed;

        tap_dns_begin(&lookup);
        failed = REAL(gethostbyname_r)(name, result_buf, buf, buflen, result, h_errnop);
        if (failed != ERANGE)
                looked_up(&lookup, name, *result, *h_errnop);
        return failed;
}

HOOK_EXPORT int gethostbyname2_r(const char *name, int af, struct hostent *result_buf, char *buf,
                                 size_t buflen, struct hostent **result, int *h_errnop)
{
        struct tap_lookup lookup;
        int failed;

        tap_dns_begin(&lookup);
        failed = REAL(gethostbyname2_r)(name, af, result_buf, buf, buflen, result, h_errnop);
        if (failed != ERANGE)
                looked_up(&lookup, name, *result, *h_errnop);
        return failed;
}
