/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The saved cache. With an even first octet the rest is a file as it stands; with an odd one it is
 * the body of a record, for which a whole file is made, so that the fuzzer gets past the checksums.
 * Whatever is accepted reads back to its last octet, and stands being saved and read again.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "resolver/cache_file.h"
#include "tests/fuzz/fuzz.h"

#define NOW_MS INT64_C(1700000000000)

static const struct answer_limits limits = {.ttl_max_s = 86400, .negative_ttl_max_s = 10800};
static uint8_t made[CACHE_FILE_BODY_MAX + 128];

static void put_number(uint8_t *out, unsigned octets, uint64_t value)
{
	for (unsigned i = 0; i < octets; i++)
		out[i] = (uint8_t)(value >> 8 * (octets - 1 - i));
}

static size_t put_record(
	uint8_t *out, const uint8_t *body, size_t size, size_t told, uint64_t *checksum)
{
	static const struct hash_seed no_seed;
	static uint8_t block[8 + CACHE_FILE_BODY_MAX];

	put_number(block, 8, *checksum);
	memcpy(block + 8, body, size);
	*checksum = hash_bytes(&no_seed, block, 8 + size);
	put_number(out, 4, told);
	put_number(out + 4, 8, *checksum);
	memcpy(out + 12, body, size);
	return 12 + size;
}

static size_t make_file(const uint8_t *body, size_t size)
{
	uint64_t checksum = 0;
	uint8_t count[8];
	size_t at = 20;

	memcpy(made, "TDCACHE", 8);
	put_number(made + 8, 4, CACHE_FILE_VERSION);
	put_number(made + 12, 8, (uint64_t)NOW_MS);
	at += put_record(made + at, body, size, size, &checksum);
	put_number(count, 8, 1);
	return at + put_record(made + at, count, 8, 0, &checksum);
}

/* Saved again it is the same answer. */
static void check_round(const struct cache_record *record, struct answer *answer)
{
	static uint8_t saved[sizeof made];
	static struct cache_file file;
	struct cache_copy copy = record->copy;
	struct cache_record again;
	struct upstream_question question;
	FILE *stream = fmemopen(saved, sizeof saved, "w+");

	FUZZ_CHECK(stream);
	copy.answer = answer;
	cache_file_begin(&file, stream, NOW_MS);
	cache_file_add(&file, &copy, record->stored_ms);
	FUZZ_CHECK(cache_file_end(&file));
	FUZZ_CHECK(
		cache_file_open(&file, stream) == TD_OK && cache_file_next(&file, &again) == TD_OK);
	struct answer *same = cache_file_answer(&again, NOW_MS, 0, &limits, 7, &question);
	FUZZ_CHECK(
		same && same->length == answer->length && same->expires_us == answer->expires_us);
	FUZZ_CHECK(memcmp(same->bytes, answer->bytes, answer->length) == 0);
	free(same);
	fclose(stream);
}

static void read_all(const uint8_t *data, size_t size)
{
	static struct cache_file file;
	struct cache_record record;
	struct upstream_question question;
	FILE *stream = fmemopen((void *)data, size, "r");

	FUZZ_CHECK(stream);
	enum td_error error = cache_file_open(&file, stream);
	while (error == TD_OK && (error = cache_file_next(&file, &record)) == TD_OK) {
		struct answer *answer =
			cache_file_answer(&record, NOW_MS, 0, &limits, 7, &question);
		if (answer)
			check_round(&record, answer);
		free(answer);
	}
	FUZZ_CHECK(error == TD_NOT_FOUND || file.why[0]);
	fclose(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > CACHE_FILE_BODY_MAX)
		return 0;
	if (data[0] & 1)
		read_all(made, make_file(data + 1, size - 1));
	else
		read_all(data + 1, size - 1);
	return 0;
}
