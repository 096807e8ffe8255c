/* SPDX-License-Identifier: Apache-2.0 */
/* Which request a new thread, or somebody else's thread with a job of ours, works for. */
#include <errno.h>
#include <pthread.h>
#include <threads.h>

#include "agent/base/guard.h"
#include "agent/base/limits.h"
#include "agent/trace/cause.h"
#include "hooks/hook.h"
#include "tests/unit/fake-pools.h"
#include "tests/unit/unit.h"

static uint64_t seen[4];
static unsigned seen_count;
static void *seen_arg;
static char place; /* something that pointers of the host's point to */

static void note(void *arg)
{
        seen[seen_count++] = thread_state.cause.inherited;
        seen_arg = arg;
}

/* The thread works for this request from here on. */
static uint64_t work_for(const char *method)
{
        const struct cause_arrival arrival = {
                .context = {.trace_id = {1}, .span_id = {2}, .flags = 1},
                .method = slice_str(method),
                .target = SLICE("/"),
                .sampled = true,
        };
        uint64_t request;

        thread_state.cause = (struct thread_cause){.key = 0};
        request = cause_open(&thread_state.cause, &arrival);
        ck_assert(request != CAUSE_NONE && request != CAUSE_UNKNOWN);
        ck_assert_uint_eq(cause_current(&thread_state.cause), request);
        return request;
}

static void setup(void)
{
        ck_assert(real_start());
        process_generation = 1;
        agent_enabled = 1;
}

static void *thread_main(void *arg)
{
        note(arg);
        return (char *)arg + 1;
}

static int c11_main(void *arg)
{
        note(arg);
        return 7;
}

static void run_threads(uint64_t expected)
{
        pthread_t posix;
        thrd_t c11;
        void *result;
        int status;
        char arg[2];

        seen_count = 0;
        ck_assert_int_eq(pthread_create(&posix, NULL, thread_main, arg), 0);
        ck_assert_int_eq(pthread_join(posix, &result), 0);
        ck_assert_ptr_eq(result, arg + 1);
        ck_assert_ptr_eq(seen_arg, arg);
        ck_assert_int_eq(thrd_create(&c11, c11_main, arg), thrd_success);
        ck_assert_int_eq(thrd_join(c11, &status), thrd_success);
        ck_assert_int_eq(status, 7);
        ck_assert_uint_eq(seen[0], expected);
        ck_assert_uint_eq(seen[1], expected);
}

START_TEST(test_pthread_create_without_a_request)
{
        run_threads(CAUSE_NONE);
        agent_enabled = 0;
        run_threads(CAUSE_NONE);
}
END_TEST

START_TEST(test_pthread_create_hands_the_request_over)
{
        for (int i = 0; i < 1000; i++) {
                uint64_t request = work_for("GET");

                run_threads(request);
                cause_close(request);
        }
}
END_TEST

START_TEST(test_pthread_create_that_fails)
{
        pthread_attr_t attr;
        cpu_set_t none;
        pthread_t thread;

        (void)work_for("GET");
        CPU_ZERO(&none);
        ck_assert_int_eq(pthread_attr_init(&attr), 0);
        ck_assert_int_eq(pthread_attr_setaffinity_np(&attr, sizeof(none), &none), 0);
        for (int i = 0; i < 100; i++)
                ck_assert_int_eq(pthread_create(&thread, &attr, thread_main, NULL), EINVAL);
        ck_assert_int_eq(pthread_attr_destroy(&attr), 0);
        ck_assert_uint_eq(seen_count, 0);
}
END_TEST

START_TEST(test_pthread_create_with_little_stack)
{
        uint64_t request = work_for("GET");
        pthread_attr_t attr;
        pthread_t thread;

        ck_assert_int_eq(pthread_attr_init(&attr), 0);
        ck_assert_int_eq(pthread_attr_setstacksize(&attr, 16384), 0);
        ck_assert_int_eq(pthread_create(&thread, &attr, thread_main, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_uint_eq(seen[0], request);
}
END_TEST

static void *cancelled_main(void *arg)
{
        pthread_testcancel();
        note(arg);
        return NULL;
}

START_TEST(test_pthread_create_of_threads_that_are_cancelled_at_once)
{
        (void)work_for("GET");
        for (int i = 0; i < 500; i++) {
                pthread_t thread;
                void *result;

                seen_count = 0;
                ck_assert_int_eq(pthread_create(&thread, NULL, cancelled_main, NULL), 0);
                (void)pthread_cancel(thread); /* it may have ended by itself */
                ck_assert_int_eq(pthread_join(thread, &result), 0);
                ck_assert(result == PTHREAD_CANCELED || seen_count == 1);
        }
}
END_TEST

static void glib_job(void *data, void *user_data)
{
        ck_assert_ptr_eq(user_data, &place);
        note(data);
}

/* As a thread of the pool's does. */
static void run_glib(unsigned job)
{
        struct _GThreadPool *pool = fake_jobs[job].pool;

        thread_state.cause = (struct thread_cause){.key = 0};
        pool->func(fake_jobs[job].arg, pool->user_data);
        ck_assert_uint_eq(thread_state.cause.inherited, CAUSE_NONE);
        ck_assert_ptr_eq(seen_arg, fake_jobs[job].arg);
}

START_TEST(test_g_thread_pool_push_jobs_in_any_order)
{
        struct _GThreadPool *pool = g_thread_pool_new(glib_job, &place, 1, 0, NULL);
        uint64_t first, second;
        char data[3];

        ck_assert_ptr_eq(pool->user_data, &place); /* is public */

        ck_assert_int_eq(g_thread_pool_push(pool, &data[2], NULL), 1); /* for nobody */
        first = work_for("GET");
        ck_assert_int_eq(g_thread_pool_push(pool, &data[0], NULL), 1);
        second = work_for("POST");
        ck_assert_int_eq(g_thread_pool_push(pool, &data[1], NULL), 1);
        run_glib(2);
        run_glib(1);
        run_glib(0);
        ck_assert_uint_eq(seen[0], second);
        ck_assert_uint_eq(seen[1], first);
        ck_assert_uint_eq(seen[2], CAUSE_NONE);
}
END_TEST

START_TEST(test_g_thread_pool_push_the_same_data)
{
        struct _GThreadPool *pool = g_thread_pool_new(glib_job, &place, 1, 0, NULL);
        char data;

        (void)work_for("GET");
        ck_assert_int_eq(g_thread_pool_push(pool, &data, NULL), 1);
        (void)work_for("POST");
        ck_assert_int_eq(g_thread_pool_push(pool, &data, NULL), 1);
        run_glib(0);
        run_glib(1);
        ck_assert_uint_eq(seen[0], CAUSE_UNKNOWN);
        ck_assert_uint_eq(seen[1], CAUSE_UNKNOWN);
        /* What was never run is not there for the next with this data. */
        (void)work_for("GET");
        ck_assert_int_eq(g_thread_pool_push(pool, &data, NULL), 1);
        agent_enabled = 0;
        ck_assert_int_eq(g_thread_pool_push(pool, &data, NULL), 1);
        agent_enabled = 1;
        run_glib(3);
        ck_assert_uint_eq(seen[2], CAUSE_NONE);
}
END_TEST

static unsigned others;

static void other_job(void *data, void *user_data)
{
        ck_assert_ptr_eq(user_data, &place);
        others++;
}

START_TEST(test_g_thread_pool_new_more_than_are_followed)
{
        for (unsigned i = 0; i < 2 * LIMIT_POOLS; i++) {
                struct _GThreadPool *pool =
                        g_thread_pool_new(i % 2 ? other_job : glib_job, &place, 1, 0, NULL);

                pool->func(&place, pool->user_data);
                ck_assert_uint_eq(others, (i + 1) / 2);
                ck_assert_uint_eq(seen_count, i % 2 ? 0 : 1);
                seen_count = 0;
                ck_assert_ptr_eq(pool->user_data, &place);
                free(pool); /* g_thread_pool_free() would give its place back */
        }
}
END_TEST

static void uv_work_of(struct uv_work_s *req)
{
        note(req);
}

static void uv_after_of(struct uv_work_s *req, int status)
{
        ck_assert_int_eq(status, -125);
        note(req);
}

START_TEST(test_uv_queue_work_both_callbacks)
{
        struct uv_work_s *req = (struct uv_work_s *)(void *)&place;
        uint64_t request = work_for("GET");

        ck_assert_int_eq(uv_queue_work(NULL, req, uv_work_of, uv_after_of), 0);
        ck_assert_ptr_ne(fake_jobs[0].work, uv_work_of);
        thread_state.cause = (struct thread_cause){.key = 0};
        fake_jobs[0].work(req);
        fake_jobs[0].after(req, -125);
        ck_assert_uint_eq(seen_count, 2);
        ck_assert_uint_eq(seen[0], request);
        ck_assert_uint_eq(seen[1], request);
        ck_assert_uint_eq(thread_state.cause.inherited, CAUSE_NONE);
        /* For nobody: the host's own callbacks. */
        cause_close(request);
        ck_assert_int_eq(uv_queue_work(NULL, req, uv_work_of, uv_after_of), 0);
        ck_assert_ptr_eq(fake_jobs[1].work, uv_work_of);
        ck_assert_ptr_eq(fake_jobs[1].after, uv_after_of);
        ck_assert_int_eq(uv_queue_work(NULL, req, NULL, NULL), -22);
}
END_TEST

static void uv_other_work_of(struct uv_work_s *req)
{
        others++;
}

/* A child has the memory of its parent's jobs, and not the loop that would run them. */
START_TEST(test_uv_queue_work_what_a_parent_waits_for)
{
        struct uv_work_s *req = (struct uv_work_s *)(void *)&place;

        (void)work_for("GET");
        ck_assert_int_eq(uv_queue_work(NULL, req, uv_work_of, NULL), 0);
        ck_assert_int_eq(uv_queue_work(NULL, req, uv_other_work_of, uv_after_of), 0);
        fake_jobs[1].work(req);
        fake_jobs[1].after(req, -125);
        ck_assert_uint_eq(others, 1);
        ck_assert_uint_eq(seen_count, 1);
}
END_TEST

START_TEST(test_uv_queue_work_without_a_second_callback)
{
        struct uv_work_s *req = (struct uv_work_s *)(void *)&place;

        (void)work_for("GET");
        for (unsigned i = 0; i < 10; i++) {
                seen_count = 0;
                ck_assert_int_eq(uv_queue_work(NULL, req, uv_work_of, NULL), 0);
                fake_jobs[i].work(req);
                fake_jobs[i].after(req, 0);
                ck_assert_uint_eq(seen_count, 1);
        }
}
END_TEST

static void event_of(int fd, short events, void *arg)
{
        ck_assert_int_eq(fd, 4);
        ck_assert_int_eq(events, 2);
        note(arg);
}

START_TEST(test_event_base_once)
{
        uint64_t request = work_for("GET");
        char arg;

        ck_assert_int_eq(event_base_once(NULL, 4, 2, event_of, &arg, NULL), 0);
        ck_assert_int_eq(event_base_once(NULL, 4, 2, event_of, &arg, NULL), 0); /* the same twice */
        ck_assert_int_eq(event_base_once(NULL, -2, 2, event_of, &arg, NULL), -1);
        thread_state.cause = (struct thread_cause){.key = 0};
        for (unsigned i = 0; i < 2; i++) {
                fake_jobs[i].callback(4, 2, fake_jobs[i].arg);
                ck_assert_uint_eq(seen[i], request);
                ck_assert_ptr_eq(seen_arg, &arg);
        }
        ck_assert_uint_eq(fake_count, 2);
}
END_TEST

UNIT_MAIN_WITH("thread", setup, test_pthread_create_without_a_request,
               test_pthread_create_hands_the_request_over, test_pthread_create_that_fails,
               test_pthread_create_with_little_stack,
               test_pthread_create_of_threads_that_are_cancelled_at_once,
               test_g_thread_pool_push_jobs_in_any_order, test_g_thread_pool_push_the_same_data,
               test_g_thread_pool_new_more_than_are_followed, test_uv_queue_work_both_callbacks,
               test_uv_queue_work_what_a_parent_waits_for, test_uv_queue_work_without_a_second_callback,
               test_event_base_once)
