/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two tables: addresses, and the clients of each with the hour they were first told. When either is
 * full both are emptied, and pairs are read again as addresses come; how many different ones there
 * were is then known as a lower bound only. Rejected: to let the script join, which would look
 * through the fields of a pair in Redis's own time.
 */
#include "resolver/control/ingest/ingest_join.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/table.h"

#define ADDRESSES_MAX 65536
#define CLIENTS_MAX 131072
#define CHUNK_MAX 512 /* addresses of a chunk; gather.c bounds it below that */

struct joined_address {
	struct address address;
	bool is_read, is_known;
	uint64_t read_in; /* chunk */
};

struct joined_client {
	const struct joined_address *of;
	uint32_t hour; /* first told */
	uint32_t length;
	char client[ADDRESS_TEXT_MAX];
};

struct join {
	struct hash_seed seed;
	bool forget_strange;
	struct table addresses, clients;
	struct arena arena; /* of both */
	struct join_totals totals;
	bool failed;    /* out of memory, or the table of clients is full */
	uint64_t chunk; /* number of the one at hand, and what of it has to be read */
	struct joined_address *asked[CHUNK_MAX];
	char texts[CHUNK_MAX][ADDRESS_TEXT_MAX];
	const char *words[CHUNK_MAX];
	size_t count;
};

struct join *join_new(const struct hash_seed *seed, bool forget_strange)
{
	struct join *join = calloc(1, sizeof(*join));

	if (!join)
		return NULL;
	join->seed = *seed;
	join->forget_strange = forget_strange;
	table_init(&join->addresses, ADDRESSES_MAX);
	table_init(&join->clients, CLIENTS_MAX);
	arena_init(&join->arena);
	return join;
}

void join_free(struct join **join)
{
	if (!*join)
		return;
	table_deinit(&(*join)->addresses);
	table_deinit(&(*join)->clients);
	arena_deinit(&(*join)->arena);
	free(*join);
	*join = NULL;
}

const struct join_totals *join_totals(const struct join *join)
{
	return &join->totals;
}

static void forget_all(struct join *join)
{
	table_deinit(&join->addresses);
	table_deinit(&join->clients);
	arena_deinit(&join->arena);
	arena_init(&join->arena);
	join->failed = false;
	join->totals.at_least = true;
}

/* --- addresses --- */

static bool is_address(const void *item, const void *key)
{
	return address_equal(&((const struct joined_address *)item)->address, key);
}

static struct joined_address *find_address(struct join *join, const struct address *address)
{
	uint64_t hash = hash_bytes(&join->seed, address, sizeof(*address));
	struct joined_address *known = table_find(&join->addresses, hash, is_address, address);

	if (known)
		return known;
	known = arena_alloc(&join->arena, sizeof(*known));
	if (!known || table_insert(&join->addresses, hash, known) != TD_OK)
		return NULL;
	*known = (struct joined_address){.address = *address};
	if (!join->totals.at_least) {
		join->totals.addresses++;
		join->totals.strange++;
	}
	return known;
}

/* --- clients --- */

struct client_key {
	const struct joined_address *of;
	const char *client;
	size_t length;
};

static bool is_client(const void *item, const void *key)
{
	const struct joined_client *client = item;
	const struct client_key *wanted = key;

	return client->of == wanted->of && client->length == wanted->length &&
	       memcmp(client->client, wanted->client, wanted->length) == 0;
}

static uint64_t hash_client(const struct join *join, const struct client_key *key)
{
	return hash_bytes(&join->seed, key->client, key->length) ^
	       hash_bytes(&join->seed, &key->of, sizeof(key->of));
}

static void on_pair(
	void *context, size_t index, const char *client, size_t length, int64_t first_ms)
{
	struct join *join = context;
	struct joined_address *address = join->asked[index];
	struct client_key key = {address, client, length};
	uint32_t hour = first_ms > 0 ? (uint32_t)(first_ms / MS_PER_HOUR) : 0;

	if (!address->is_known && !join->totals.at_least)
		join->totals.strange--;
	address->is_known = true;
	if (length >= ADDRESS_TEXT_MAX)
		return;
	uint64_t hash = hash_client(join, &key);
	struct joined_client *known = table_find(&join->clients, hash, is_client, &key);
	if (known) {
		known->hour = hour < known->hour ? hour : known->hour;
		return;
	}
	known = arena_alloc(&join->arena, sizeof(*known));
	if (!known || table_insert(&join->clients, hash, known) != TD_OK) {
		join->failed = true;
		return;
	}
	*known = (struct joined_client){address, hour, (uint32_t)length, ""};
	memcpy(known->client, client, length);
}

/* --- a chunk --- */

static bool wants_reading(const struct join *join, const struct joined_address *address)
{
	return !address->is_read ||
	       (join->forget_strange && !address->is_known && address->read_in != join->chunk);
}

/* The addresses of the chunk whose pairs have to be read; false when the table is full. */
static bool collect(struct join *join, const struct gather *gather)
{
	const struct gather_cell *cell;
	size_t position = 0;

	join->count = 0;
	join->chunk++;
	while ((cell = table_next(&gather->cells, &position)) != NULL) {
		if (cell->key.what != GATHER_DROP)
			continue;
		struct joined_address *address = find_address(join, &cell->key.address);
		if (!address)
			return false;
		if (!wants_reading(join, address) || join->count == CHUNK_MAX)
			continue;
		address->is_read = true;
		address->read_in = join->chunk;
		join->asked[join->count] = address;
		join->words[join->count] =
			address_to_text(&address->address, join->texts[join->count]);
		join->count++;
	}
	return true;
}

static enum td_error read_pairs(
	struct join *join, struct ingest_store *store, const struct gather *gather)
{
	if (!collect(join, gather)) {
		forget_all(join);
		if (!collect(join, gather))
			return TD_NOMEM;
	}
	enum td_error error = ingest_store_pairs(store, join->words, join->count, on_pair, join);
	for (size_t i = 0; error != TD_OK && i < join->count; i++)
		join->asked[i]->is_read = false;
	return error;
}

static bool is_joined(struct join *join, const struct gather_cell *cell)
{
	char text[ADDRESS_TEXT_MAX];
	struct joined_address *address = find_address(join, &cell->key.address);
	struct client_key key = {address, address_to_text(&cell->key.client, text), 0};

	if (!address || !address->is_known)
		return false;
	key.length = strlen(text);
	const struct joined_client *client =
		table_find(&join->clients, hash_client(join, &key), is_client, &key);
	return client && client->hour <= cell->key.hour;
}

enum td_error join_add(struct join *join, struct ingest_store *store, const struct gather *gather)
{
	const struct gather_cell *cell;
	size_t position = 0;
	enum td_error error = read_pairs(join, store, gather);

	if (error == TD_OK && join->failed) { /* too many clients are remembered: only these */
		forget_all(join);
		error = read_pairs(join, store, gather);
	}
	if (error != TD_OK)
		return error;
	while ((cell = table_next(&gather->cells, &position)) != NULL) {
		if (cell->key.what != GATHER_DROP)
			continue;
		join->totals.drops += cell->count;
		if (is_joined(join, cell))
			join->totals.joined += cell->count;
	}
	return TD_OK;
}
