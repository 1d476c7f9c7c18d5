/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table by name, of the exceptions only: few beside the rules, and none at all in most lists,
 * where asking it costs nothing. A rule asks for its name and each one above it.
 *
 * That the longest match of what is left decides as Adblock does: let T be the highest level that
 * matches a name. A rule of level T is never taken away, since nothing above it covers it. Another
 * rule that matches the name and was left has a shorter name than one of level T, or it would have
 * been covered by it; so the longer one wins, and is right.
 */
#include "policy/list_exceptions.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "policy/list.h"

#define EXCEPTIONS_MAX ((size_t)1 << 24) /* names; a list of a gigabyte has fewer */

#define WHERE_COUNT 4 /* RULE_ITSELF, RULE_BELOW, both */

/* Bits are levels. */
struct exception {
	uint8_t present[WHERE_COUNT], disabled[WHERE_COUNT];
	uint8_t length;
	uint8_t wire[];
};

struct key {
	const uint8_t *wire;
	size_t length;
};

static uint64_t key_hash(const struct key *key)
{
	static const struct hash_seed seed = {UINT64_C(0x6578636570743a21), 0};

	return hash_bytes(&seed, key->wire, key->length);
}

static bool key_equal(const void *item, const void *key)
{
	const struct exception *exception = item;
	const struct key *wanted = key;

	return exception->length == wanted->length &&
	       !memcmp(exception->wire, wanted->wire, wanted->length);
}

void list_exceptions_init(struct list_exceptions *exceptions)
{
	table_init(&exceptions->table, EXCEPTIONS_MAX);
}

void list_exceptions_deinit(struct list_exceptions *exceptions)
{
	while (exceptions->table.count)
		free(table_take_any(&exceptions->table));
	table_deinit(&exceptions->table);
}

static const struct exception *find(const struct list_exceptions *exceptions, struct key key)
{
	return table_find(&exceptions->table, key_hash(&key), key_equal, &key);
}

/* NULL: out of memory. */
static struct exception *find_or_add(struct list_exceptions *exceptions, const struct name *folded)
{
	struct key key = {folded->wire, folded->length};
	uint64_t hash = key_hash(&key);
	struct exception *exception = table_find(&exceptions->table, hash, key_equal, &key);

	if (exception)
		return exception;
	exception = calloc(1, sizeof(*exception) + key.length);
	if (!exception)
		return NULL;
	exception->length = folded->length;
	memcpy(exception->wire, folded->wire, folded->length);
	if (table_insert(&exceptions->table, hash, exception) == TD_OK)
		return exception;
	free(exception);
	return NULL;
}

enum td_error list_exceptions_add(struct list_exceptions *exceptions, const struct name *folded,
	unsigned where, enum list_level level)
{
	struct exception *exception = find_or_add(exceptions, folded);

	if (!exception)
		return TD_NOMEM;
	exception->present[where] |= (uint8_t)(1u << level);
	return TD_OK;
}

enum td_error list_exceptions_disable(struct list_exceptions *exceptions, const struct name *folded,
	unsigned where, enum list_level level)
{
	struct exception *exception = find_or_add(exceptions, folded);

	if (!exception)
		return TD_NOMEM;
	exception->disabled[where] |= (uint8_t)(1u << level);
	return TD_OK;
}

/* Whether a rule of a higher level is in force for this part of the name. */
static bool covers(const struct exception *exception, unsigned part, enum list_level level)
{
	unsigned both = RULE_ITSELF | RULE_BELOW;
	unsigned levels = (unsigned)(exception->present[part] & ~exception->disabled[part]) |
			  (unsigned)(exception->present[both] & ~exception->disabled[both]);

	return levels >> (level + 1) != 0;
}

unsigned list_exceptions_leave(const struct list_exceptions *exceptions, const struct name *folded,
	unsigned where, enum list_level level)
{
	size_t at = 0;

	if (!exceptions->table.count)
		return where;
	for (bool above = false; where; above = true) {
		const struct exception *exception =
			find(exceptions, (struct key){folded->wire + at, folded->length - at});
		if (exception && !above && exception->disabled[where] >> level & 1)
			return 0;
		if (exception && !above && covers(exception, RULE_ITSELF, level))
			where &= ~RULE_ITSELF;
		if (exception && covers(exception, RULE_BELOW, level))
			where &= above ? 0 : ~RULE_BELOW;
		if (!folded->wire[at])
			break;
		at += (size_t)1 + folded->wire[at];
	}
	return where;
}
