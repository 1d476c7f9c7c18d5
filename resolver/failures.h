/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions that nobody could answer a moment ago (RFC 9520): not asked again while a failure is
 * held, so that clients who insist do not hammer the servers. A table of one shard of the cache:
 * passive, time passed in (mono, microseconds), under the shard's lock.
 *
 * A failure is held for its first length, twice as long each time it comes again, up to a limit.
 * FAILURE_MEMORY_US after its end it is forgotten; until then the question is known to be failing.
 * Bound: limit of failures_init; at it the failure that came first gives way, and is counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/table.h"

#define FAILURE_MEMORY_US (30 * US_PER_S)

struct failure_entry;

struct failures {
	struct table table;
	TAILQ_HEAD(failure_order, failure_entry) order; /* first: the one that came first */
	uint64_t displaced;                             /* gave way at the bound */
};

struct failure_key {
	uint64_t hash;
	const uint8_t *octets;
	size_t length; /* below 65536 */
};

struct failure {
	enum td_error error;
	uint16_t rcode; /* to be told to clients */
	bool held;      /* not to be asked now */
	uint32_t epoch; /* of the cache (cache_epoch) when the question was asked */
};

void failures_init(struct failures *failures, size_t limit);
void failures_deinit(struct failures *failures);

/*
 * The question failed. first_us: how long that is held; again_max_us: how long at most when it
 * comes again, below first_us for no doubling. Without memory nothing is kept.
 */
void failures_note(struct failures *failures, const struct failure_key *key,
	const struct failure *failure, int64_t first_us, int64_t again_max_us, int64_t now_us);

/* False: the question is not known to be failing. */
bool failures_find(struct failures *failures, const struct failure_key *key, int64_t now_us,
	struct failure *out);

/* The question was answered, or nobody wants to remember. */
void failures_forget(struct failures *failures, const struct failure_key *key);

/* Forgets the failures whose keys are chosen; all with NULL. Returns how many. */
typedef bool failures_choose_fn(void *context, const uint8_t *octets, size_t length);
size_t failures_forget_chosen(struct failures *failures, failures_choose_fn *choose, void *context);

/* Forgets those that are over. */
void failures_sweep(struct failures *failures, int64_t now_us);

/* Servers are back: forgets the failures that came of silence (TD_TIMEOUT, TD_IO). */
void failures_forget_silence(struct failures *failures);
