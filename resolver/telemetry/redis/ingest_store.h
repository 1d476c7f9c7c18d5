/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing what logs say: chunks of counts, each with the new position of its log in one script call
 * (ingest.lua), so that a chunk counts once whatever happens; and the look-ups that join drops with
 * pairs. Over a connection that waits. One thread.
 *
 * TD_IO: Redis went away, is on the move or loads: open again and send the same chunk; it is not
 * counted twice. TD_REFUSED: Redis answered with an error, ingest_store_words says which;
 * TD_UNSUPPORTED: with this user, or on this server, nothing may be written. TD_NOMEM,
 * TD_TOO_LONG. Nothing was written then, but for TD_IO, where it may have been, and where commands
 * of a chunk failed after its position had been written: the words tell their number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/redis/redis_address.h"

#define INGEST_STORE_WORDS_MAX 192
#define INGEST_ITEM_ARGS_MAX 3000 /* of one chunk */

struct ingest_store;

struct ingest_store_settings {
	const char *url; /* all strings, and access, outlive the store */
	const struct redis_access *access;
	const char *resolver;
	int timeout_ms;
	unsigned retention_days, pair_retention_days;
	unsigned addresses_max; /* in the index */
};

/* NULL: words (INGEST_STORE_WORDS_MAX bytes) and *error say why. */
struct ingest_store *ingest_store_open(
	const struct ingest_store_settings *settings, char *words, enum td_error *error);
void ingest_store_close(struct ingest_store **store); /* a NULL inside is fine */

/* After TD_IO: a new connection, to whoever is the right server by now. */
enum td_error ingest_store_reopen(struct ingest_store *store);

const char *ingest_store_words(const struct ingest_store *store);

/* How far each source has been read, as it was written; not checked. */
struct ingest_row {
	const char *id, *json;
};
struct ingest_rows {
	struct ingest_row *rows; /* the arena's */
	size_t count;
};
enum td_error ingest_store_sources(
	struct ingest_store *store, struct arena *arena, struct ingest_rows *out);

/* The position of a source that cannot be read on goes. */
enum td_error ingest_store_forget(struct ingest_store *store, const char *id);

/* --- a chunk --- */

struct ingest_chunk {
	const char *source,
		*former;      /* ids; former "" unless the source has another id from now on */
	int64_t expected;     /* offset that Redis has; -1: it does not know the source */
	int64_t offset;       /* new one */
	const char *position; /* JSON with that offset */
	const char *oldest; /* the source that makes room for a new one, where they are too many */
	struct strbuf text; /* of the items, back to back */
	size_t argc, lengths[INGEST_ITEM_ARGS_MAX];
	bool full; /* an argument had no place: a fault of the caller */
};

void ingest_chunk_init(struct ingest_chunk *chunk);
void ingest_chunk_deinit(struct ingest_chunk *chunk);
void ingest_chunk_clear(struct ingest_chunk *chunk); /* no items */
/* Arguments of items, in the order that ingest.lua tells. */
void ingest_chunk_put(struct ingest_chunk *chunk, const char *text, size_t length);
void ingest_chunk_put_text(struct ingest_chunk *chunk, const char *text);
void ingest_chunk_put_u64(struct ingest_chunk *chunk, uint64_t value);

enum ingest_outcome {
	INGEST_APPLIED, /* also where an earlier call with it had been */
	INGEST_MOVED,   /* the source is elsewhere than expected: somebody else reads it, or Redis
			   lost something; nothing was written */
};
/* found: where the source is, -1 unknown to Redis. dropped: details that a bound turned away are
 * added to it. */
enum td_error ingest_store_write(struct ingest_store *store, const struct ingest_chunk *chunk,
	int64_t now_ms, enum ingest_outcome *outcome, int64_t *found, uint64_t *dropped);

/* --- pairs --- */

/* A client that was told addresses[index]; first_ms: when first. The text is valid during the call.
 */
typedef void ingest_pair_fn(
	void *context, size_t index, const char *client, size_t length, int64_t first_ms);

/* All pairs of these addresses, in any order; one may come twice. */
enum td_error ingest_store_pairs(struct ingest_store *store, const char *const addresses[],
	size_t count, ingest_pair_fn *pair, void *context);

/* The script's source, for tests. */
extern const char ingest_script[];
