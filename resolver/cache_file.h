/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache in a file, for a warm start. Times in it are wall clock, so that what passed while the
 * daemon was away counts.
 *
 *   header   "TDCACHE" NUL, version (4 octets), when it was saved (8, Unix ms)
 *   record   length of its body (4, at least 1), checksum (8), body
 *   end      length 0, checksum (8), number of records (8)
 *
 * All numbers are big-endian. A checksum is SipHash-1-3 with a zero key over the checksum before it
 * (the header's is 0) and the body, so a record that is missing, doubled or moved is noticed as
 * well. It protects against accidents, not against whoever may write the file: every record is
 * parsed as what came from the network.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "resolver/cache_walk.h"

#define CACHE_FILE_VERSION 1
#define CACHE_FILE_BODY_MAX (DNS_MESSAGE_MAX + 64)
#define CACHE_FILE_WHY 96

struct cache_file {
	FILE *file; /* the caller's */
	uint64_t checksum;
	uint64_t count;
	int64_t saved_ms;
	bool failed;              /* writing: something did; errno of then is lost */
	char why[CACHE_FILE_WHY]; /* reading: what is wrong */
	uint8_t block[8 + CACHE_FILE_BODY_MAX];
};

/* --- writing --- */

void cache_file_begin(struct cache_file *file, FILE *stream, int64_t wall_ms);
/* stored_ms: wall clock at answer->stored_us. */
void cache_file_add(struct cache_file *file, const struct cache_copy *copy, int64_t stored_ms);
/* False: not everything could be written. The stream is flushed. */
bool cache_file_end(struct cache_file *file);

/* --- reading --- */

struct cache_record {
	struct cache_copy copy; /* without answer */
	uint16_t answer_flags;
	struct endpoint upstream;
	int64_t stored_ms;
	const uint8_t *message; /* until the next call */
	size_t length;
};

/* From the start of the stream. TD_OK, or TD_MALFORMED, TD_UNSUPPORTED (another version), TD_IO and
 * `why`. */
enum td_error cache_file_open(struct cache_file *file, FILE *stream);
/* TD_OK with a record, TD_NOT_FOUND at the proper end, or TD_MALFORMED, TD_IO and `why`. */
enum td_error cache_file_next(struct cache_file *file, struct cache_record *record);

/*
 * The answer of a record, parsed and composed anew like an upstream's reply, so that nothing in the
 * file is trusted. NULL when it is none, or was stored after now_ms. id: as answer_from_reply takes
 * it. key: its question, without the hash of a cache.
 */
struct answer *cache_file_answer(const struct cache_record *record, int64_t now_ms, int64_t now_us,
	const struct answer_limits *limits, uint64_t id, struct upstream_question *question);
