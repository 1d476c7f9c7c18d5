/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prefixes either lie within one another or have no address in common. So they are kept sorted by
 * address, the shorter one first, each with the place of the next one around it: the last entry
 * that does not begin behind an address is the longest prefix that holds it, or lies within that
 * one, and the way up the places around leads there. A look-up is a binary search and at most 128
 * steps up, usually none.
 *
 * An entry is its octets one behind the other: address, length, and the two numbers. Address and
 * length compare as they lie. It takes 13 octets for IPv4 and 25 for IPv6, so 100,000 blocked
 * addresses cost 1.3 MB; a path-compressed trie would have two nodes for each prefix, of at least
 * that size.
 */
#include "policy/prefixes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define ENTRIES_FIRST 16

/* One family. The octets of an entry: address, length, value, and the place of the entry around it,
 * which is its place in the order of adding until the table is sealed. */
struct table {
	uint8_t *entries;
	size_t count, capacity;
	uint8_t octets; /* of an address */
};

struct prefixes {
	struct table v4, v6;
	bool sealed;
};

static size_t entry_size(const struct table *table)
{
	return (size_t)table->octets + 1 + 2 * sizeof(uint32_t);
}

static uint8_t *entry_at(const struct table *table, size_t place)
{
	return table->entries + place * entry_size(table);
}

static uint32_t number_read(const uint8_t *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return number;
}

static uint8_t *entry_value(const struct table *table, uint8_t *entry)
{
	return entry + table->octets + 1;
}

static uint8_t *entry_around(const struct table *table, uint8_t *entry)
{
	return entry_value(table, entry) + sizeof(uint32_t);
}

static void around_set(const struct table *table, size_t place, uint32_t around)
{
	memcpy(entry_around(table, entry_at(table, place)), &around, sizeof(around));
}

struct prefixes *prefixes_new(void)
{
	struct prefixes *prefixes = calloc(1, sizeof(*prefixes));

	if (!prefixes)
		return NULL;
	prefixes->v4.octets = 4;
	prefixes->v6.octets = 16;
	return prefixes;
}

void prefixes_free(struct prefixes *prefixes)
{
	if (!prefixes)
		return;
	free(prefixes->v4.entries);
	free(prefixes->v6.entries);
	free(prefixes);
}

static bool table_grow(struct table *table)
{
	size_t capacity = table->capacity ? table->capacity * 2 : ENTRIES_FIRST;

	if (table->count < table->capacity)
		return true;
	if (capacity >= NONE)
		return false;
	uint8_t *entries = realloc(table->entries, capacity * entry_size(table));
	if (!entries)
		return false;
	table->entries = entries;
	table->capacity = capacity;
	return true;
}

enum td_error prefixes_add(struct prefixes *prefixes, const struct prefix *prefix, uint32_t value)
{
	struct table *table = prefix->address.family == ADDRESS_V4 ? &prefixes->v4 : &prefixes->v6;

	assert(!prefixes->sealed);
	if (!address_is_ip(&prefix->address) || prefix->length > table->octets * 8)
		return TD_INVALID;
	if (!table_grow(table))
		return TD_NOMEM;
	size_t place = table->count++;
	uint8_t *entry = entry_at(table, place);
	memcpy(entry, prefix->address.octets, table->octets);
	entry[table->octets] = prefix->length;
	memcpy(entry_value(table, entry), &value, sizeof(value));
	around_set(table, place, (uint32_t)place);
	return TD_OK;
}

/* --- sealing --- */

/* By address and length; of two alike the one added first comes first. */
static int entry_compare(const uint8_t *a, const uint8_t *b, size_t octets)
{
	int order = memcmp(a, b, octets + 1);

	if (order)
		return order;
	uint32_t x = number_read(a + octets + 1 + sizeof(uint32_t));
	uint32_t y = number_read(b + octets + 1 + sizeof(uint32_t));
	return x < y ? -1 : x > y;
}

static int entry_compare_v4(const void *a, const void *b)
{
	return entry_compare(a, b, 4);
}

static int entry_compare_v6(const void *a, const void *b)
{
	return entry_compare(a, b, 16);
}

static size_t table_drop_repeated(struct table *table)
{
	size_t kept = 0, count = table->count;

	for (size_t i = 0; i < count; i++) {
		if (kept && !memcmp(entry_at(table, i), entry_at(table, kept - 1),
				    (size_t)table->octets + 1))
			continue;
		if (kept != i)
			memcpy(entry_at(table, kept), entry_at(table, i), entry_size(table));
		kept++;
	}
	table->count = kept;
	return count - kept;
}

/* Whether the entry's prefix holds the address. */
static bool entry_holds(const struct table *table, const uint8_t *entry, const uint8_t *address)
{
	unsigned length = entry[table->octets], whole = length / 8, rest = length % 8;

	if (memcmp(entry, address, whole) != 0)
		return false;
	return !rest || !((entry[whole] ^ address[whole]) & 0xff00 >> rest & 0xff);
}

/* The entry before is within all that can be around the next one. */
static void table_link(struct table *table)
{
	uint32_t around = NONE;

	for (size_t i = 0; i < table->count; i++) {
		while (around != NONE &&
			!entry_holds(table, entry_at(table, around), entry_at(table, i)))
			around = number_read(entry_around(table, entry_at(table, around)));
		around_set(table, i, around);
		around = (uint32_t)i;
	}
}

static size_t table_seal(struct table *table, int (*compare)(const void *, const void *))
{
	if (!table->count)
		return 0;
	qsort(table->entries, table->count, entry_size(table), compare);
	size_t dropped = table_drop_repeated(table);
	table_link(table);
	/* A smaller block that cannot be had leaves the larger one. */
	uint8_t *entries = realloc(table->entries, table->count * entry_size(table));
	if (entries) {
		table->entries = entries;
		table->capacity = table->count;
	}
	return dropped;
}

size_t prefixes_seal(struct prefixes *prefixes)
{
	assert(!prefixes->sealed);
	prefixes->sealed = true;
	return table_seal(&prefixes->v4, entry_compare_v4) +
	       table_seal(&prefixes->v6, entry_compare_v6);
}

/* --- looking up --- */

/* The last entry that does not begin behind the address, NONE: there is none. */
static uint32_t table_search(const struct table *table, const uint8_t *address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(entry_at(table, middle), address, table->octets) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? (uint32_t)(low - 1) : NONE;
}

static const struct table *table_of(const struct prefixes *prefixes, const struct address *address)
{
	return address->family == ADDRESS_V4 ? &prefixes->v4 : &prefixes->v6;
}

/* The entry of the longest prefix that holds the address; NULL: there is none. */
static uint8_t *entry_find(const struct prefixes *prefixes, const struct address *address)
{
	if (!prefixes || !address_is_ip(address))
		return NULL;
	assert(prefixes->sealed);
	const struct table *table = table_of(prefixes, address);
	uint32_t at = table_search(table, address->octets);
	while (at != NONE && !entry_holds(table, entry_at(table, at), address->octets))
		at = number_read(entry_around(table, entry_at(table, at)));
	return at == NONE ? NULL : entry_at(table, at);
}

bool prefixes_find(const struct prefixes *prefixes, const struct address *address, uint32_t *value)
{
	uint8_t *entry = entry_find(prefixes, address);

	if (entry)
		*value = number_read(entry_value(table_of(prefixes, address), entry));
	return entry != NULL;
}

#define V4_LONGER 96 /* bits of ::ffff:0:0/96 */

/* A prefix that was found, for comparison with another. */
struct found {
	const struct table *table; /* NULL: none */
	uint8_t *entry;
};

static unsigned found_length(const struct found *found)
{
	return found->entry[found->table->octets] + (found->table->octets == 4 ? V4_LONGER : 0u);
}

static bool is_better(const struct found *found, const struct found *best)
{
	if (!best->table || found_length(found) != found_length(best))
		return !best->table || found_length(found) > found_length(best);
	return found->table == best->table &&
	       memcmp(found->entry, best->entry, found->table->octets) < 0;
}

bool prefixes_find_longest(const struct prefixes *prefixes, const struct address *addresses,
	size_t count, uint32_t *value)
{
	struct found best = {.table = NULL};

	for (size_t i = 0; i < count; i++) {
		struct found found = {.entry = entry_find(prefixes, &addresses[i])};
		if (!found.entry)
			continue;
		found.table = table_of(prefixes, &addresses[i]);
		if (is_better(&found, &best))
			best = found;
	}
	if (best.table)
		*value = number_read(entry_value(best.table, best.entry));
	return best.table != NULL;
}

size_t prefixes_count(const struct prefixes *prefixes)
{
	return prefixes->v4.count + prefixes->v6.count;
}

size_t prefixes_memory(const struct prefixes *prefixes)
{
	return sizeof(*prefixes) + prefixes->v4.capacity * entry_size(&prefixes->v4) +
	       prefixes->v6.capacity * entry_size(&prefixes->v6);
}
