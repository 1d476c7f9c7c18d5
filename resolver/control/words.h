/* SPDX-License-Identifier: BSD-3-Clause */
/* Different texts, each with a number in the order they came and a sum: what a command counts rows
 * of Redis by. One thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/table.h"

struct word {
	const char *text;
	uint32_t number;
	uint64_t count; /* the caller's */
};

struct words {
	struct arena *arena; /* the texts live there, and outlive words_deinit */
	struct table table;
	struct hash_seed seed;
	struct word **rows; /* by number */
	size_t count, capacity;
};

/* At most limit different texts. */
void words_init(struct words *words, struct arena *arena, size_t limit);
void words_deinit(struct words *words);

/* The row of a text; NULL: there is none. */
struct word *words_find(const struct words *words, const char *text);

/* The row of a text, made with a count of 0 where it is new. TD_FULL at the limit, TD_NOMEM. */
enum td_error words_put(struct words *words, const char *text, struct word **out);
