/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where connections live: shared by conn.c, which hands them out, and conn_table.c, which finds them. */
#include "agent/base/slab.h"
#include "agent/flow/conn.h"

extern struct slab conn_slab;
