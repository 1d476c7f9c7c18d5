/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parts of `teredown ingest` that need neither a file nor Redis: how a source is known again, what
 * entries add up to, and whom the answers in another server's log belong to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/control/ingest/ingest_gather.h"
#include "resolver/control/ingest/ingest_history.h"
#include "resolver/control/ingest/ingest_input.h"

static const struct hash_seed seed = {.k0 = 5, .k1 = 6};
static const int64_t noon_ms = INT64_C(1795348800000);

static struct address make(const char *text)
{
	struct address address;

	assert_true(address_from_text(&address, text));
	return address;
}

/* --- sources --- */

static void a_source_is_what_it_begins_with(void **state)
{
	char id[INPUT_ID_SIZE], other[INPUT_ID_SIZE], head[2 * INPUT_IDENTITY];

	(void)state;
	memset(head, 'a', sizeof(head));
	input_identify("", head, 100, id);
	assert_int_equal(input_id_length(id), 100);
	assert_true(input_is(id, "", head, 100));
	assert_true(input_is(id, "", head, sizeof(head))); /* it has grown */
	assert_false(input_is(id, "", head, 99));
	assert_false(input_is(id, "gw1", head, 100));
	head[99] = 'b';
	assert_false(input_is(id, "", head, sizeof(head)));
	input_identify("", head, sizeof(head), id);
	assert_int_equal(input_id_length(id), INPUT_IDENTITY);
	head[INPUT_IDENTITY] = 'c';
	input_identify("", head, sizeof(head), other);
	assert_string_equal(id, other);
	assert_false(input_is("", "", head, 10));
	assert_false(input_is("pipe-0123456789abcdef", "", head, 10));
	assert_int_equal(input_id_length("0123456789abcdef0123456789abcdef-99999999"), 0);
	assert_int_equal(input_id_length("0123456789abcdef0123456789abcdef-12x"), 0);
	input_identify("", head, 0, id); /* nothing is no beginning */
	assert_false(input_is(id, "", head, 10));
}

static void input_goes_through_a_small_buffer(void **state)
{
	char path[] = "/tmp/teredown-input-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct input input;
	int64_t sum = 0;

	(void)state;
	assert_non_null(file);
	for (unsigned i = 0; i < 400000; i++)
		fprintf(file, "%07u\n", i);
	fclose(file);
	assert_int_equal(input_open(&input, path, false), TD_OK);
	assert_true(input.is_file);
	assert_int_equal(input.size, 3200000);
	assert_true(input.end >= INPUT_HEAD);
	assert_int_equal(input_skip_to(&input, 8 * 1000), TD_OK); /* in the buffer */
	assert_memory_equal(input.buffer + input.start, "0001000\n", 8);
	assert_int_equal(input_skip_to(&input, 8 * 300000), TD_OK); /* far behind it */
	while (!input.ended || input.end > input.start) {
		sum += (int64_t)(input.end - input.start);
		input_consume(&input, input.end - input.start);
		assert_int_equal(input_fill(&input, 0), TD_OK);
	}
	assert_int_equal(sum, 8 * 100000);
	assert_int_equal(input.offset, 3200000);
	assert_int_equal(input_skip_to(&input, 3200001), TD_TRUNCATED);
	input_close(&input);
	unlink(path);
	assert_int_equal(input_open(&input, path, false), TD_IO);
	assert_non_null(strstr(input.words, "No such file"));
	input_close(&input);
}

/* --- sums --- */

/* The items of the chunk, a blank between arguments, sorted by nothing. */
static const char *text_of(const struct gather *gather, struct ingest_chunk *chunk)
{
	static char text[4096];
	size_t at = 0, length = 0;

	ingest_chunk_clear(chunk);
	gather_write(gather, chunk);
	assert_false(chunk->full);
	text[0] = '\0';
	for (size_t i = 0; i < chunk->argc; i++) {
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%.*s ",
			(int)chunk->lengths[i], chunk->text.data + at);
		at += chunk->lengths[i];
	}
	return text;
}

#define HAS(part) assert_non_null(strstr(text_of(&gather, &chunk), part))

static void entries_become_sums(void **state)
{
	struct address client = make("192.0.2.7"), server = make("65.55.158.118");
	struct ingest_chunk chunk;
	struct gather gather;

	(void)state;
	gather_init(&gather, &seed);
	ingest_chunk_init(&chunk);
	assert_true(gather_is_empty(&gather));
	for (int i = 0; i < 9; i++)
		gather_drop(&gather, &client, &server, noon_ms + i, TUNNEL_UDP3544, 2);
	gather_drop(&gather, &client, &server, noon_ms + MS_PER_HOUR, TUNNEL_UDP3544, 1);
	gather_drop(&gather, &client, &server, noon_ms, TUNNEL_PROTO41, 1);
	gather_timeline(&gather, &server, noon_ms + 5, COLUMN_PROXY, 3);
	gather_timeline(&gather, &server, noon_ms + 4, COLUMN_PROXY, 3);
	gather_name(&gather, "teredo.example.", noon_ms, 1);
	gather_history(&gather, &client, "a.example.", &server, noon_ms, true);
	gather_history(&gather, &client, "a.example.", &server, noon_ms + 2 * MS_PER_HOUR, true);
	gather_history(&gather, &client, "a.example.", &server, noon_ms, false);
	gather_event(&gather, "pc-1", noon_ms, "{\"at\":1}");
	HAS("d 498708 192.0.2.7 65.55.158.118 udp3544 18 ");
	HAS("d 498709 192.0.2.7 65.55.158.118 udp3544 1 ");
	HAS("d 498708 192.0.2.7 65.55.158.118 proto41 1 ");
	HAS("t 65.55.158.118 498708 proxy 6 1795348800005 ");
	HAS("t teredo.example. 498708 proxy 1 ");
	HAS("h 65.55.158.118 192.0.2.7 a.example. 1795348800000 1795356000000 2 certain ");
	HAS("h 65.55.158.118 192.0.2.7 a.example. 1795348800000 1795348800000 1 ambiguous ");
	HAS("e pc-1 1795348800000 {\"at\":1} ");
	gather_clear(&gather);
	assert_true(gather_is_empty(&gather));
	assert_string_equal(text_of(&gather, &chunk), "");
	ingest_chunk_deinit(&chunk);
	gather_deinit(&gather);
}

static void a_chunk_is_bounded(void **state)
{
	struct address client = make("192.0.2.7"), server = make("65.55.158.118");
	struct ingest_chunk chunk;
	struct gather gather;
	unsigned count = 0;

	(void)state;
	gather_init(&gather, &seed);
	ingest_chunk_init(&chunk);
	while (gather_has_room(&gather)) {
		client.octets[2] = (uint8_t)(count >> 8);
		client.octets[3] = (uint8_t)count++;
		gather_drop(&gather, &client, &server, noon_ms, TUNNEL_NONE, 1);
		assert_true(count < 1000);
	}
	assert_true(count > 100);
	gather_write(&gather, &chunk);
	assert_false(chunk.full);
	assert_int_equal(chunk.argc, 6 * count);
	gather_clear(&gather);
	for (count = 0; gather_has_room(&gather); count++) { /* no number beyond 15 digits */
		gather_drop(&gather, &client, &server, noon_ms, TUNNEL_NONE, GATHER_COUNT_MAX);
		assert_true(count < 999);
	}
	ingest_chunk_deinit(&chunk);
	gather_deinit(&gather);
}

/* --- answers --- */

static struct log_entry query(const char *client, const char *name, uint32_t serial, int64_t at_ms)
{
	struct log_entry entry = {.kind = LOG_DNS_QUERY,
		.at_ms = at_ms,
		.source = make(client),
		.serial = serial,
		.count = 1};

	snprintf(entry.name, sizeof(entry.name), "%s", name);
	return entry;
}

static struct log_entry reply(const char *client, const char *name, uint32_t serial, int64_t at_ms)
{
	struct log_entry entry = query(client ? client : "0.0.0.0", name, serial, at_ms);

	entry.kind = LOG_DNS_REPLY;
	entry.certain = client != NULL;
	if (!client)
		entry.source = (struct address){.family = ADDRESS_NONE};
	return entry;
}

static void certain_where_the_line_says_so(void **state)
{
	struct history *history = history_new();
	struct history_told told[GATHER_NAMES_MAX];
	struct address client = make("192.0.2.1");
	struct log_entry entry;

	(void)state;
	entry = query("192.0.2.1", "old.example.", 7, noon_ms);
	history_asked(history, &entry);
	entry = query("192.0.2.1", "asked.example.", 7, noon_ms); /* restarted: it counts anew */
	history_asked(history, &entry);
	entry = query("192.0.2.2", "other.example.", 7, noon_ms);
	history_asked(history, &entry);
	entry = reply("192.0.2.1", "end.of.chain.example.", 7, noon_ms);
	assert_int_equal(history_told(history, &entry, told), 1);
	assert_true(told[0].certain && address_equal(&told[0].client, &client));
	assert_string_equal(told[0].name, "asked.example.");
	entry.serial = 8; /* whose question is not in this log */
	assert_int_equal(history_told(history, &entry, told), 1);
	assert_false(told[0].certain);
	assert_string_equal(told[0].name, "end.of.chain.example.");
	entry.serial = 0; /* a log that names client and question in the line itself */
	assert_int_equal(history_told(history, &entry, told), 1);
	assert_true(told[0].certain);
	history_free(&history);
}

static void ambiguous_where_it_does_not(void **state)
{
	struct history *history = history_new();
	struct history_told told[GATHER_NAMES_MAX];
	struct log_entry entry;
	char client[24];

	(void)state;
	entry = query("192.0.2.9", "www.example.", 0, noon_ms - HISTORY_WINDOW_MS - 1);
	history_asked(history, &entry); /* too long ago */
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(client, sizeof(client), "192.0.2.%u", 1 + i % 2);
		entry = query(client, "www.example.", 0, noon_ms);
		history_asked(history, &entry);
	}
	entry = reply(NULL, "www.example.", 0, noon_ms);
	assert_int_equal(history_told(history, &entry, told), 2);
	assert_false(told[0].certain || told[1].certain);
	entry = reply(NULL, "never.asked.example.", 0, noon_ms);
	assert_int_equal(history_told(history, &entry, told), 1);
	assert_int_equal(told[0].client.family, ADDRESS_NONE);
	for (unsigned i = 0; i < HISTORY_QUERIES_MAX; i++) { /* the ring goes round */
		snprintf(client, sizeof(client), "192.0.%u.%u", 3 + i / 256, i % 256);
		entry = query(client, "many.example.", 0, noon_ms);
		history_asked(history, &entry);
	}
	entry = reply(NULL, "many.example.", 0, noon_ms);
	assert_int_equal(history_told(history, &entry, told), GATHER_NAMES_MAX);
	entry = reply(NULL, "www.example.", 0, noon_ms);
	assert_int_equal(history_told(history, &entry, told), 1);
	assert_int_equal(told[0].client.family, ADDRESS_NONE);
	history_free(&history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_is_what_it_begins_with),
		cmocka_unit_test(input_goes_through_a_small_buffer),
		cmocka_unit_test(entries_become_sums),
		cmocka_unit_test(a_chunk_is_bounded),
		cmocka_unit_test(certain_where_the_line_says_so),
		cmocka_unit_test(ambiguous_where_it_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
