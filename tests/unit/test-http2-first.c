/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2: a process's first connections, from several threads at once, all find the pointers of HPACK's
 * tables. */
#include <pthread.h>

#include "tests/unit/http2-log.h"
#include "tests/unit/http2-script.h"
#include "tests/unit/unit.h"

#define ROUNDS  50
#define THREADS 4

static struct http2_log logs[THREADS];
static char stream[4096];
static size_t stream_len;
static pthread_barrier_t together;

static void *first(void *log)
{
        (void)pthread_barrier_wait(&together);
        http2_log_init(log, HTTP2_CLIENT, HTTP2_LOG_ROOM);
        (void)http2_log_feed(log, slice_make(stream, stream_len));
        return NULL;
}

static void be_first(void *nothing)
{
        pthread_t threads[THREADS];

        (void)pthread_barrier_init(&together, NULL, THREADS);
        for (int i = 0; i < THREADS; i++)
                if (pthread_create(&threads[i], NULL, first, &logs[i]))
                        _exit(1);
        for (int i = 0; i < THREADS; i++)
                if (pthread_join(threads[i], NULL) || logs[i].wrong ||
                    !strstr(logs[i].text, "method=GET scheme=http auth=h path=/ ua=agent"))
                        _exit(2);
}

/* Nothing was used yet in the process that forks: each child is the first anew. */
START_TEST(test_first_use_by_many)
{
        stream_len = http2_script(stream, sizeof(stream),
                                  "PRI|S|H1e :method=GET;:scheme=http;:authority=h;:path=/;user-agent=agent");
        for (int i = 0; i < ROUNDS; i++)
                ck_assert_int_eq(unit_in_child(be_first, NULL), 0);
}
END_TEST

UNIT_MAIN("http2-first", test_first_use_by_many)
