/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random ids and ports. Whoever guesses both can answer in a server's place (RFC 5452), so every
 * bit comes from the kernel's generator; a system call for each would be a tenth of a query's cost,
 * hence the pool. Bytes handed out are wiped from it: what leaks later tells nothing of ports in
 * use. A user-space generator was rejected: it saves little over the pool and its state would
 * predict all that follows.
 */
#include "resolver/upstream/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/log.h"

static void pool_fill(struct random_pool *pool)
{
	while (pool->left < sizeof(pool->bytes)) {
		ssize_t got =
			getrandom(pool->bytes + pool->left, sizeof(pool->bytes) - pool->left, 0);

		if (got > 0) {
			pool->left += (size_t)got;
		} else if (got == 0 || errno != EINTR) {
			log_error("the kernel gives no random bytes");
			abort();
		}
	}
}

void random_bytes(struct random_pool *pool, void *out, size_t size)
{
	uint8_t *to = out;

	while (size > 0) {
		if (pool->left == 0)
			pool_fill(pool);
		size_t count = size < pool->left ? size : pool->left;

		pool->left -= count;
		memcpy(to, pool->bytes + pool->left, count);
		explicit_bzero(pool->bytes + pool->left, count);
		to += count;
		size -= count;
	}
}

uint16_t random_u16(struct random_pool *pool)
{
	uint16_t value;

	random_bytes(pool, &value, sizeof(value));
	return value;
}

uint32_t random_below(struct random_pool *pool, uint32_t bound)
{
	uint32_t uneven =
		-bound % bound; /* 2^32 mod bound: values below it would be too frequent */
	uint32_t value;

	do
		random_bytes(pool, &value, sizeof(value));
	while (value < uneven);
	return value % bound;
}
