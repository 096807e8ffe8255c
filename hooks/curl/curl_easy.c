/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of libcurl's easy interface. */
#include <stdarg.h>

#include "hooks/curl/curl_transfer.h"
#include "hooks/hook.h"

/* Options come as one variadic argument of at most eight bytes, which is passed on as it came. */
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *), "LP64 only");

HOOK_EXPORT CURL *curl_easy_init(void)
{
        const struct curl_library *real = curl_library_for(CURL_CALLER);
        CURL *easy = real->curl_easy_init();

        if (easy && !curl_library_has(CURL_CALLER)) /* libcurl makes some for its own use */
                curl_handle_new(easy, real, NULL);
        return easy;
}

HOOK_EXPORT CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
        struct curl_handle *handle = curl_handle_find(curl);
        CURLcode code;
        va_list args;
        void *value;

        va_start(args, option);
        value = va_arg(args, void *);
        va_end(args);
        if (!handle)
                return curl_library_for(CURL_CALLER)->curl_easy_setopt(curl, option, value);
        if (curl_transfer_setopt(handle, option, value))
                return CURLE_OK;
        code = handle->real->curl_easy_setopt(curl, option, value);
        if (code == CURLE_OK)
                curl_handle_keep(handle, option, value);
        return code;
}

HOOK_EXPORT CURLcode curl_easy_perform(CURL *curl)
{
        struct curl_handle *handle = curl_handle_find(curl);
        CURLcode code;

        if (!handle)
                return curl_library_for(CURL_CALLER)->curl_easy_perform(curl);
        if (!curl_transfer_begin(handle, false))
                return handle->real->curl_easy_perform(curl);
        tap_http_mute();
        code = handle->real->curl_easy_perform(curl);
        tap_http_unmute();
        curl_transfer_end(handle, CURL_END_CODE, code);
        return code;
}

HOOK_EXPORT CURL *curl_easy_duphandle(CURL *curl)
{
        struct curl_handle *handle = curl_handle_find(curl);
        CURL *copy;

        if (!handle)
                return curl_library_for(CURL_CALLER)->curl_easy_duphandle(curl);
        copy = handle->real->curl_easy_duphandle(curl);
        if (!copy)
                return NULL;
        curl_transfer_clean_copy(handle, copy);
        if (!curl_library_has(CURL_CALLER))
                curl_handle_new(copy, handle->real, handle);
        return copy;
}

HOOK_EXPORT void curl_easy_reset(CURL *curl)
{
        struct curl_handle *handle = curl_handle_find(curl);

        if (!handle) {
                curl_library_for(CURL_CALLER)->curl_easy_reset(curl);
                return;
        }
        handle->real->curl_easy_reset(curl);
        curl_handle_reset(handle);
}

HOOK_EXPORT void curl_easy_cleanup(CURL *curl)
{
        struct curl_handle *handle = curl_handle_find(curl);
        const struct curl_library *real;

        if (!handle) {
                curl_library_for(CURL_CALLER)->curl_easy_cleanup(curl);
                return;
        }
        real = handle->real;
        curl_transfer_end(handle, CURL_END_CANCELLED, CURLE_OK);
        curl_handle_unlink(handle);
        curl_handle_drop(handle);
        real->curl_easy_cleanup(curl);
}
