/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of libcurl's multi interface. While a multi handle that holds a transfer of ours runs, what
 * lies below is muted, also for transfers of other protocols beside it: a failed connection of
 * theirs is not reported then. A multi handle without a transfer of ours is left alone.
 *
 * Only calls that can make a connection are wrapped: one that was made under mute stays the seam's,
 * whoever uses it (curl_multi_poll, curl_easy_send, curl_easy_pause, curl_easy_upkeep).
 */
#include "agent/base/intmap.h"
#include "agent/base/slab.h"
#include "agent/base/stats.h"
#include "hooks/curl/curl_transfer.h"
#include "hooks/hook.h"

INTMAP_DEFINE(multis, 2 * LIMIT_CURL_MULTIS);
SLAB_DEFINE(static, slab, sizeof(struct curl_multi), 64, LIMIT_CURL_MULTIS);

static struct curl_multi *find(CURLM *multi)
{
        uint32_t index;

        return multi && intmap_get(&multis, (uintptr_t)multi, &index) ? slab_at(&slab, index) : NULL;
}

static void remember(CURLM *multi, const struct curl_library *real)
{
        uint32_t index;
        struct curl_multi *state = slab_alloc(&slab, &index);

        if (state && !intmap_put(&multis, (uintptr_t)multi, index)) {
                slab_free(&slab, index);
                state = NULL;
        }
        if (!state) {
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
                return;
        }
        state->real = real;
        state->first = NULL;
        state->all_done = false;
}

/* One whose end was hidden from us had the same address. */
static void forget(CURLM *multi)
{
        uint32_t index;
        struct curl_multi *state;

        if (!intmap_take(&multis, (uintptr_t)multi, &index))
                return;
        state = slab_at(&slab, index);
        while (state->first)
                curl_handle_unlink(state->first);
        slab_free(&slab, index);
}

static const struct curl_library *library_of(const struct curl_multi *state, const void *caller)
{
        return state ? state->real : curl_library_for(caller);
}

HOOK_EXPORT CURLM *curl_multi_init(void)
{
        const struct curl_library *real = curl_library_for(CURL_CALLER);
        CURLM *multi = real->curl_multi_init();

        if (!multi || guard_passes())
                return multi;
        forget(multi);
        remember(multi, real);
        return multi;
}

HOOK_EXPORT CURLMcode curl_multi_cleanup(CURLM *multi_handle)
{
        struct curl_multi *state;
        uint32_t index;
        CURLMcode code;

        /* Before libcurl frees it: the address may be another thread's new handle right after. */
        if (!multi_handle || !intmap_take(&multis, (uintptr_t)multi_handle, &index))
                return curl_library_for(CURL_CALLER)->curl_multi_cleanup(multi_handle);
        state = slab_at(&slab, index);
        code = state->real->curl_multi_cleanup(multi_handle);
        if (code != CURLM_OK) {
                (void)intmap_put(&multis, (uintptr_t)multi_handle, index); /* full: not traced from here on */
                return code;
        }
        while (state->first) {
                struct curl_handle *handle = state->first;

                curl_transfer_end(handle, state->all_done ? CURL_END_UNSAID : CURL_END_CANCELLED, CURLE_OK);
                curl_handle_unlink(handle);
        }
        slab_free(&slab, index);
        return code;
}

HOOK_EXPORT CURLMcode curl_multi_add_handle(CURLM *multi_handle, CURL *curl_handle)
{
        struct curl_multi *state = find(multi_handle);
        struct curl_handle *handle = curl_handle_find(curl_handle);
        CURLMcode code = library_of(state, CURL_CALLER)->curl_multi_add_handle(multi_handle, curl_handle);

        if (code != CURLM_OK || !state)
                return code;
        state->all_done = false;
        if (handle && curl_transfer_begin(handle, true))
                curl_handle_link(handle, state);
        return code;
}

HOOK_EXPORT CURLMcode curl_multi_remove_handle(CURLM *multi_handle, CURL *curl_handle)
{
        struct curl_multi *state = find(multi_handle);
        struct curl_handle *handle = curl_handle_find(curl_handle);
        CURLMcode code = library_of(state, CURL_CALLER)->curl_multi_remove_handle(multi_handle, curl_handle);

        if (code != CURLM_OK || !state || !handle || handle->multi != state)
                return code;
        curl_transfer_end(handle, state->all_done ? CURL_END_UNSAID : CURL_END_CANCELLED, CURLE_OK);
        curl_handle_unlink(handle);
        return code;
}

HOOK_EXPORT CURLMsg *curl_multi_info_read(CURLM *multi_handle, int *msgs_in_queue)
{
        struct curl_multi *state = find(multi_handle);
        CURLMsg *message = library_of(state, CURL_CALLER)->curl_multi_info_read(multi_handle, msgs_in_queue);
        struct curl_handle *handle;

        if (!state || !message || message->msg != CURLMSG_DONE)
                return message;
        handle = curl_handle_find(message->easy_handle);
        if (handle && handle->multi == state)
                curl_transfer_end(handle, CURL_END_CODE, message->data.result);
        return message;
}

/* --- calls that let the transfers run --- */

static bool run_begin(const struct curl_multi *state)
{
        bool mute = state && state->first;

        if (mute)
                tap_http_mute();
        return mute;
}

static void run_end(struct curl_multi *state, bool mute, CURLMcode code, const int *running)
{
        if (mute)
                tap_http_unmute();
        if (state && code == CURLM_OK && running)
                state->all_done = *running == 0;
}

HOOK_EXPORT CURLMcode curl_multi_perform(CURLM *multi_handle, int *running_handles)
{
        struct curl_multi *state = find(multi_handle);
        const struct curl_library *real = library_of(state, CURL_CALLER);
        bool mute = run_begin(state);
        CURLMcode code = real->curl_multi_perform(multi_handle, running_handles);

        run_end(state, mute, code, running_handles);
        return code;
}

HOOK_EXPORT CURLMcode curl_multi_socket_action(CURLM *multi_handle, curl_socket_t s, int ev_bitmask,
                                               int *running_handles)
{
        struct curl_multi *state = find(multi_handle);
        const struct curl_library *real = library_of(state, CURL_CALLER);
        bool mute = run_begin(state);
        CURLMcode code = real->curl_multi_socket_action(multi_handle, s, ev_bitmask, running_handles);

        run_end(state, mute, code, running_handles);
        return code;
}

HOOK_EXPORT CURLMcode curl_multi_socket(CURLM *multi_handle, curl_socket_t s, int *running_handles)
{
        struct curl_multi *state = find(multi_handle);
        const struct curl_library *real = library_of(state, CURL_CALLER);
        bool mute = run_begin(state);
        CURLMcode code = real->curl_multi_socket(multi_handle, s, running_handles);

        run_end(state, mute, code, running_handles);
        return code;
}

HOOK_EXPORT CURLMcode curl_multi_socket_all(CURLM *multi_handle, int *running_handles)
{
        struct curl_multi *state = find(multi_handle);
        const struct curl_library *real = library_of(state, CURL_CALLER);
        bool mute = run_begin(state);
        CURLMcode code = real->curl_multi_socket_all(multi_handle, running_handles);

        run_end(state, mute, code, running_handles);
        return code;
}
