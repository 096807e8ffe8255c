/* SPDX-License-Identifier: Apache-2.0 */
/* popen() and its streams: an ordinary stream of libc's and the child that belongs to it. */
#include <errno.h>

#include "agent/base/limits.h"
#include "agent/base/load.h"
#include "agent/base/sys.h"
#include "agent/tap/tap_proc.h"
#include "hooks/libc/shell.h"

/* Those of libc's stand here as well: a child must not get any of them, whoever opened it. */
struct stream {
        FILE *file; /* NULL: free */
        pid_t pid;  /* 0: libc's */
};

static struct {
        LARGE_TABLE struct shell_lock lock;
        unsigned count, ours, used; /* used: below which all of them lie */
        struct stream at[LIMIT_POPEN_STREAMS];
} streams;

/* What the caller asks for. */
struct mode {
        bool reads, writes, keeps; /* "e": close-on-exec */
};

static bool parse_mode(const char *text, struct mode *ret_mode)
{
        struct mode mode = {.reads = false};

        for (; *text; text++) {
                if (*text == 'r')
                        mode.reads = true;
                else if (*text == 'w')
                        mode.writes = true;
                else if (*text == 'e')
                        mode.keeps = true;
                else
                        return false;
        }
        *ret_mode = mode;
        return mode.reads != mode.writes;
}

static struct stream *find(const FILE *file)
{
        for (unsigned i = 0; i < streams.used; i++)
                if (streams.at[i].file == file)
                        return &streams.at[i];
        return NULL;
}

static struct stream *find_free(void)
{
        struct stream *stream = find(NULL);

        if (!stream && streams.used < LIMIT_POPEN_STREAMS)
                stream = &streams.at[streams.used++];
        return stream;
}

static void add(struct stream *stream, FILE *file, pid_t pid)
{
        *stream = (struct stream){file, pid};
        streams.ours += pid != 0;
        __atomic_store_n(&streams.count, streams.count + 1, __ATOMIC_RELEASE);
}

bool popen_take(FILE *file, pid_t *ret_pid)
{
        struct stream *stream;

        if (LIKELY(!__atomic_load_n(&streams.count, __ATOMIC_ACQUIRE)) || !file || !tap_proc_own_memory())
                return false;
        shell_lock(&streams.lock);
        stream = find(file);
        if (stream) {
                *ret_pid = stream->pid;
                streams.ours -= stream->pid != 0;
                __atomic_store_n(&streams.count, streams.count - 1, __ATOMIC_RELEASE);
                stream->file = NULL;
        }
        shell_unlock(&streams.lock);
        return stream != NULL;
}

int popen_end(pid_t pid, int closed)
{
        int status;

        if (shell_wait(pid, &status) < 0)
                return -1;
        return status ? status : closed;
}

/* The shell's end becomes @number there; of the streams before only what stands at that number may stay. */
static int spawn(pid_t *ret_pid, const char *command, int end, int number, char *const *envp)
{
        char *argv[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
        posix_spawn_file_actions_t actions;
        int error;

        (void)posix_spawn_file_actions_init(&actions); /* only fills it */
        error = posix_spawn_file_actions_adddup2(&actions, end, number);
        for (unsigned i = 0; i < streams.used && !error; i++) {
                int fd = streams.at[i].file ? fileno_unlocked(streams.at[i].file) : -1;

                if (fd >= 0 && fd != number)
                        error = posix_spawn_file_actions_addclose(&actions, fd);
        }
        if (!error)
                error = REAL(posix_spawn)(ret_pid, SHELL_PATH, &actions, NULL, argv, envp);
        (void)posix_spawn_file_actions_destroy(&actions);
        return error;
}

/* Our end must not lie where the shell's will be. */
static bool make_ends(const struct mode *mode, int *ret_ours, int *ret_shells)
{
        int ends[2], number = mode->reads ? 1 : 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return false;
        *ret_ours = ends[mode->reads ? 0 : 1];
        *ret_shells = ends[mode->reads ? 1 : 0];
        if (*ret_ours != number)
                return true;
        *ret_ours = sys_fcntl(number, F_DUPFD_CLOEXEC, 0);
        (void)sys_close(number);
        if (*ret_ours >= 0)
                return true;
        (void)sys_close(*ret_shells);
        return false;
}

/* Return: NULL when anything fails: libc is asked then, to fail in its own way. */
static FILE *open_stream(struct stream *stream, const char *command, const struct mode *mode,
                         char *const *envp)
{
        int ours, shells;
        FILE *file;
        pid_t pid;

        if (!make_ends(mode, &ours, &shells))
                return NULL;
        file = fdopen(ours, mode->reads ? "r" : "w");
        if (!file)
                (void)sys_close(ours);
        else if (spawn(&pid, command, shells, mode->reads ? 1 : 0, envp) != 0) {
                (void)REAL(fclose)(file); /* empty */
                file = NULL;
        }
        (void)sys_close(shells);
        if (!file)
                return NULL;
        if (!mode->keeps)
                (void)sys_fcntl(ours, F_SETFD, 0);
        add(stream, file, pid);
        return file;
}

/* With the lock held, as libc holds one: no child may be born between a stream's birth and its registration.
 */
static FILE *open_locked(const char *command, const char *modes, char *const *envp)
{
        bool wanted = (envp != environ || streams.ours) && command && shell_takes(command);
        struct stream *stream = find_free();
        struct mode mode;
        FILE *file = NULL;
        int error = errno;

        if (stream && wanted && parse_mode(modes, &mode))
                file = open_stream(stream, command, &mode, envp);
        errno = error;
        if (file)
                return file;
        file = REAL(popen)(command, modes);
        if (file && stream)
                add(stream, file, 0);
        return file;
}

HOOK_EXPORT FILE *popen(const char *command, const char *modes)
{
        struct environ_pass pass;
        FILE *file;

        if (guard_passes() || !tap_proc_own_memory())
                return REAL(popen)(command, modes);
        ENVIRON_PASS(&pass, environ, false);
        shell_lock(&streams.lock);
        file = open_locked(command, modes, pass.envp);
        shell_unlock(&streams.lock);
        environ_end(&pass);
        return file;
}

HOOK_EXPORT int pclose(FILE *stream)
{
        pid_t pid = 0;

        if (!popen_take(stream, &pid) || !pid)
                return REAL(pclose)(stream);
        return popen_end(pid, REAL(fclose)(stream));
}
