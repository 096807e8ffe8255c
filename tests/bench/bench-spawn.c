/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up: bench-spawn ROUNDS PROGRAM PRELOAD... runs PROGRAM once per PRELOAD in each round, in turn
 * ("none" for no preload), and prints each preload's median microseconds and the median of its ratio
 * to the first within the same round.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define VARIANTS 8

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
        qsort(values, (size_t)count, sizeof(*values), by_value);
        return values[count / 2];
}

static double run(const char *program, const char *preload)
{
        char setting[4096] = "";
        char *envp[] = {strcmp(preload, "none") ? setting : NULL, NULL};
        char *argv[] = {(char *)(size_t)program, NULL};
        struct timespec from, to;
        pid_t pid;
        int status;

        snprintf(setting, sizeof(setting), "LD_PRELOAD=%s", preload);
        clock_gettime(CLOCK_MONOTONIC, &from);
        if (posix_spawn(&pid, program, NULL, NULL, argv, envp) || waitpid(pid, &status, 0) != pid || status)
                exit(2);
        clock_gettime(CLOCK_MONOTONIC, &to);
        return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
}

int main(int argc, char **argv)
{
        int rounds = argc > 3 ? atoi(argv[1]) : 0, variants = argc - 3;
        double *times[VARIANTS], *ratios[VARIANTS];

        if (rounds < 1 || variants < 1 || variants > VARIANTS) {
                fprintf(stderr, "usage: bench-spawn ROUNDS PROGRAM PRELOAD...\n");
                return 1;
        }
        for (int v = 0; v < variants; v++) {
                times[v] = calloc((size_t)rounds, sizeof(double));
                ratios[v] = calloc((size_t)rounds, sizeof(double));
                (void)run(argv[2], argv[3 + v]); /* warm the page cache */
        }
        for (int r = 0; r < rounds; r++) {
                for (int v = 0; v < variants; v++) /* a different one first in each round */
                        times[(r + v) % variants][r] = run(argv[2], argv[3 + (r + v) % variants]);
                for (int v = 0; v < variants; v++)
                        ratios[v][r] = times[v][r] / times[0][r];
        }
        for (int v = 0; v < variants; v++) {
                double ratio = median(ratios[v], rounds);

                printf("%s %.1f %.3f\n", argv[3 + v], median(times[v], rounds), ratio);
        }
        return 0;
}
