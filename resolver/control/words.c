/* SPDX-License-Identifier: BSD-3-Clause */
/* The bounded table of lib/base with texts in it. The seed is random, because clients choose names.
 */
#include "resolver/control/words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void words_init(struct words *words, struct arena *arena, size_t limit)
{
	*words = (struct words){.arena = arena};
	table_init(&words->table, limit);
	if (getrandom(&words->seed, sizeof(words->seed), GRND_NONBLOCK) < 0)
		words->seed.k0 = (uintptr_t)words;
}

void words_deinit(struct words *words)
{
	table_deinit(&words->table);
	free(words->rows);
	words->rows = NULL;
	words->count = words->capacity = 0;
}

static bool is_text(const void *item, const void *key)
{
	return strcmp(((const struct word *)item)->text, key) == 0;
}

static enum td_error add_row(struct words *words, struct word *word)
{
	if (words->count == words->capacity) {
		size_t capacity = words->capacity ? 2 * words->capacity : 64;
		struct word **rows = realloc(words->rows, capacity * sizeof(struct word *));
		if (!rows)
			return TD_NOMEM;
		words->rows = rows;
		words->capacity = capacity;
	}
	words->rows[words->count++] = word;
	return TD_OK;
}

struct word *words_find(const struct words *words, const char *text)
{
	return table_find(
		&words->table, hash_bytes(&words->seed, text, strlen(text)), is_text, text);
}

enum td_error words_put(struct words *words, const char *text, struct word **out)
{
	size_t length = strlen(text);
	uint64_t hash = hash_bytes(&words->seed, text, length);

	*out = table_find(&words->table, hash, is_text, text);
	if (*out)
		return TD_OK;
	if (words->count >= words->table.limit)
		return TD_FULL;
	struct word *word = arena_alloc(words->arena, sizeof(*word));
	const char *copy = arena_copy(words->arena, text, length + 1);
	if (!word || !copy)
		return TD_NOMEM;
	*word = (struct word){.text = copy, .number = (uint32_t)words->count};
	enum td_error error = table_insert(&words->table, hash, word);
	if (error == TD_OK)
		error = add_row(words, word);
	*out = error == TD_OK ? word : NULL;
	return error;
}
