/* SPDX-License-Identifier: BSD-3-Clause */
/* The saved cache: what comes back, with which TTLs, and that no damage gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/dns/compose.h"
#include "resolver/cache_file.h"
#include "tests/unit/cache_trace.h"

#define SAVED_MS INT64_C(1700000000000)

static const struct hash_seed seed = {11, 12};
static const struct answer_limits limits = {.ttl_max_s = 86400, .negative_ttl_max_s = 3600};

static struct answer *make(const char *text, uint32_t ttl_s, int64_t now_us)
{
	static uint8_t buffer[512];
	struct upstream_question question = {.qtype = TYPE_A};
	struct compose compose;
	enum td_error error;

	assert_int_equal(name_from_text(&question.qname, text, strlen(text)), TD_OK);
	compose_begin(&compose, buffer, sizeof buffer, 0, DNS_FLAG_QR | DNS_FLAG_AD,
		question.qname.wire, question.qname.length, TYPE_A, CLASS_IN);
	compose_rr(&compose, SECTION_ANSWER, &question.qname, TYPE_A, ttl_s, "\300\0\2\1", 4);
	struct answer *answer = answer_from_reply(
		buffer, compose_finish(&compose), &question, &limits, now_us, 1, &error);
	assert_non_null(answer);
	answer->upstream =
		(struct endpoint){.address = address_v4((uint8_t[]){9, 9, 9, 9}), .port = 53};
	return answer;
}

/* A file of so many answers, in memory. */
static size_t write_file(uint8_t *octets, size_t size, unsigned count, uint32_t ttl_s)
{
	static struct cache_file file;
	FILE *stream = fmemopen(octets, size, "w");
	char name[32];

	assert_non_null(stream);
	cache_file_begin(&file, stream, SAVED_MS);
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		struct cache_copy copy = {.answer = make(name, ttl_s, 0),
			.qtype = TYPE_A,
			.flags = i % 4,
			.hits = i,
			.proven = i % 2};
		cache_file_add(&file, &copy, SAVED_MS - 1000 * (int64_t)i);
		free(copy.answer);
	}
	assert_true(cache_file_end(&file));
	long length = ftell(stream);
	fclose(stream);
	return (size_t)length;
}

/* Reads it to its end. TD_NOT_FOUND: it was whole. */
static enum td_error read_file(uint8_t *octets, size_t size, unsigned *count)
{
	static struct cache_file file;
	static struct cache_record record;
	FILE *stream = fmemopen(octets, size ? size : 1, "r");

	assert_non_null(stream);
	enum td_error error = cache_file_open(&file, stream);
	for (*count = 0; error == TD_OK; ++*count)
		error = cache_file_next(&file, &record);
	--*count;
	assert_true(error == TD_NOT_FOUND || file.why[0]);
	fclose(stream);
	return error;
}

static uint8_t octets[65536];

static void what_was_saved_comes_back_aged(void **state)
{
	static struct cache_file file;
	struct cache_record record;
	struct upstream_question question;
	size_t size = write_file(octets, sizeof octets, 4, 300);
	FILE *stream = fmemopen(octets, size, "r");
	int64_t now_ms = SAVED_MS + 100 * 1000,
		now_us = 5 * US_PER_S; /* the machine has just booted */

	(void)state;
	assert_int_equal(cache_file_open(&file, stream), TD_OK);
	assert_int_equal(file.saved_ms, SAVED_MS);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t out[512];
		bool truncated;
		assert_int_equal(cache_file_next(&file, &record), TD_OK);
		struct answer *answer =
			cache_file_answer(&record, now_ms, now_us, &limits, 77, &question);
		assert_non_null(answer);
		assert_int_equal(record.copy.hits, i);
		assert_int_equal(record.copy.proven, i % 2);
		assert_int_equal(record.copy.flags, i % 4);
		assert_int_equal(question.dnssec_ok, i % 2);
		assert_int_equal(answer->id, 77);
		assert_true(answer->flags & DNS_FLAG_AD);
		assert_int_equal(answer->upstream.port, 53);
		assert_int_equal(answer->expires_us - now_us, (200 - (int64_t)i) * US_PER_S);
		size_t length = answer_write(answer, now_us, out, sizeof out, &truncated);
		/* TTL, before length and address */
		assert_int_equal(out[length - 10 + 3], 200 - i);
		free(answer);
	}
	assert_int_equal(cache_file_next(&file, &record), TD_NOT_FOUND);
	fclose(stream);
}

/* The clock of this life is behind: what would be from the future is not taken. */
static void nothing_comes_from_the_future(void **state)
{
	static struct cache_file file;
	struct cache_record record;
	struct upstream_question question;
	size_t size = write_file(octets, sizeof octets, 1, 300);
	FILE *stream = fmemopen(octets, size, "r");

	(void)state;
	assert_int_equal(cache_file_open(&file, stream), TD_OK);
	assert_int_equal(cache_file_next(&file, &record), TD_OK);
	assert_null(cache_file_answer(&record, SAVED_MS - 1, 0, &limits, 1, &question));
	record.copy.qtype = TYPE_AAAA; /* nor under another question */
	assert_null(cache_file_answer(&record, SAVED_MS, 0, &limits, 1, &question));
	fclose(stream);
}

/* Each octet that is wrong, and each one that is missing, is noticed. */
static void damage_is_noticed(void **state)
{
	static uint8_t copy[65536];
	size_t size = write_file(octets, sizeof octets, 5, 300);
	unsigned count;

	(void)state;
	assert_int_equal(read_file(octets, size, &count), TD_NOT_FOUND);
	assert_int_equal(count, 5);
	for (size_t at = 0; at < size; at++) {
		memcpy(copy, octets, size);
		copy[at] ^= 0x20;
		/* when it was saved is compared with the clock, not checked */
		if (at < 12 || at >= 20)
			assert_int_not_equal(read_file(copy, size, &count), TD_NOT_FOUND);
	}
	for (size_t length = 0; length < size; length++)
		assert_int_not_equal(read_file(octets, length, &count), TD_NOT_FOUND);
	memcpy(copy, octets, size);
	copy[size] = 0;
	assert_int_not_equal(read_file(copy, size + 1, &count), TD_NOT_FOUND);
	memset(copy, 'x', size);
	assert_int_not_equal(read_file(copy, size, &count), TD_NOT_FOUND);
}

/* --- putting back --- */

static bool restore(struct cache *cache, uint32_t number, int64_t stored_us, int64_t expires_us,
	uint32_t epoch, int64_t now_us)
{
	struct cache_key key;

	trace_key(cache, &key, number);
	struct answer *answer = trace_answer(&key, 120, stored_us, expires_us);
	answer->epoch = epoch;
	return cache_restore(cache, &key, answer, 3, true, now_us);
}

static void restoring_displaces_nothing(void **state)
{
	const struct cache_settings settings = {.stale_us = 100 * US_PER_S};
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_flushed flushed;
	int64_t now_us = 10 * US_PER_S;
	uint32_t epoch = cache_epoch(cache), count = 0;

	(void)state;
	assert_true(restore(cache, 1, -US_PER_S, 20 * US_PER_S, epoch, now_us));
	assert_true(trace_has(cache, 1, now_us));
	assert_false(restore(cache, 1, 0, 30 * US_PER_S, epoch, now_us)); /* there is one */
	assert_false(restore(cache, 2, 0, 5 * US_PER_S, epoch, now_us));  /* expired, of no use */
	assert_false(restore(cache, 2, 5, 5, epoch, now_us));
	cache_set(cache, &settings);
	assert_true(restore(cache, 2, 0, 5 * US_PER_S, epoch, now_us)); /* a stale one */
	for (uint32_t i = 10; i < 10000; i++)
		count += restore(cache, i, 0, 100 * US_PER_S, epoch, now_us);
	struct cache_status status;
	cache_status(cache, &status);
	assert_int_equal(status.entries, count + 2);
	assert_int_equal(status.evicted, 0);
	assert_true(status.bytes <= 1 << 20 && status.bytes > 1000 << 10);
	assert_int_equal(cache_flush(cache, &(struct cache_filter){.qtype = 0}, &flushed), TD_OK);
	assert_false(restore(cache, 1, 0, 100 * US_PER_S, epoch, now_us)); /* flushed meanwhile */
	cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_saved_comes_back_aged),
		cmocka_unit_test(nothing_comes_from_the_future),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(restoring_displaces_nothing),
	};
	return cmocka_run_group_tests_name("cache_file", tests, NULL, NULL);
}
