/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/base: error words, hash, table, ring, mailbox, arena, strbuf, log. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/crc32c.h"
#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/hex.h"
#include "lib/base/log.h"
#include "lib/base/mailbox.h"
#include "lib/base/ring.h"
#include "lib/base/strbuf.h"
#include "lib/base/table.h"

/* xorshift64: the same numbers every time. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The vectors of RFC 3720 B.4, and that octets may come in parts. */
static void crc32c_is_the_known_one(void **state)
{
	uint8_t zeros[32] = {0}, ones[32];
	(void)state;

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void error_words_are_complete(void **state)
{
	(void)state;
	for (int i = 0; i < TD_ERROR_COUNT; i++) {
		assert_true(strlen(error_text((enum td_error)i)) > 0);
		assert_string_not_equal(error_text((enum td_error)i), "unknown error");
	}
	assert_string_equal(error_text(TD_OK), "success");
	assert_string_equal(error_text(TD_REFUSED), "refused");
	assert_string_equal(error_text(TD_ERROR_COUNT), "unknown error");
	assert_string_equal(error_text((enum td_error) - 1), "unknown error");
}

/* Python 3.11 hashes bytes with SipHash-1-3, its key derived from PYTHONHASHSEED (0: zeros; 42: the
 * second key). */
static void hash_equals_python(void **state)
{
	static const struct {
		size_t size;
		uint64_t zero_key, key_42;
	} vectors[] = {
		{1, UINT64_C(0x68a914128e01e473), UINT64_C(0xce880c366bcf3489)},
		{3, UINT64_C(0x4d4c9a4a8ef6e0ad), UINT64_C(0xef4b9dcae9b04417)},
		{7, UINT64_C(0x2f098ab0c751325a), UINT64_C(0xce280fabc397fbda)},
		{8, UINT64_C(0xead411e67ebe2eea), UINT64_C(0x60866c3c108c6afb)},
		{9, UINT64_C(0x75927f9d95124362), UINT64_C(0x68814005f7469e03)},
		{15, UINT64_C(0xf30eb725bb91c9ea), UINT64_C(0x94ace24d68c18cf8)},
		{16, UINT64_C(0x8972188433a5c5b7), UINT64_C(0x339176f3ac59ce05)},
		{17, UINT64_C(0x4883c49a2c009c1d), UINT64_C(0xed2706b414c296f1)},
		{31, UINT64_C(0x169739443111d49b), UINT64_C(0x06f3af51bda71c61)},
		{64, UINT64_C(0x75e05fd5bbc870c6), UINT64_C(0x91639ef7de8d52cb)},
		{255, UINT64_C(0x5dc1f93ea135eb43), UINT64_C(0xd02008474fae02c8)},
	};
	const struct hash_seed zero = {0, 0};
	const struct hash_seed seed_42 = {
		UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1)};
	uint8_t bytes[256];
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		assert_true(hash_bytes(&zero, bytes, vectors[i].size) == vectors[i].zero_key);
		assert_true(hash_bytes(&seed_42, bytes, vectors[i].size) == vectors[i].key_42);
	}
}

struct entry {
	uint64_t key;
	bool inside;
};

static bool entry_equal(const void *item, const void *key)
{
	return ((const struct entry *)item)->key == *(const uint64_t *)key;
}

/* The key and the first and last vectors of the reference implementation (vectors_sip64). */
static void shown_hash_equals_reference(void **state)
{
	const struct hash_seed seed = {
		UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t bytes[15];
	(void)state;
	for (uint8_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	assert_true(hash_bytes_shown(&seed, bytes, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(hash_bytes_shown(&seed, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

/* Few buckets, so that runs are long, wrap round, and items share hashes. */
static uint64_t poor_hash(uint64_t key)
{
	return key % 37 * 5 + (key % 3 == 0 ? 1021 : 0);
}

/* 200,000 random inserts, removes and lookups against a plain array. */
static void table_equals_model(void **state)
{
	enum { KEYS = 700 };
	static struct entry entries[KEYS];
	uint64_t random = 1;
	size_t inside = 0;
	struct table table;
	(void)state;
	table_init(&table, KEYS);
	for (uint64_t i = 0; i < KEYS; i++)
		entries[i] = (struct entry){.key = i};
	for (int step = 0; step < 200000; step++) {
		struct entry *entry = &entries[next_random(&random) % KEYS];
		uint64_t hash = poor_hash(entry->key);
		assert_ptr_equal(table_find(&table, hash, entry_equal, &entry->key),
			entry->inside ? entry : NULL);
		if (next_random(&random) % 3 == 0)
			continue;
		if (entry->inside) {
			assert_ptr_equal(
				table_remove(&table, hash, entry_equal, &entry->key), entry);
			inside--;
		} else {
			assert_int_equal(table_insert(&table, hash, entry), TD_OK);
			inside++;
		}
		entry->inside = !entry->inside;
		assert_int_equal(table.count, inside);
	}
	size_t position = 0, seen = 0;
	for (struct entry *entry; (entry = table_next(&table, &position)) != NULL; seen++)
		assert_true(entry->inside);
	assert_int_equal(seen, inside);
	table_deinit(&table);
}

static void table_refuses_beyond_limit(void **state)
{
	struct entry entries[4] = {{.key = 0}, {.key = 1}, {.key = 2}, {.key = 3}};
	struct table table;
	uint64_t key = 3;
	(void)state;
	table_init(&table, 3);
	assert_null(table_find(&table, 3, entry_equal, &key));
	assert_null(table_remove(&table, 3, entry_equal, &key));
	assert_null(table_take_any(&table));
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(table_insert(&table, i, &entries[i]), TD_OK);
	assert_int_equal(table_insert(&table, 3, &entries[3]), TD_FULL);
	assert_int_equal(table.dropped, 1);
	assert_null(table_find(&table, 3, entry_equal, &key));
	assert_non_null(table_take_any(&table));
	assert_int_equal(table_insert(&table, 3, &entries[3]), TD_OK);
	assert_ptr_equal(table_find(&table, 3, entry_equal, &key), &entries[3]);
	table_deinit(&table);
}

/* A table that was emptied gives its memory back and still finds what is left. */
static void table_shrinks(void **state)
{
	enum { COUNT = 1000, LEFT = 20 };
	const struct hash_seed seed = {1, 2};
	static struct entry entries[COUNT];
	struct table table;

	(void)state;
	table_init(&table, COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		entries[i].key = i;
		assert_int_equal(table_insert(&table, hash_bytes(&seed, &i, sizeof(i)), &entries[i]), TD_OK);
	}
	size_t capacity = table.capacity;
	assert_false(table_shrink(&table));
	for (uint64_t i = LEFT; i < COUNT; i++)
		table_remove(&table, hash_bytes(&seed, &i, sizeof(i)), entry_equal, &i);
	assert_true(table_shrink(&table));
	assert_true(table.capacity < capacity / 8);
	for (uint64_t i = 0; i < COUNT; i++)
		assert_int_equal(table_find(&table, hash_bytes(&seed, &i, sizeof(i)), entry_equal, &i) != NULL, i < LEFT);
	table_deinit(&table);
}

/* Emptied by table_take_any: every item once. Were it not linear, 300,000 items would take minutes.
 */
static void table_take_any_takes_each_once(void **state)
{
	enum { COUNT = 300000 };
	const struct hash_seed seed = {1, 2};
	struct entry *entries = calloc(COUNT, sizeof(*entries)), *entry;
	struct table table;
	size_t taken = 0;
	(void)state;
	assert_non_null(entries);
	table_init(&table, COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		entries[i].key = i;
		assert_int_equal(
			table_insert(&table, hash_bytes(&seed, &i, sizeof(i)), &entries[i]), TD_OK);
	}
	for (; (entry = table_take_any(&table)) != NULL; taken++) {
		assert_false(entry->inside);
		entry->inside = true;
	}
	assert_int_equal(taken, COUNT);
	assert_int_equal(table.count, 0);
	table_deinit(&table);
	free(entries);
}

static void ring_rounds_up_and_refuses(void **state)
{
	struct ring ring;
	size_t length = 99;
	(void)state;
	assert_true(ring_init(&ring, 1));
	assert_int_equal(ring.size, 4096);
	ring_deinit(&ring);
	assert_false(ring_init(&ring, SIZE_MAX));
	assert_true(ring_init(&ring, 5000));
	assert_int_equal(ring.size, 8192);
	assert_null(ring_peek(&ring, &length));
	assert_null(ring_reserve(&ring, 2049));
	assert_int_equal(atomic_load(&ring.dropped), 1);
	for (int i = 0; i < 3; i++) {
		assert_non_null(ring_reserve(&ring, 2048));
		ring_commit(&ring, 2048);
	}
	assert_null(ring_reserve(&ring, 2048));
	assert_int_equal(atomic_load(&ring.dropped), 2);
	assert_int_equal(ring_used(&ring), 3 * 2056);
	assert_non_null(ring_peek(&ring, &length));
	assert_int_equal(length, 2048);
	ring_release(&ring);
	/* 2024 bytes are left before the end: the record goes to the beginning, where 2056 are
	 * free. */
	assert_non_null(ring_reserve(&ring, 2048));
	ring_commit(&ring, 0);
	for (int i = 0; i < 2; i++) {
		assert_non_null(ring_peek(&ring, &length));
		ring_release(&ring);
	}
	assert_ptr_equal(ring_peek(&ring, &length), ring.bytes + 8);
	assert_int_equal(length, 0);
	ring_release(&ring);
	assert_null(ring_peek(&ring, &length));
	assert_int_equal(ring_used(&ring), 0);
	ring_deinit(&ring);
}

/* Every byte of a record follows from its number, so a torn or mixed record shows. */
static void fill_record(uint8_t *bytes, size_t length, uint64_t number)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(number * 31 + i);
}

static size_t record_length(uint64_t number)
{
	return (size_t)(number * number % 1021);
}

struct ring_case {
	struct ring ring;
	uint64_t records;
};

static void *ring_producer(void *argument)
{
	struct ring_case *test = argument;
	struct ring *ring = &test->ring;
	for (uint64_t number = 0; number < test->records; number++) {
		size_t length = record_length(number), reserve = length + number % 3;
		uint8_t *room;
		while (!(room = ring_reserve(ring, reserve)))
			sched_yield();
		fill_record(room, length, number);
		ring_commit(ring, length);
	}
	return NULL;
}

static void pass_between_threads(size_t size, uint64_t records)
{
	struct ring_case test = {.records = records};
	struct ring *ring = &test.ring;
	pthread_t producer;
	uint64_t number = 0;
	uint8_t expected[1024];
	assert_true(ring_init(ring, size));
	assert_int_equal(pthread_create(&producer, NULL, ring_producer, &test), 0);
	while (number < records) {
		size_t length;
		const uint8_t *bytes = ring_peek(ring, &length);
		assert_true(ring_used(ring) <= ring->size);
		if (!bytes) {
			sched_yield();
			continue;
		}
		assert_int_equal((uintptr_t)bytes % 8, 0);
		assert_int_equal(length, record_length(number));
		fill_record(expected, length, number);
		assert_memory_equal(bytes, expected, length);
		ring_release(ring);
		number++;
	}
	pthread_join(producer, NULL);
	assert_int_equal(ring_used(ring), 0);
	ring_deinit(ring);
}

/*
 * Where other processes want the processors too, each time that one side has to wait for the other
 * may cost some milliseconds: few records through a ring that is nearly always full or empty, many
 * through one that lets both sides run.
 */
static void ring_between_threads(void **state)
{
	(void)state;
	pass_between_threads(4096, 4000);
	pass_between_threads(65536, 60000);
}

struct parcel {
	struct letter letter;
	int sender;
	uint64_t number;
};

enum { SENDERS = 2, PARCELS = 100000 };

struct sender {
	struct mailbox *mailbox;
	struct parcel *parcels;
	uint64_t woken; /* posts that found the box empty */
};

static void *post_parcels(void *argument)
{
	struct sender *sender = argument;
	for (int i = 0; i < PARCELS; i++)
		sender->woken += mailbox_post(sender->mailbox, &sender->parcels[i].letter);
	return NULL;
}

static void mailbox_between_threads(void **state)
{
	struct mailbox mailbox;
	struct sender senders[SENDERS];
	pthread_t threads[SENDERS];
	uint64_t next[SENDERS] = {0}, received = 0, takes = 0;
	struct parcel *parcels = calloc(SENDERS * PARCELS, sizeof(*parcels));
	(void)state;
	assert_non_null(parcels);
	mailbox_init(&mailbox);
	assert_null(mailbox_take(&mailbox));
	for (int i = 0; i < SENDERS * PARCELS; i++)
		parcels[i] =
			(struct parcel){.sender = i / PARCELS, .number = (uint64_t)(i % PARCELS)};
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.mailbox = &mailbox, .parcels = parcels + i * PARCELS};
		assert_int_equal(pthread_create(&threads[i], NULL, post_parcels, &senders[i]), 0);
	}
	while (received < SENDERS * PARCELS) {
		struct letter *letter = mailbox_take(&mailbox);
		takes += letter != NULL;
		if (!letter)
			sched_yield();
		for (; letter; letter = letter->next, received++) {
			struct parcel *parcel = (struct parcel *)(void *)letter;
			assert_int_equal(parcel->number, next[parcel->sender]);
			next[parcel->sender]++;
		}
	}
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_null(mailbox_take(&mailbox));
	/* Each time the box was filled anew, exactly one post said so. */
	assert_int_equal(senders[0].woken + senders[1].woken, takes);
	free(parcels);
}

static void arena_keeps_what_it_gave(void **state)
{
	enum { PIECES = 3000 };
	static uint8_t *pieces[PIECES];
	static size_t sizes[PIECES];
	uint64_t random = 3;
	size_t sum = 0;
	struct arena arena;
	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < PIECES; i++) {
		sizes[i] = next_random(&random) % (i % 100 == 0 ? 50000 : 200);
		sum += sizes[i];
		pieces[i] = arena_alloc(&arena, sizes[i]);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)(i & 0xff), sizes[i]);
		assert_string_equal(arena_copy(&arena, "odd", 4), "odd");
		sum += 4;
	}
	for (size_t i = 0; i < PIECES; i++) {
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(pieces[i][k], i & 0xff);
	}
	assert_true(arena.used >= sum && arena.used <= sum + 16 * PIECES);
	assert_true(arena.reserved >= arena.used &&
		    arena.reserved <= arena.used + arena.used / 4 + 8192);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_non_null(arena_copy(&arena, NULL, 0));
	arena_deinit(&arena);
	assert_int_equal(arena.reserved, 0);
	assert_null(arena.blocks);
}

static void strbuf_grows(void **state)
{
	struct strbuf buf;
	(void)state;
	strbuf_init(&buf);
	assert_null(buf.data);
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&buf, "%d,", i);
	assert_int_equal(buf.length, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(buf.data), buf.length);
	strbuf_clear(&buf);
	assert_string_equal(buf.data, "");
	strbuf_printf(&buf, "%0300d", 7);
	assert_int_equal(buf.length, 300);
	strbuf_clear(&buf);
	strbuf_append_u64(&buf, 0);
	strbuf_append_char(&buf, ' ');
	strbuf_append_u64(&buf, UINT64_MAX);
	assert_string_equal(buf.data, "0 18446744073709551615");
	strbuf_deinit(&buf);
}

static void strbuf_failure_is_sticky(void **state)
{
	struct strbuf buf;
	(void)state;
	strbuf_init(&buf);
	strbuf_append_text(&buf, "before");
	strbuf_append(&buf, "x", SIZE_MAX / 2);
	assert_true(buf.failed);
	strbuf_append_text(&buf, "after");
	strbuf_printf(&buf, "%s", "after");
	assert_string_equal(buf.data, "before");
	strbuf_clear(&buf);
	strbuf_append_text(&buf, "again");
	assert_false(buf.failed);
	assert_string_equal(buf.data, "again");
	strbuf_deinit(&buf);
}

static void strbuf_is_written_in_place(void **state)
{
	struct strbuf buf;
	(void)state;
	strbuf_init(&buf);
	strbuf_append_text(&buf, "[");
	char *room = strbuf_reserve(&buf, 1000);
	assert_non_null(room);
	memset(room, 'x', 1000);
	strbuf_commit(&buf, room + 3);
	strbuf_append_text(&buf, "]");
	assert_string_equal(buf.data, "[xxx]");
	strbuf_commit(&buf, strbuf_reserve(&buf, 0));
	assert_int_equal(buf.length, 5);
	assert_null(strbuf_reserve(&buf, SIZE_MAX / 2));
	assert_true(buf.failed);
	strbuf_deinit(&buf);
}

static void assert_decimal(uint64_t value)
{
	char text[DECIMAL_MAX + 1], expected[DECIMAL_MAX + 1];
	*decimal_put(text, value) = '\0';
	snprintf(expected, sizeof(expected), "%llu", (unsigned long long)value);
	assert_string_equal(text, expected);
}

static void decimals_equal_printf(void **state)
{
	uint64_t random = 5, power = 1;
	(void)state;
	for (unsigned digits = 1; digits <= DECIMAL_MAX; digits++) {
		assert_decimal(power - 1);
		assert_decimal(power);
		for (unsigned i = 0; i < 200; i++) {
			uint64_t value = next_random(&random) % power;
			char text[DECIMAL_MAX + 1], expected[DECIMAL_MAX + 1];
			assert_decimal(value);
			*decimal_put_padded(text, value, digits) = '\0';
			snprintf(expected, sizeof(expected), "%0*llu", (int)digits,
				(unsigned long long)value);
			assert_string_equal(text, expected);
		}
		if (digits < DECIMAL_MAX)
			power *= 10;
	}
	assert_decimal(UINT64_MAX);
	for (unsigned value = 0; value <= 255; value++) {
		char text[4], expected[4];
		*decimal_put_octet(text, (uint8_t)value) = '\0';
		snprintf(expected, sizeof(expected), "%u", value);
		assert_string_equal(text, expected);
	}
}

static void hexadecimal_digits(void **state)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *at = c ? strchr(lower, c) : NULL,
			   *capital = c ? strchr(upper, c) : NULL;
		int expected = at ? (int)(at - lower) : capital ? (int)(capital - upper) : -1;
		assert_int_equal(hex_value((char)c), expected);
	}
}

static void strbuf_writes_json(void **state)
{
	struct strbuf buf;
	(void)state;
	strbuf_init(&buf);
	strbuf_append_char(&buf, '{');
	strbuf_json_text(&buf, "name", "a\"b\\c\n\x7f\xff");
	strbuf_json_u64(&buf, "n", 42);
	strbuf_json_bool(&buf, "yes", true);
	strbuf_json_bool(&buf, "no", false);
	strbuf_json_text(&buf, "none", NULL);
	strbuf_json_key(&buf, "list");
	strbuf_append_char(&buf, '[');
	strbuf_json_string(&buf, "\0/", 2);
	strbuf_append_text(&buf, "]}");
	assert_string_equal(buf.data,
		"{\"name\":\"a\\u0022b\\u005cc\\u000a\\u007f\\u00ff\",\"n\":42,\"yes\":true,"
		"\"no\":false,\"none\":null,\"list\":[\"\\u0000/\"]}");
	strbuf_clear(&buf);
	strbuf_json_u64(&buf, "first", 1);
	assert_string_equal(buf.data, "\"first\":1");
	strbuf_deinit(&buf);
}

static void assert_time(int64_t wall_us, const char *expected)
{
	struct strbuf buf;
	strbuf_init(&buf);
	strbuf_append_time(&buf, wall_us);
	assert_string_equal(buf.data, expected);
	strbuf_deinit(&buf);
}

static void strbuf_writes_time(void **state)
{
	(void)state;
	assert_time(0, "1970-01-01T00:00:00.000000Z");
	assert_time(-1, "1969-12-31T23:59:59.999999Z");
	assert_time(INT64_C(1795294331123456), "2026-11-21T20:52:11.123456Z");
	assert_time(INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z");
	assert_time(INT64_C(4107542399999999), "2100-02-28T23:59:59.999999Z");
	assert_time(INT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z");
	assert_time(INT64_MAX, "9999-12-31T23:59:59.999999Z");
	assert_time(INT64_MIN, "0000-03-01T00:00:00.000000Z");
}

/* Seconds of four-digit years, and the ends of months. */
static void time_equals_strftime(void **state)
{
	uint64_t random = 17;
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		time_t second = (time_t)(next_random(&random) % UINT64_C(315000000000)) -
				INT64_C(62000000000);
		unsigned us = (unsigned)(next_random(&random) % 1000000);
		if (i % 2)
			second -= (second % 86400 + 86400) % 86400 + (time_t)(i / 2 % 2);
		struct tm parts;
		char date[40], expected[60];
		assert_non_null(gmtime_r(&second, &parts));
		assert_int_not_equal(strftime(date, sizeof(date), "%m-%dT%H:%M:%S", &parts), 0);
		snprintf(expected, sizeof(expected), "%04d-%s.%06uZ", parts.tm_year + 1900, date,
			us);
		assert_time((int64_t)second * 1000000 + us, expected);
	}
}

/* Runs log_message with stderr in a pipe; what arrived. */
static void capture_log(char *out, size_t size, enum log_level level, const char *text)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	close(pipes[1]);
	log_message(level, "%s", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t length = read(pipes[0], out, size - 1);
	close(pipes[0]);
	assert_true(length >= 0);
	out[length] = '\0';
}

static void log_writes_one_safe_line(void **state)
{
	char line[8192], long_text[3000];
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_setup("teredownd", LOG_LEVEL_WARNING);
	capture_log(line, sizeof(line), LOG_LEVEL_WARNING, "a\nb\tc\x7f\033[1m \xc3\xa4");
	assert_string_equal(line, "teredownd: warning: a\\012b\\011c\\177\\033[1m \xc3\xa4\n");
	capture_log(line, sizeof(line), LOG_LEVEL_INFO, "not shown");
	assert_string_equal(line, "");
	memset(long_text, '\n', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture_log(line, sizeof(line), LOG_LEVEL_ERROR, long_text);
	assert_int_equal(strlen(line), strlen("teredownd: error: ") + 4 * 1020 + strlen("...\n"));
	assert_string_equal(line + strlen(line) - 8, "\\012...\n");
}

static void log_tells_the_journal_the_priority(void **state)
{
	char stream[64], line[100];
	struct stat st;
	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup("teredownd", LOG_LEVEL_INFO);
	capture_log(line, sizeof(line), LOG_LEVEL_ERROR, "x");
	assert_string_equal(line, "<3>teredownd: error: x\n");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_setup("teredownd", LOG_LEVEL_INFO);
	capture_log(line, sizeof(line), LOG_LEVEL_ERROR, "x");
	assert_string_equal(line, "teredownd: error: x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_is_the_known_one),
		cmocka_unit_test(error_words_are_complete),
		cmocka_unit_test(hash_equals_python),
		cmocka_unit_test(shown_hash_equals_reference),
		cmocka_unit_test(table_equals_model),
		cmocka_unit_test(table_refuses_beyond_limit),
		cmocka_unit_test(table_take_any_takes_each_once),
		cmocka_unit_test(table_shrinks),
		cmocka_unit_test(ring_rounds_up_and_refuses),
		cmocka_unit_test(ring_between_threads),
		cmocka_unit_test(mailbox_between_threads),
		cmocka_unit_test(arena_keeps_what_it_gave),
		cmocka_unit_test(strbuf_grows),
		cmocka_unit_test(strbuf_failure_is_sticky),
		cmocka_unit_test(strbuf_is_written_in_place),
		cmocka_unit_test(decimals_equal_printf),
		cmocka_unit_test(hexadecimal_digits),
		cmocka_unit_test(strbuf_writes_json),
		cmocka_unit_test(strbuf_writes_time),
		cmocka_unit_test(time_equals_strftime),
		cmocka_unit_test(log_writes_one_safe_line),
		cmocka_unit_test(log_tells_the_journal_the_priority),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
