/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks/curl/curl_handle.h"

#include "agent/base/guard.h"
#include "agent/base/intmap.h"
#include "agent/base/load.h"
#include "agent/base/slab.h"
#include "agent/base/stats.h"

INTMAP_DEFINE(handles, 2 * LIMIT_CURL_HANDLES);
SLAB_DEFINE(static, slab, sizeof(struct curl_handle), 16, LIMIT_CURL_HANDLES);

struct curl_handle *curl_handle_find(CURL *easy)
{
        uint32_t index;

        if (!easy || !intmap_get(&handles, (uintptr_t)easy, &index))
                return NULL;
        return slab_at(&slab, index);
}

/* Everything but the large texts, which are never read before they are written. */
static void clear(struct curl_handle *handle)
{
        handle->headers = NULL;
        handle->prereq = NULL;
        handle->prereq_data = NULL;
        handle->url_object = NULL;
        handle->protocol = CURL_PROTOCOL_NONE;
        handle->default_protocol = CURL_PROTOCOL_NONE;
        handle->protocol_guessed = false;
        handle->connect_only = false;
        handle->method = "GET";
        handle->custom_method[0] = '\0';
        handle->user_agent[0] = '\0';
        handle->hop.url_len = 0;
}

static void copy_settings(struct curl_handle *to, const struct curl_handle *from)
{
        to->headers = from->headers;
        to->prereq = from->prereq;
        to->prereq_data = from->prereq_data;
        to->url_object = from->url_object;
        to->protocol = from->protocol;
        to->default_protocol = from->default_protocol;
        to->protocol_guessed = from->protocol_guessed;
        to->connect_only = from->connect_only;
        to->method = from->method;
        memcpy(to->custom_method, from->custom_method, sizeof(to->custom_method));
        memcpy(to->user_agent, from->user_agent, sizeof(to->user_agent));
        if (from->has_prereq)
                return;
        to->hop.url_len = from->hop.url_len;
        memcpy(to->hop.url, from->hop.url, from->hop.url_len);
}

static struct curl_handle *make(CURL *easy)
{
        uint32_t index;
        struct curl_handle *handle = slab_alloc(&slab, &index);

        if (handle && !intmap_put(&handles, (uintptr_t)easy, index)) {
                slab_free(&slab, index);
                handle = NULL;
        }
        if (!handle)
                stat_add(STAT_UNTRACED_SLAB_FULL, 1);
        return handle;
}

void curl_handle_new(CURL *easy, const struct curl_library *real, const struct curl_handle *from)
{
        struct curl_handle *handle = curl_handle_find(easy);

        if (!easy || guard_passes())
                return;
        if (handle) { /* its end was hidden from us */
                curl_handle_unlink(handle);
                tap_http_forget(&handle->request);
        } else if (!(handle = make(easy))) {
                return;
        }
        handle->easy = easy;
        handle->real = real;
        handle->multi = NULL;
        handle->mode = CURL_IDLE;
        handle->lent = false;
        clear(handle);
        if (from) {
                handle->has_prereq = from->has_prereq;
                copy_settings(handle, from);
        } else {
                handle->has_prereq = real->curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, NULL) == CURLE_OK;
        }
}

void curl_handle_drop(struct curl_handle *handle)
{
        uint32_t index;

        if (intmap_take(&handles, (uintptr_t)handle->easy, &index))
                slab_free(&slab, index);
}

void curl_handle_reset(struct curl_handle *handle)
{
        handle->lent = false;
        clear(handle);
}

void curl_handle_link(struct curl_handle *handle, struct curl_multi *multi)
{
        curl_handle_unlink(handle);
        handle->multi = multi;
        handle->prev = NULL;
        handle->next = multi->first;
        if (multi->first)
                multi->first->prev = handle;
        multi->first = handle;
}

void curl_handle_unlink(struct curl_handle *handle)
{
        if (!handle->multi)
                return;
        if (handle->prev)
                handle->prev->next = handle->next;
        else
                handle->multi->first = handle->next;
        if (handle->next)
                handle->next->prev = handle->prev;
        handle->multi = NULL;
}

static bool starts_nocase(const char *text, struct slice prefix)
{
        return slice_eq_nocase(slice_make(text, strnlen(text, prefix.len)), prefix);
}

static enum curl_protocol protocol_of(struct slice name)
{
        bool http = slice_eq_nocase(name, SLICE("http")) || slice_eq_nocase(name, SLICE("https"));

        return http ? CURL_PROTOCOL_HTTP : CURL_PROTOCOL_OTHER;
}

/* libcurl's own rule for a URL without a protocol: some host names speak for one. */
static enum curl_protocol protocol_guess(const char *url)
{
        static const char others[][6] = {"ftp.", "dict.", "ldap.", "imap.", "smtp.", "pop3."};
        const char *at = memrchr(url, '@', strcspn(url, "/?#"));

        for (size_t i = 0; i < ARRAY_LEN(others); i++)
                if (starts_nocase(at ? at + 1 : url, slice_str(others[i])))
                        return CURL_PROTOCOL_OTHER;
        return CURL_PROTOCOL_HTTP;
}

bool curl_handle_is_http(struct curl_handle *handle)
{
        enum curl_protocol protocol = handle->protocol;
        char *scheme = NULL;

        if (handle->url_object) {
                if (handle->real->curl_url_get(handle->url_object, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
                        return false;
                protocol = protocol_of(slice_str(scheme));
                handle->real->curl_free(scheme);
        } else if (handle->protocol_guessed && handle->default_protocol) {
                protocol = handle->default_protocol;
        }
        return protocol == CURL_PROTOCOL_HTTP;
}

struct option_row;
typedef void keep_fn(struct curl_handle *handle, void *value, const struct option_row *row);

struct option_row {
        CURLoption option;
        keep_fn *keep;
        const char *method; /* what the option makes the request when it is given, for a libcurl that cannot
                               say */
};

static void keep_text(char *to, size_t size, const char *text)
{
        size_t len = text ? strnlen(text, size - 1) : 0;

        memcpy(to, text ? text : "", len);
        to[len] = '\0';
}

static void keep_headers(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->headers = value;
}

static void keep_prereq(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->prereq = (curl_prereq_callback)value;
}

static void keep_prereq_data(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->prereq_data = value;
}

static void keep_url(struct curl_handle *handle, void *value, const struct option_row *row)
{
        const char *url = value ? value : "";
        size_t len = strspn(url, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.");

        handle->protocol_guessed = len == 0 || url[len] != ':' || url[len + 1] != '/';
        if (!value)
                handle->protocol = CURL_PROTOCOL_NONE;
        else
                handle->protocol =
                        handle->protocol_guessed ? protocol_guess(url) : protocol_of(slice_make(url, len));
        if (handle->has_prereq)
                return;
        handle->hop.url_len = (uint32_t)strnlen(url, sizeof(handle->hop.url));
        memcpy(handle->hop.url, url, handle->hop.url_len);
}

static void keep_url_object(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->url_object = value;
}

static void keep_default_protocol(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->default_protocol = value ? protocol_of(slice_str(value)) : CURL_PROTOCOL_NONE;
}

static void keep_connect_only(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->connect_only = value != NULL;
}

static void keep_user_agent(struct curl_handle *handle, void *value, const struct option_row *row)
{
        keep_text(handle->user_agent, sizeof(handle->user_agent), value);
}

static void keep_custom_method(struct curl_handle *handle, void *value, const struct option_row *row)
{
        keep_text(handle->custom_method, sizeof(handle->custom_method), value);
}

static void keep_method(struct curl_handle *handle, void *value, const struct option_row *row)
{
        handle->method = value ? row->method : "GET";
}

static const struct option_row options[] = {
        {CURLOPT_HTTPHEADER, keep_headers},
        {CURLOPT_PREREQFUNCTION, keep_prereq},
        {CURLOPT_PREREQDATA, keep_prereq_data},
        {CURLOPT_URL, keep_url},
        {CURLOPT_CURLU, keep_url_object},
        {CURLOPT_DEFAULT_PROTOCOL, keep_default_protocol},
        {CURLOPT_CONNECT_ONLY, keep_connect_only},
        {CURLOPT_USERAGENT, keep_user_agent},
        {CURLOPT_CUSTOMREQUEST, keep_custom_method},
        {CURLOPT_HTTPGET, keep_method, "GET"},
        {CURLOPT_NOBODY, keep_method, "HEAD"},
        {CURLOPT_POST, keep_method, "POST"},
        {CURLOPT_POSTFIELDS, keep_method, "POST"},
        {CURLOPT_COPYPOSTFIELDS, keep_method, "POST"},
        {CURLOPT_HTTPPOST, keep_method, "POST"},
        {CURLOPT_MIMEPOST, keep_method, "POST"},
        {CURLOPT_UPLOAD, keep_method, "PUT"},
        {CURLOPT_PUT, keep_method, "PUT"},
};

void curl_handle_keep(struct curl_handle *handle, CURLoption option, void *value)
{
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
                if (options[i].option != option)
                        continue;
                options[i].keep(handle, value, &options[i]);
                return;
        }
}
