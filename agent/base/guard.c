/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/guard.h"

__thread struct thread_state thread_state __attribute__((tls_model("initial-exec"), visibility("hidden")));

uint32_t agent_enabled __attribute__((visibility("hidden")));
uint32_t process_generation __attribute__((visibility("hidden")));
