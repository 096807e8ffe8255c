/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The way to the relay: find it or start it, hand the ring over, wake it. One relay at a time per
 * process. Only one thread at a time calls relay_client_wake() (home.c sees to that).
 */
#include <stdbool.h>
#include <stdint.h>

enum relay_result {
        RELAY_WOKEN,
        RELAY_LATER,      /* not now: full backlog, out of descriptors; the next wake-up tries again */
        RELAY_NO_RING,    /* nobody drains the ring, and its descriptor is gone: only another ring helps */
        RELAY_IMPOSSIBLE, /* not in this process */
};

/**
 * relay_client_wake() - have the ring drained
 * @ring_handle: of the ring's memfd (home_fds.h)
 * @what: HANDOVER_WAKE or HANDOVER_FLUSH
 *
 * A connected relay gets one byte. Where there is none, or it has died, the relay is found or started,
 * and the ring handed over; what is in it is drained from where the last one stopped.
 *
 * Context: hook.
 */
enum relay_result relay_client_wake(int ring_handle, char what, uint64_t now_mono_ns);

/* Is a relay connected that lives? Context: signal. */
bool relay_client_alive(void);

/* A connection of its own to the relay that is there, or -1: none is started. Context: hook. */
int relay_client_join(void);

/* Over such a connection, a ring and what shall be done. Context: hook. Return: false when it was not taken.
 */
bool relay_client_hand_over(int handle, int ring_handle, char what);

/* Is there somebody at its other end? Context: signal. */
bool relay_client_lives(int handle);

/* In a forked child, after home_fds_drop(). Context: signal. */
void relay_client_after_fork(void);
