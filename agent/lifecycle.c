/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lifecycle.h"

#include "agent/base/guard.h"
#include "agent/base/load.h"
#include "agent/base/log.h"
#include "agent/base/stats.h"
#include "agent/base/sys.h"
#include "agent/config/config.h"
#include "agent/flow/handoff.h"
#include "agent/flow/tls.h"
#include "agent/ring/home.h"
#include "agent/tap/tap_net.h"
#include "agent/trace/process_span.h"
#include "agent/trace/scope.h"

#define VALUE_SHOWN 100 /* bytes of a bad value; those that may hold secrets are never bad */

static void warn_bad_setting(void *ctx, const struct config_row *row, const char *value, const char *why)
{
        log_warn("%s=%.*s: %s", row->env, VALUE_SHOWN, value, why);
}

/* Before anything else is touched: the kill switch (design 5, law 8). */
static bool killed(char *const *environ_now)
{
        static const char name[] = "OTEL_SDK_DISABLED=";

        for (char *const *entry = environ_now; entry && *entry; entry++)
                if (slice_starts(slice_str(*entry), slice_make(name, sizeof(name) - 1)))
                        return slice_eq_nocase(slice_str(*entry + sizeof(name) - 1), SLICE("true"));
        return false;
}

static void start_log(void)
{
        struct log_target target = {(enum log_level)config_now.log_level, 2, NULL};

        if (*config_now.log_file)
                target.path = config_now.log_file;
        log_set_target(target);
}

static const char *setting(const char *name)
{
        return config_env_get(&config_env_now, name);
}

/* A CGI program's request came with its header fields as variables; what was set for it on purpose wins. */
static bool is_cgi(void)
{
        return config_now.trust_inbound && !setting("TRACEPARENT") && setting("HTTP_TRACEPARENT") &&
               (setting("GATEWAY_INTERFACE") || setting("REQUEST_METHOD"));
}

static void start_scope(void)
{
        if (is_cgi())
                scope_start(setting("HTTP_TRACEPARENT"), setting("HTTP_TRACESTATE"), setting("HTTP_BAGGAGE"));
        else
                scope_start(setting("TRACEPARENT"), setting("TRACESTATE"), setting("BAGGAGE"));
}

START_TEXT bool lifecycle_start(char *const *environ_now)
{
        if (killed(environ_now) || !config_env_copy(&config_env_now, environ_now))
                return false;
        config_load(&config_now, config_env_now.envp, NULL, NULL);
        if (config_now.sdk_disabled)
                return false;
        start_log();
        if (log_level_now >= LOG_WARN) {
                struct config again; /* the same once more, now that warnings have somewhere to go */

                config_load(&again, config_env_now.envp, warn_bad_setting, NULL);
        }
        process_after_fork = lifecycle_after_fork_child;
        process_begin();
        home_start(environ_now);
        start_scope();
        if (config_now.process_span)
                process_span_start(setting(CARRY_PROCESS), environ_now);
        __atomic_store_n(&agent_enabled, 1, __ATOMIC_RELEASE);
        tap_net_inherited();
        return true;
}

START_TEXT bool lifecycle_minds_status(void)
{
        return __atomic_load_n(&agent_enabled, __ATOMIC_RELAXED) && config_now.process_span;
}

/* The thread that has libc fork and end it, or 0. */
static int parent_ends;

void lifecycle_daemon(bool begins)
{
        parent_ends = begins && lifecycle_minds_status() ? sys_gettid() : 0;
}

void lifecycle_before_fork(void)
{
        OBSERVE({
                process_span_show(); /* the child's span lies below it */
                handoff_before_fork();
                home_before_fork();
        });
}

void lifecycle_after_fork_parent(void)
{
        OBSERVE({
                handoff_after_fork_parent();
                home_after_fork_parent();
        });
        if (parent_ends && parent_ends == sys_gettid())
                lifecycle_end(0);
}

void lifecycle_after_fork_child(void)
{
        if (!__atomic_load_n(&agent_enabled, __ATOMIC_RELAXED) || process_is_known())
                return;
        process_begin();
        stats_move(NULL);
        home_after_fork();
        handoff_after_fork();
        scope_after_fork();
        if (config_now.process_span)
                process_span_forked();
}

void lifecycle_end(int status)
{
        OBSERVE(if (process_own_memory()) process_span_end(status));
        lifecycle_stop();
}

void lifecycle_exit(int status)
{
        if (home_closes_early())
                lifecycle_end(status);
        else
                lifecycle_stop();
}

START_TEXT void lifecycle_stop(void)
{
        OBSERVE({
                if (process_own_memory()) {
                        conn_table_each(conn_last_words);
                        if (handoff_has_left())
                                handoff_last_words();
                        tls_last_words();
                        home_at_exit();
                }
        });
}
