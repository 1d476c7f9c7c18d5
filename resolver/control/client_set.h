/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of clients by their name, each with texts of its own, to add up what resolvers say and to
 * exchange some of them for newer ones. Passive; one thread, or the caller's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/table.h"
#include "lib/dns/address.h"
#include "resolver/telemetry/redis/reader_clients.h"

struct client_entry {
	struct reader_client_row
		row;            /* texts are the entry's own, but for client: they are freed */
	struct address address; /* family ADDRESS_NONE: the client is no address */
	size_t size;            /* octets of client with its NUL */
	char client[];
};

struct client_set {
	struct hash_seed seed;
	struct table by_client; /* of struct client_entry */
};

/* At most `most` clients; what has no place is counted in by_client.dropped. */
void client_set_init(struct client_set *set, struct hash_seed seed, size_t most);
void client_set_deinit(struct client_set *set);

/* NULL: not in it. */
struct client_entry *client_set_find(const struct client_set *set, const char *client);

/* Makes sure that a client is in it, with an empty row when it was not. TD_FULL, TD_NOMEM. */
enum td_error client_set_add(struct client_set *set, const char *client);

/* Adds a row to that of its client: counters are sums, first_ms and told_ms the least, last_ms and
 * told_last_ms the greatest, texts those of who saw it last. TD_FULL, TD_NOMEM. */
enum td_error client_set_sum(struct client_set *set, const struct reader_client_row *row);

/* Moves all entries of `from` into the set, in the place of those that are there; who is not known
 * leaves it. from is empty afterwards. TD_NOMEM: some may not have been moved, and are freed. */
enum td_error client_set_move(struct client_set *set, struct client_set *from);

/* The queries of all. */
uint64_t client_set_queries(const struct client_set *set);
