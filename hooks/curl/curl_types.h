/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* libcurl's header with plain functions only: its macros would stand in the way of wrapping them. */
#define CURL_DISABLE_TYPECHECK   1
#define CURL_DISABLE_DEPRECATION 1
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt
#undef curl_multi_socket
