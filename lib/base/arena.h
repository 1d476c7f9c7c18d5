/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is handed out piece by piece and freed all at once. One thread. */
#pragma once

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;                /* bytes handed out, alignment included */
	size_t reserved;            /* bytes taken from malloc */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* size bytes aligned for any object, not cleared; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy of size bytes, not aligned; NULL when out of memory. */
void *arena_copy(struct arena *arena, const void *data, size_t size);
