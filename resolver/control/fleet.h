/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading one resolver or all of them in the same words: a fleet has a reader for each of its
 * resolvers, because in a Redis Cluster each lives on a node of its own, and adds up what they say.
 * A fleet of one answers as its reader does.
 *
 * A resolver that cannot be read does not hide the others: it is set aside with the reason, and the
 * rest goes on. When none is left, or there was only one, the functions fail: TD_IO, TD_REFUSED,
 * and fleet_words says why. Results live in the arena of the caller. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "resolver/telemetry/redis/reader.h"

#define FLEET_MAX 250 /* resolvers, each with a connection; further ones are counted in `beyond` */

struct fleet_member {
	char *resolver;
	struct reader *reader; /* NULL: it could not be read, words say why */
	char words[READER_WORDS_MAX];
};

struct fleet {
	struct fleet_member *members; /* by name */
	size_t count;
	size_t beyond;
	bool whole; /* all resolvers were asked for, even if there is only one */
	struct hour_cache *hours; /* hour_cache.h, of who keeps the fleet open; NULL: none */
	struct sample_cache *samples; /* samples.h, the same */
	char words[READER_WORDS_MAX];
};

/* Opens the named resolver, or for NULL all that registered in this Redis. Failure as reader_open:
 * NULL, words, *error. */
struct fleet *fleet_open(const char *url, const struct redis_access *access, const char *resolver,
	int timeout_ms, char *words, enum td_error *error);
void fleet_close(struct fleet **fleet); /* a NULL inside is fine */

const char *fleet_words(const struct fleet *fleet);

/* Members that could not be read. */
size_t fleet_missing(const struct fleet *fleet);

/* Calls for each member that can be read. A member for which it fails is set aside; TD_NOMEM and
 * TD_TOO_LONG end it. */
typedef enum td_error fleet_visit_fn(void *context, struct fleet_member *member);
enum td_error fleet_each(struct fleet *fleet, fleet_visit_fn *visit, void *context);

/* As reader_client: counters are sums, first_seen and told_teredo are the least, last_seen and
 * told_teredo_last the greatest. */
enum td_error fleet_client(
	struct fleet *fleet, struct arena *arena, const char *client, struct reader_fields *out);

/*
 * As reader_ranks. Values are sums over the resolvers (READER_NAME_ADDRESSES: the newest time), and
 * exact for each row: what a resolver does not list among its own first ones is looked up there.
 * The rows are the right ones too: lists are read deeper until what is below all of them cannot
 * come up any more. *exact (may be NULL) is false only where that would take more than
 * READER_ROWS_MAX rows of a resolver. total is a lower bound where lists are longer than what was
 * read.
 */
enum td_error fleet_ranks(struct fleet *fleet, struct arena *arena, enum reader_ranking ranking,
	const char *of, size_t limit, struct reader_ranks *out, bool *exact);

/* As reader_at_most, over all resolvers. */
enum td_error fleet_at_most(struct fleet *fleet, enum reader_ranking ranking, const char *of,
	struct reader_rank *rows, size_t count);

/* The value of one member, summed over the resolvers; 0 where none has it. */
enum td_error fleet_score(struct fleet *fleet, struct arena *arena, enum reader_ranking ranking,
	const char *of, const char *member, int64_t *value);

/* Hits of a policy zone by client, most hits first. */
struct fleet_hit {
	const char *client;
	uint64_t hits;
	int64_t last_ms; /* 0 unknown */
};
struct fleet_hits {
	struct fleet_hit *rows;
	size_t count;
	uint64_t total;
};
enum td_error fleet_zone_hits(struct fleet *fleet, struct arena *arena, const char *zone,
	size_t limit, struct fleet_hits *out);
/* Of one client; hits 0 when it has none. */
enum td_error fleet_client_hits(struct fleet *fleet, struct arena *arena, const char *zone,
	const char *client, struct fleet_hit *out);

/* Every pair of an address, each with its resolver. */
enum td_error fleet_address_pairs(struct fleet *fleet, struct arena *arena, const char *address,
	size_t limit, struct reader_pairs *out);

/* Appends the pairs of a member, each with its resolver. */
enum td_error fleet_append_pairs(struct arena *arena, struct reader_pairs *all,
	const struct reader_pairs *more, const struct fleet_member *member);

/* Adds equal members up (newest: keeps the greatest) and puts the largest first. */
void fleet_merge_ranks(struct reader_ranks *ranks, bool newest);
