/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "hooks/pool/pool_types.h"

#define FAKE_JOBS 16

struct fake_job {
        struct _GThreadPool *pool;
        void *arg;
        void (*work)(struct uv_work_s *req);
        void (*after)(struct uv_work_s *req, int status);
        void (*callback)(int fd, short events, void *arg);
};

/* Exported by fake-pools.c, in order of submission. */
extern struct fake_job fake_jobs[FAKE_JOBS];
extern unsigned fake_count;
