/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When which client asked what, out of the stream of transactions. Who asks for it again and again
 * keeps what was read: of ten thousand entries, five million octets, a few are new each time.
 * Entries that Redis let go of, and those of clients that were forgotten, are gone here too.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/redis/reader.h"

#define SAMPLE_TYPE_MAX 12

struct sample_id {
	uint64_t ms, sequence; /* of the entry */
};

struct sample_row {
	struct sample_id id;
	int64_t ms;            /* 0: the entry is of no use */
	uint32_t client, name; /* where in texts */
	char type[SAMPLE_TYPE_MAX];
};

/* Those of one resolver, oldest first. They do not change. */
struct samples {
	unsigned references; /* the cache's */
	char *resolver;
	struct sample_row *rows;
	size_t count, capacity;
	struct strbuf texts; /* each ended by NUL */
};

struct sample_cache;

struct sample_cache *sample_cache_new(size_t bytes_max); /* NULL: out of memory */
void sample_cache_free(struct sample_cache **cache);     /* a NULL inside is fine */

/*
 * What the stream of this reader's resolver has now, to be given back with samples_release. Any
 * thread; a NULL cache keeps nothing. As the functions of reader.h fail, and then NULL.
 */
enum td_error samples_take(struct sample_cache *cache, struct reader *reader, const char *resolver,
	struct samples **out);
void samples_release(
	struct sample_cache *cache, struct samples **samples); /* a NULL inside is fine */

/* Entries that were read, since it was made; octets held. */
struct sample_cache_figures {
	uint64_t read;
	size_t bytes;
};
struct sample_cache_figures sample_cache_figures(struct sample_cache *cache);
