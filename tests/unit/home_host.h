/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A traced program in a test's process: settings of its own, so that no relay is shared with anybody. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/base/clock.h"
#include "agent/base/guard.h"
#include "agent/base/stats.h"
#include "agent/config/config.h"
#include "agent/process.h"
#include "agent/ring/handover.h"
#include "agent/ring/home.h"
#include "agent/ring/relay_name.h"
#include "agent/ring/ring.h"
#include "tests/unit/unit.h"

static inline void host_after_fork(void)
{
        process_begin();
        stats_move(NULL);
        home_after_fork();
}

/* @exporter, @relay, @service: values of settings; @home: HOME of a relay. */
static inline void host_start(const char *exporter, const char *relay, const char *service,
                              const char *home_dir)
{
        static char texts[6][600];
        static char *environment[7];
        int n = 0;

        snprintf(texts[n++], sizeof(texts[0]), "OTEL_EXPORTER_OTLP_ENDPOINT=http://test-%d:1", getpid());
        snprintf(texts[n++], sizeof(texts[0]), "OTEL_TRACES_EXPORTER=%s", exporter);
        snprintf(texts[n++], sizeof(texts[0]), "OTEL_INSTRUMENT_RELAY=%s", relay);
        snprintf(texts[n++], sizeof(texts[0]), "OTEL_SERVICE_NAME=%s", service);
        snprintf(texts[n++], sizeof(texts[0]), "HOME=%s", home_dir);
        snprintf(texts[n++], sizeof(texts[0]), "http_proxy=proxy:3128");
        for (int i = 0; i < n; i++)
                environment[i] = texts[i];
        ck_assert(config_env_copy(&config_env_now, environment));
        config_load(&config_now, config_env_now.envp, NULL, NULL);
        process_after_fork = host_after_fork;
        process_begin();
        home_start(environment);
}

static inline struct span host_span(void)
{
        struct span span = {.kind = SPAN_CLIENT, .shape = SHAPE_HTTP_CLIENT, .start_ns = 1, .end_ns = 2};

        memset(span.context.trace_id, 1, 16);
        memset(span.context.span_id, 1, 8);
        return span;
}

static inline void host_write(unsigned count)
{
        struct span span = host_span();

        while (count--)
                home_span(&span, clock_mono_ns());
}

/* Number of open descriptors below 2000, the reach of ours. */
static inline unsigned host_descriptors(void)
{
        unsigned count = 0;

        for (int fd = 0; fd < 2000; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}
