/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random ids and ports: the kernel's generator, fetched in blocks so that a query does not cost a
 * system call. Aborts when the kernel gives none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random_pool {
	size_t left;
	uint8_t bytes[1024];
};

/* One thread each. A zeroed pool is empty and ready. */
void random_bytes(struct random_pool *pool, void *out, size_t size);
uint16_t random_u16(struct random_pool *pool);
/* Uniform in 0 … bound-1, bound at least 1. */
uint32_t random_below(struct random_pool *pool, uint32_t bound);
