/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tap/tap_dns.h"

#include <netinet/in.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/flow/names.h"
#include "agent/flow/to_span.h"

void tap_dns_begin(struct tap_lookup *lookup)
{
        lookup->start_ns = 0;
        OBSERVE(lookup->start_ns = clock_mono_ns());
}

/* Failures of the network or of the name; the others are mistakes in the call. */
static bool worth_telling(int result)
{
        static const int told[] = {EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_NODATA, EAI_SYSTEM};

        for (size_t i = 0; i < ARRAY_LEN(told); i++)
                if (told[i] == result)
                        return true;
        return false;
}

static int decimal_port(const char *service)
{
        int port = 0;

        if (!service || !*service)
                return 0;
        for (; *service >= '0' && *service <= '9' && port <= 65535; service++)
                port = port * 10 + (*service - '0');
        return *service || port > 65535 ? 0 : port;
}

static void failed(const struct tap_lookup *lookup, struct slice name, const char *service, int result)
{
        if (thread_state.mute || !worth_telling(result))
                return;
        thread_state.lookup_failed = hash_bytes(name.p, name.len, HASH_SEED);
        to_span_lookup(name, decimal_port(service), result, lookup->start_ns, clock_mono_ns());
}

static void remember(struct slice name, const struct addrinfo *list)
{
        uint32_t number = names_lookup_number();

        for (; list; list = list->ai_next)
                if (list->ai_addr)
                        names_remember(list->ai_addr, name, number);
        if (!thread_state.lookup_failed)
                return;
        /* The same name was not found a moment ago, perhaps in another address family: that was not the end.
         */
        if (thread_state.lookup_failed == hash_bytes(name.p, name.len, HASH_SEED))
                to_span_superseded(0, name, clock_mono_ns());
        thread_state.lookup_failed = 0;
}

void tap_dns_end(struct tap_lookup *lookup, const char *node, const char *service, int result,
                 const struct addrinfo *list, bool report)
{
        if (!lookup->start_ns || !node)
                return;
        OBSERVE({
                if (result == 0)
                        remember(slice_str(node), list);
                else if (report)
                        failed(lookup, slice_str(node), service, result);
        });
}

static int eai_of(int error)
{
        switch (error) {
        case HOST_NOT_FOUND:
                return EAI_NONAME;
        case TRY_AGAIN:
                return EAI_AGAIN;
        case NO_RECOVERY:
                return EAI_FAIL;
        case NO_DATA:
                return EAI_NODATA;
        default:
                return EAI_SYSTEM;
        }
}

static void remember_hostent(struct slice name, const struct hostent *entry)
{
        uint32_t number = names_lookup_number();

        for (char **addr = entry->h_addr_list; addr && *addr; addr++) {
                struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
                struct sockaddr_in in = {.sin_family = AF_INET};

                if (entry->h_addrtype == AF_INET && entry->h_length == 4) {
                        memcpy(&in.sin_addr, *addr, 4);
                        names_remember((struct sockaddr *)&in, name, number);
                } else if (entry->h_addrtype == AF_INET6 && entry->h_length == 16) {
                        memcpy(&in6.sin6_addr, *addr, 16);
                        names_remember((struct sockaddr *)&in6, name, number);
                }
        }
}

void tap_dns_end_hostent(struct tap_lookup *lookup, const char *name, int error, const struct hostent *entry)
{
        if (!lookup->start_ns || !name)
                return;
        OBSERVE({
                if (error == 0 && entry)
                        remember_hostent(slice_str(name), entry);
                else if (error)
                        failed(lookup, slice_str(name), NULL, eai_of(error));
        });
}
