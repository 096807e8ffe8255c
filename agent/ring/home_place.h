/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where we are installed, and what a relay needs of our environment: looked at once, at start, while
 * nobody else can change the environment or take the loader's lock.
 */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

struct home_place {
        uint64_t start_ns; /* wall clock */
        char term[32];     /* TERM and NO_COLOR: how console output may look */
        char no_color[8];
        size_t environment_len;
        const char *relay; /* path of the relay's program, beside our own shared object; empty: unknown */
        size_t dir_len;    /* of its directory, with the last slash */
        char *environment; /* "NAME=value\0" strings for the relay, beside the settings */
};

/* Of what decides where the worker connects to and whom it trusts: part of a relay's identity. Context: hook.
 */
uint64_t home_place_hash(uint64_t seed);

extern struct home_place home_place __attribute__((visibility("hidden")));
