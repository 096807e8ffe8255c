/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nghttp2's HPACK wants of others, in place of its own nghttp2_mem.o, which would bring malloc, and of
 * libc's assert, which would end the host.
 */
#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stddef.h>

#include "agent/proto/http2_priv.h"

void *nghttp2_mem_malloc(nghttp2_mem *mem, size_t size);
void nghttp2_mem_free(nghttp2_mem *mem, void *ptr);
void nghttp2_mem_free2(nghttp2_free free_func, void *ptr, void *mem_user_data);
void *nghttp2_mem_calloc(nghttp2_mem *mem, size_t nmemb, size_t size);
void *nghttp2_mem_realloc(nghttp2_mem *mem, void *ptr, size_t size);
nghttp2_mem *nghttp2_mem_default(void);

void *nghttp2_mem_malloc(nghttp2_mem *mem, size_t size)
{
        return mem->malloc(size, mem->mem_user_data);
}

void nghttp2_mem_free(nghttp2_mem *mem, void *ptr)
{
        mem->free(ptr, mem->mem_user_data);
}

void nghttp2_mem_free2(nghttp2_free free_func, void *ptr, void *mem_user_data)
{
        free_func(ptr, mem_user_data);
}

void *nghttp2_mem_calloc(nghttp2_mem *mem, size_t nmemb, size_t size)
{
        return mem->calloc(nmemb, size, mem->mem_user_data);
}

void *nghttp2_mem_realloc(nghttp2_mem *mem, void *ptr, size_t size)
{
        return mem->realloc(ptr, size, mem->mem_user_data);
}

/* Asked for only by whoever brings no functions of its own. */
nghttp2_mem *nghttp2_mem_default(void)
{
        return NULL;
}

void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function)
{
        http2_hpack_give_up();
}
