/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The agent's state of one thread, and the guard that keeps our own calls out of our own hooks.
 * One small struct with the initial-exec TLS model: touching it never allocates, so it may be used
 * in signal handlers. Zero is the valid initial state.
 *
 * Two different things live here: the guard ("this call is ours, do not look at it") and the mute
 * ("a higher seam has this request already, do not make another span of it", design: one mark).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct tls_call;

#define THREAD_DEBTS 16

/* What a thread owes to which server request: kept by agent/trace/cause. */
struct thread_cause {
        uint32_t key;   /* names the thread, also in forked children; 0 = not named yet */
        uint32_t slice; /* waits so far */
        uint64_t debts[THREAD_DEBTS];
        uint8_t debt_count;
        bool owes_unknown;    /* read for a request that nobody knows, or had more debts than fit ... */
        bool unknown_fresh;   /* ... once, and nothing was read or written since */
        bool touched_several; /* more than one request in this slice, or an unknown one */
        bool serves_others;   /* has read what may be requests of a protocol that we do not follow */
        bool called;          /* it made a request since it inherited one */
        bool job;             /* it is inside a job, which @inherited and nobody else handed to it */
        bool handed_several;  /* handed over in this slice: more than one */
        uint64_t touched;     /* the one request touched in this slice */
        uint64_t head;        /* the last whose head was read in this slice */
        uint64_t inherited;   /* the one that the thread's creator worked for */
        uint64_t handed;      /* read in this slice, and handed over to another thread or a later turn */
};

#define THREAD_SENDS 2

/* An outgoing call that this thread is inside of, unless it never comes back (agent/flow/abandoned.h). */
struct thread_send {
        uintptr_t at; /* stack pointer */
        struct conn *conn;
        bool planned;
};

struct thread_state {
        uint32_t guard;           /* > 0: inside the agent */
        uint32_t mute;            /* > 0: inside a call whose request a higher seam has already */
        uint32_t ours;            /* 1 for life on the agent's own thread: every hook passes through */
        uint32_t rand_generation; /* process generation that seeded the generator; 0 = not seeded */
        uint64_t rand[4];         /* xoshiro256** state */
        uint64_t lookup_failed;   /* hash of the name whose look-up failed last on this thread, 0 = none */
        uint32_t connect_failed;  /* look-up number of the connect that failed last, 0 = none */
        uint32_t reserved;
        uintptr_t guard_at;                      /* stack pointer where the guard was taken */
        uintptr_t readable_first, readable_last; /* pages of the buffer that was last found readable */
        uintptr_t readable_array;                /* page of the host's iovecs or message that was */
        struct thread_cause cause;
        struct thread_send *send;               /* the innermost one; NULL = none */
        struct thread_send sends[THREAD_SENDS]; /* what is nested deeper is not remembered */
        struct tls_call *tls; /* the innermost call into a TLS library (agent/flow/tls.h); NULL = none */
        uint32_t tid, tid_generation; /* of the kernel, in which process_generation; 0 = not asked */
        uint64_t forks_at; /* turn (agent/flow/handoff.c) of the fork that it is in; 0 = none with one */
};

extern __thread struct thread_state thread_state
        __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Set once the agent observes; 0 before the constructor, when disabled, and after a fault. */
extern uint32_t agent_enabled __attribute__((visibility("hidden")));

/*
 * Number of this process image, counted up in every forked child; never 0 once the agent is on.
 * What belongs to a process (ring, ids, descriptors) remembers the generation it was made in.
 */
extern uint32_t process_generation __attribute__((visibility("hidden")));

static inline uintptr_t guard_stack_pointer(void)
{
        uintptr_t at;

#if defined(__x86_64__)
        __asm__("mov %%rsp, %0" : "=r"(at));
#else
        __asm__("mov %0, sp" : "=r"(at));
#endif
        return at;
}

/**
 * guard_given_up() - was the guard taken by a call that a signal handler has jumped out of?
 * @at: stack pointer of the hook that finds it taken
 *
 * Such a call never comes back. What is nested in one that does lies deeper in the stack, or on the
 * stack of signal handlers. When given up, the guard is open again.
 *
 * Context: signal.
 */
bool guard_given_up(uintptr_t at);

/* Does this run on a stack of its own for signal handlers (or can that not be told)? Context: signal. */
bool guard_on_signal_stack(void);

static inline bool guard_closed(void)
{
        return thread_state.ours || (thread_state.guard && !guard_given_up(guard_stack_pointer()));
}

/**
 * guard_enter() - may the agent look at this call?
 *
 * Return: true when entered: pair with guard_leave(). False: pass straight through.
 * Context: signal.
 */
static inline bool guard_enter(void)
{
        if (!__atomic_load_n(&agent_enabled, __ATOMIC_RELAXED) || guard_closed())
                return false;
        thread_state.guard_at = guard_stack_pointer();
        thread_state.guard = 1;
        return true;
}

static inline void guard_leave(void)
{
        thread_state.guard = 0;
}

/* True when a hook called now must pass straight through. Context: signal. */
static inline bool guard_passes(void)
{
        return !__atomic_load_n(&agent_enabled, __ATOMIC_RELAXED) || guard_closed();
}

/* The guard whatever is on, off or held: for what has to be finished once it was begun. Context: signal. */
static inline void guard_hold(void)
{
        if (!thread_state.guard)
                thread_state.guard_at = guard_stack_pointer();
        thread_state.guard++;
}

static inline void guard_let_go(void)
{
        thread_state.guard--;
}

/*
 * OBSERVE(work) - run @work (a statement) under the guard with errno kept; nothing when the call
 * must pass. Only for work after or before the real call, never around it: a signal handler or a
 * cancellation inside the real call must find the guard open.
 */
#define OBSERVE(work)                       \
        do {                                \
                if (guard_enter()) {        \
                        int errno_ = errno; \
                        work;               \
                        errno = errno_;     \
                        guard_leave();      \
                }                           \
        } while (0)
