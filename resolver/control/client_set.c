/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An entry is one block with the client in it, and a block for each of the few texts beside it. One
 * arena for all was rejected: rows are exchanged one by one for as long as the process lives.
 */
#include "resolver/control/client_set.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const struct client_set *set, const char *client)
{
	return hash_bytes(&set->seed, client, strlen(client));
}

static bool is_client(const void *item, const void *key)
{
	return strcmp(((const struct client_entry *)item)->client, key) == 0;
}

static void entry_free(struct client_entry *entry)
{
	if (!entry)
		return;
	free((char *)entry->row.name);
	free((char *)entry->row.forwarder);
	free((char *)entry->row.told_server);
	free(entry);
}

static struct client_entry *entry_new(const char *client)
{
	size_t size = strlen(client) + 1;
	struct client_entry *entry = calloc(1, sizeof(*entry) + size);

	if (!entry)
		return NULL;
	memcpy(entry->client, client, size);
	entry->size = size;
	entry->row.client = entry->client;
	address_from_text(&entry->address, client);
	return entry;
}

void client_set_init(struct client_set *set, struct hash_seed seed, size_t most)
{
	set->seed = seed;
	table_init(&set->by_client, most);
}

void client_set_deinit(struct client_set *set)
{
	while (set->by_client.count)
		entry_free(table_take_any(&set->by_client));
	table_deinit(&set->by_client);
}

struct client_entry *client_set_find(const struct client_set *set, const char *client)
{
	return table_find(&set->by_client, hash_of(set, client), is_client, client);
}

/* The entry of a client, a new one where it has none. */
static enum td_error insert(struct client_set *set, const char *client, struct client_entry **out)
{
	enum td_error error = TD_OK;

	*out = client_set_find(set, client);
	if (*out)
		return TD_OK;
	*out = entry_new(client);
	if (!*out)
		return TD_NOMEM;
	error = table_insert(&set->by_client, hash_of(set, client), *out);
	if (error != TD_OK)
		entry_free(*out);
	return error;
}

enum td_error client_set_add(struct client_set *set, const char *client)
{
	struct client_entry *entry;

	return insert(set, client, &entry);
}

/* A text that is the entry's own; NULL leaves the one that is there. False: out of memory. */
static bool set_text(const char **text, const char *value, bool newer)
{
	if (!value || (*text && !newer))
		return true;
	char *copy = strdup(value);
	if (!copy)
		return false;
	free((char *)*text);
	*text = copy;
	return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a && (!b || a < b) ? a : b;
}

enum td_error client_set_sum(struct client_set *set, const struct reader_client_row *row)
{
	struct client_entry *entry;

	if (!row->known)
		return TD_OK;
	enum td_error error = insert(set, row->client, &entry);
	if (error != TD_OK)
		return error;
	struct reader_client_row *sum = &entry->row;
	bool good = set_text(&sum->name, row->name, row->last_ms >= sum->last_ms) &&
		    set_text(&sum->forwarder, row->forwarder, false) &&
		    set_text(&sum->told_server, row->told_server,
			    row->told_last_ms >= sum->told_last_ms);
	sum->known = true;
	sum->queries += row->queries;
	sum->watched += row->watched;
	sum->blocked += row->blocked;
	sum->cached += row->cached;
	sum->nxdomain += row->nxdomain;
	sum->first_ms = earlier(sum->first_ms, row->first_ms);
	sum->told_ms = earlier(sum->told_ms, row->told_ms);
	sum->last_ms = row->last_ms > sum->last_ms ? row->last_ms : sum->last_ms;
	sum->told_last_ms =
		row->told_last_ms > sum->told_last_ms ? row->told_last_ms : sum->told_last_ms;
	return good ? TD_OK : TD_NOMEM;
}

static void take_out(struct client_set *set, const char *client)
{
	entry_free(table_remove(&set->by_client, hash_of(set, client), is_client, client));
}

enum td_error client_set_move(struct client_set *set, struct client_set *from)
{
	enum td_error error = TD_OK;

	while (from->by_client.count) {
		struct client_entry *entry = table_take_any(&from->by_client);
		enum td_error one = TD_OK;
		bool known = entry->row.known;
		take_out(set, entry->client);
		if (known)
			one = table_insert(&set->by_client, hash_of(set, entry->client), entry);
		if (!known || one != TD_OK)
			entry_free(entry);
		if (one == TD_NOMEM)
			error = one;
	}
	return error;
}

uint64_t client_set_queries(const struct client_set *set)
{
	const struct client_entry *entry;
	uint64_t sum = 0;
	size_t at = 0;

	while ((entry = table_next(&set->by_client, &at)) != NULL)
		sum += entry->row.queries;
	return sum;
}
