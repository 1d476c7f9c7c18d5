/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading what the store wrote, for commands: one blocking connection with timeouts, bounded
 * queries (ZREVRANGE, HGETALL, HGET, HSCAN, XREAD; never KEYS, never a write). What Redis holds is
 * not trusted: numbers are parsed with care, rows that do not fit the schema are passed over, and
 * text is handed on as it is, for the caller to escape.
 *
 * Results live in the arena of the caller. One thread. A function that fails leaves its result
 * empty; reader_words says why. TD_IO: Redis went away or was silent (open again). TD_REFUSED: it
 * answered with an error. TD_NOMEM, TD_TOO_LONG.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "resolver/telemetry/transaction.h"

#define READER_ROWS_MAX 100000 /* most rows of one answer; a larger limit means this one */
#define READER_WORDS_MAX 192

struct reader;
struct redis_access;

/*
 * Connects to url (redis_address.h), with access for what it does not say (NULL: nothing; its texts
 * are not copied), and reads what belongs to resolver; a resolver each has a reader of its own,
 * whose slot of a cluster may lie elsewhere. On failure NULL, and the reason in words
 * (READER_WORDS_MAX bytes, no password in them); error, when not NULL, is TD_INVALID (the URL, a TLS
 * file), TD_IO or TD_REFUSED.
 */
struct reader *reader_open(const char *url, const struct redis_access *access, const char *resolver,
	int timeout_ms, char *words, enum td_error *error);
void reader_close(struct reader **reader); /* a NULL inside is fine */

/* Why the last call failed. */
const char *reader_words(const struct reader *reader);

/* Fields of a hash as they are. */
struct reader_field {
	const char *name, *value;
};
struct reader_fields {
	struct reader_field *rows;
	size_t count; /* 0: there is no such hash */
};
/* NULL, or missing, where there is no such field. */
const char *reader_field_text(const struct reader_fields *fields, const char *name);
int64_t reader_field_i64(const struct reader_fields *fields, const char *name, int64_t missing);
/* Of all whose names begin so. */
uint64_t reader_fields_sum(const struct reader_fields *fields, const char *prefix);

/* The clock of this Redis, Unix ms. */
enum td_error reader_time(struct reader *reader, int64_t *ms);

/* The meta hash. Empty when this resolver never wrote here. */
enum td_error reader_meta(struct reader *reader, struct arena *arena, struct reader_fields *out);
/* The counters of a client, by the names of client_counter_name, with first_seen and last_seen
 * (Unix ms). */
enum td_error reader_client(
	struct reader *reader, struct arena *arena, const char *client, struct reader_fields *out);

/* What commands keep of clients, by client: values are JSON objects, not checked. */
enum reader_hash {
	READER_REMEDIATED, /* who was marked: "at" (Unix ms), "by", "method", "zones" */
	READER_EVENTLOG,   /* what event logs told last: "at", "state", "event", "text" */
	READER_TOTALS,     /* not by client: counters since recording began, and "event_<kind>" */
	READER_INGESTED,   /* not by client: logs that were read: "format", "first", "last", … */
};
enum td_error reader_hash(struct reader *reader, struct arena *arena, enum reader_hash hash,
	struct reader_fields *out);

/* The head of a sorted set, highest value first. */
struct reader_rank {
	const char *member;
	int64_t value;
};
struct reader_ranks {
	struct reader_rank *rows;
	size_t count;
	uint64_t total; /* members that Redis holds */
};
/* All resolvers that ever wrote to this Redis; values are 0. */
enum td_error reader_resolvers(
	struct reader *reader, struct arena *arena, size_t limit, struct reader_ranks *out);
/* Whether the resolver of this reader is one of them, or has something here all the same: the set is
 * written when a daemon connects, so it lacks those that ran while it was deleted. */
enum td_error reader_is_known(struct reader *reader, bool *known);
/* What can be ranked, and what `of` names. */
enum reader_ranking {
	READER_CLIENTS,        /* clients by a counter: "queries", "watched", "blocked" */
	READER_DAY_NAMES,      /* names by queries on a UTC day: "YYYYMMDD" */
	READER_DAY_ESTIMATES,  /* the same names by what decides which of them stay */
	READER_CLIENT_NAMES,   /* names that a client asked, by queries: the client */
	READER_NAME_ADDRESSES, /* addresses that a name led to, by the time they were last told
				  (Unix ms): the name */
	READER_NAME_CLIENTS,   /* clients that asked a name, by queries: the name */
	READER_ZONE_CLIENTS,   /* clients by hits of a policy zone: the zone */
	READER_ZONE_LAST,      /* clients by their last hit (Unix ms): the zone */
	READER_HOUR,           /* clients by a counter in an hour: "YYYYMMDDHH:watched" */
	READER_RULES,          /* rules by hits: the policy zone */
	READER_RULE_ESTIMATES, /* the same rules by what decides which of them stay */
};
enum td_error reader_ranks(struct reader *reader, struct arena *arena, enum reader_ranking ranking,
	const char *of, size_t limit, struct reader_ranks *out);

/* The values of the members that the caller set in rows; 0 for one that is not there. */
enum td_error reader_scores(struct reader *reader, enum reader_ranking ranking, const char *of,
	struct reader_rank *rows, size_t count);

/* The most that these names can have been asked on a day (READER_DAY_NAMES), or these rules hit
 * (READER_RULES), as a bounded list may have lost something of them: added to their values. */
enum td_error reader_at_most(struct reader *reader, enum reader_ranking ranking, const char *of,
	struct reader_rank *rows, size_t count);

/* Who was told an address, by which question: never projected apart. */
struct reader_pair {
	const char *resolver; /* set by fleet.h; NULL here */
	const char *address, *client, *name;
	const char *owner; /* of the address record: the end of the CNAME chain; "" unknown */
	int64_t first_ms, last_ms;
	uint64_t count;
};
struct reader_pairs {
	struct reader_pair *rows;
	size_t count;
	bool cut; /* there are more than the limit */
};
/* Every pair of an address, sorted by name, then client. */
enum td_error reader_address_pairs(struct reader *reader, struct arena *arena, const char *address,
	size_t limit, struct reader_pairs *out);
/* Those of these pairs that exist; address, client and name of each row are set by the caller. In
 * the order of the rows, the others left out. */
enum td_error reader_find_pairs(struct reader *reader, struct arena *arena,
	struct reader_pair *rows, size_t count, struct reader_pairs *out);

/* One turn through the addresses that have pairs, in no order; cursor is "0" at the beginning and
 * at the end. One may come twice; values are 0. */
#define READER_CURSOR_SIZE 24
enum td_error reader_scan_addresses(struct reader *reader, struct arena *arena,
	char cursor[READER_CURSOR_SIZE], struct reader_ranks *out);

/* Entries of a stream, oldest first. */
enum reader_stream { READER_TRANSACTIONS, READER_EVENTS };
struct reader_record {
	const char *id;
	const char *json; /* one object, one line; not checked */
	size_t json_length;
};
struct reader_records {
	struct reader_record *rows;
	size_t count;
};
/* The newest. */
enum td_error reader_last_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, size_t limit, struct reader_records *out);
/* One page of a walk from the newest backwards, newest first. end is "+" at the beginning, and "" behind
 * the oldest. */
#define READER_END_SIZE 64
enum td_error reader_earlier_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, char end[READER_END_SIZE], struct reader_records *out);
/* The id of the oldest entry, "" when there is none, and how many there are. */
struct reader_extent {
	char first[64];
	uint64_t length;
};
enum td_error reader_extent(
	struct reader *reader, enum reader_stream stream, struct reader_extent *out);
/* Those after id; waits up to block_ms (less than the timeout of reader_open) for the first, and not
 * at all for 0: Redis looks for clients that waited long enough ten times a second only. None is no
 * error. */
enum td_error reader_next_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, const char *id, int block_ms, size_t limit,
	struct reader_records *out);
