/* SPDX-License-Identifier: BSD-3-Clause */
/* A sorted array: an address is a range of it, and a client of the address a range of that. */
#include "resolver/control/pair_index.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 10000 /* of an address, of each resolver: what the store keeps */

static int compare_rows(const void *left, const void *right)
{
	const struct reader_pair *a = left, *b = right;
	int order = strcmp(a->address, b->address);

	order = order ? order : strcmp(a->client, b->client);
	return order ? order : strcmp(a->name, b->name);
}

/* Of two resolvers that told the same, one row. */
static void sort_unique(struct pair_index *index)
{
	size_t kept = 0;

	if (index->count == 0)
		return;
	qsort(index->rows, index->count, sizeof(*index->rows), compare_rows);
	for (size_t i = 1; i < index->count; i++)
		if (compare_rows(&index->rows[kept], &index->rows[i]) != 0)
			index->rows[++kept] = index->rows[i];
	index->count = kept + 1;
}

enum td_error pair_index_load(struct pair_index *out, struct fleet *fleet, struct arena *arena,
	const char *const *addresses, size_t count)
{
	struct reader_pairs *lists = arena_alloc(arena, (count + 1) * sizeof(*lists));
	enum td_error error = lists ? TD_OK : TD_NOMEM;
	size_t all = 0;

	*out = (struct pair_index){.count = 0};
	for (size_t i = 0; i < count && error == TD_OK; i++) {
		error = fleet_address_pairs(fleet, arena, addresses[i], PAIRS_MAX, &lists[i]);
		all += error == TD_OK ? lists[i].count : 0;
	}
	if (error != TD_OK)
		return error;
	out->rows = arena_alloc(arena, (all + 1) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < count; i++) {
		if (lists[i].count)
			memcpy(out->rows + out->count, lists[i].rows,
				lists[i].count * sizeof(*out->rows));
		out->count += lists[i].count;
		out->cut = out->cut || lists[i].cut;
	}
	sort_unique(out);
	return TD_OK;
}

static int compare_key(const struct reader_pair *row, const char *address, const char *client)
{
	int order = strcmp(row->address, address);

	return order || !client ? order : strcmp(row->client, client);
}

const struct reader_pair *pair_index_find(
	const struct pair_index *index, const char *address, const char *client, size_t *count)
{
	size_t low = 0, high = index->count;

	*count = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_key(&index->rows[middle], address, client) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + *count < index->count &&
		compare_key(&index->rows[low + *count], address, client) == 0)
		++*count;
	return *count ? &index->rows[low] : NULL;
}

bool pair_index_has(
	const struct pair_index *index, const char *address, const char *client, const char *name)
{
	size_t count;
	const struct reader_pair *rows = pair_index_find(index, address, client, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return true;
	return false;
}
