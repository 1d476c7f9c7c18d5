/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process finds that another one left: all of it, whatever it was; of what is torn, damaged
 * or of another version as much as can be; and without room nothing worse than plain memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/memory/memory_place.h"
#include "resolver/telemetry/memory/pending_log.h"
#include "resolver/telemetry/memory/region.h"
#include "resolver/telemetry/whole_file.h"
#include "tests/unit/memory_process.h"

/* --- what there is, as text: one line an item, sorted --- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *line_of(const struct process *process, const struct pending_item *item)
{
	struct strbuf line;
	char address[ADDRESS_TEXT_MAX];
	const char *zone = zone_ids_name(&process->zones, item->key.zone);

	strbuf_init(&line);
	strbuf_printf(&line, "%u %u %s ", item->key.kind, item->key.when,
		item->key.kind == PENDING_ZONE && zone ? zone : "-");
	strbuf_append_text(&line, address_to_text(&item->key.client, address));
	strbuf_append_char(&line, ' ');
	strbuf_append_text(&line, address_to_text(&item->key.address, address));
	strbuf_append_char(&line, ' ');
	strbuf_append(&line, item->key.name, item->key.name_length);
	for (size_t i = 0; i < pending_counts_of(item->key.kind); i++)
		strbuf_printf(&line, " %llu", (unsigned long long)item->counts[i]);
	strbuf_printf(&line, " %lld %lld", (long long)item->first_us, (long long)item->last_us);
	if (item->owner)
		strbuf_append(&line, item->owner, name_wire_length(item->owner, NAME_WIRE_MAX));
	return line.data;
}

static size_t collect(const struct process *process, char **lines)
{
	const struct pending_item *const lists[] = {
		process->pending.changed, process->pending.unchanged};
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		for (const struct pending_item *item = lists[i]; item; item = item->list_next)
			lines[count++] = line_of(process, item);
	qsort(lines, count, sizeof(*lines), by_text);
	return count;
}

static void assert_same_items(const struct process *one, const struct process *other)
{
	static char *first[20000], *second[20000];
	size_t count = collect(one, first);

	assert_int_equal(collect(other, second), count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(first[i], second[i]);
		free(first[i]);
		free(second[i]);
	}
}

static void recovered_is_what_was_there(void **state)
{
	struct process process, heir;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 300; i++)
			add(tally_of(&process, 0), round + i % 9, i % 60, NOON + round * US_PER_S);
		merge(&process, 0);
		process.pending.details_dropped += round;
	}
	memory_frozen(process.memory, 1);
	memory_rewrite(process.memory);
	copy_folder(*state, copy);
	start(&heir, copy, 2 * TALLIES);
	assert_same_items(&process, &heir);
	assert_int_equal(heir.pending.details_dropped, process.pending.details_dropped);
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

/* Told by a CNAME's owner first, then by the question itself, which needs no words in the log. */
static void the_newest_owner_is_recovered(void **state)
{
	static const uint8_t qname[] = "\3one\7example", owner[] = "\3two\7example";
	static const uint64_t counts[CLIENT_COUNTER_COUNT] = {1};
	struct pending_key key = {.kind = PENDING_PAIR, .name_length = sizeof(qname)};
	struct process process, heir;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	memcpy(key.name, qname, sizeof(qname));
	pending_put(&process.pending, &key, counts, NOON, NOON, owner);
	memory_commit(process.memory);
	pending_put(&process.pending, &key, counts, NOON, NOON, qname);
	memory_commit(process.memory);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	const struct pending_item *pair = heir.pending.details.head;
	assert_non_null(pair);
	assert_int_equal(pair->counts[PENDING_COUNT_QUERIES], 2);
	assert_true(!pair->owner || memcmp(pair->owner, qname, sizeof(qname)) == 0);
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

static void zones_keep_their_names(void **state)
{
	struct process process, heir;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	add(tally_of(&process, 0), 1, 5, NOON);
	merge(&process, 0);
	add(tally_of(&process, 1), 2, 10, NOON);
	copy_folder(*state, copy);
	pending_merge(&process.pending, tally_of(&process, 1));
	/* In the heir "teredo" comes first, so its number is another one. */
	start(&heir, copy, TALLIES);
	assert_string_equal(zone_ids_name(&heir.zones, 0), "teredo");
	assert_same_items(&process, &heir);
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

static void a_clean_end_leaves_nothing(void **state)
{
	struct process process;
	char path[600];

	start(&process, *state, TALLIES);
	path_of(*state, "", path);
	assert_int_equal(access(path, F_OK), 0);
	end(&process);
	assert_int_equal(access(path, F_OK), -1);
}

static void another_number_of_workers(void **state)
{
	static const size_t counts[] = {1, 16, TALLIES};

	for (size_t i = 0; i < 3; i++) {
		struct process process, heir;
		char *copy = make_folder();
		start(&process, *state, TALLIES);
		for (size_t t = 0; t < TALLIES; t++)
			add(tally_of(&process, t), (unsigned)t, 1, NOON);
		copy_folder(*state, copy);
		end(&process);
		start(&heir, copy, counts[i]);
		assert_int_equal(heir.pending.queries, TALLIES);
		end(&heir);
		remove_folder(copy);
		free(copy);
	}
}

/* --- damage --- */

static void write_at(const char *path, off_t offset, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, data, size, offset), (ssize_t)size);
	close(fd);
}

static void tallies_of_another_version_are_set_aside(void **state)
{
	struct process process, heir;
	char *copy = make_folder(), path[600];
	const uint32_t version = 99;

	start(&process, *state, TALLIES);
	add(tally_of(&process, 0), 1, 1, NOON);
	merge(&process, 0);
	add(tally_of(&process, 1), 1, 1, NOON);
	copy_folder(*state, copy);
	end(&process);
	path_of(copy, MEMORY_TALLIES_NAME, path);
	write_at(path, 4, &version, sizeof(version));

	int dir_fd = open(copy, O_RDONLY | O_DIRECTORY);
	struct region region;
	uint64_t lost;
	const char *name = path + strlen(copy) + 1;
	assert_int_equal(region_read(&region, dir_fd, name, &lost), TD_UNSUPPORTED);
	assert_int_equal(lost, 1);
	close(dir_fd);
	start(&heir, copy, TALLIES);
	assert_true(is_on(&heir));
	assert_int_equal(heir.pending.queries, 1);
	path_of(copy, MEMORY_TALLIES_NAME ".aside", path);
	assert_int_equal(access(path, F_OK), 0);
	end(&heir);
	remove_folder(copy);
	free(copy);
}

/* Killed between the journal's word and the log's: both have the batch, and it is sent once. */
static void held_and_journaled_is_one_batch(void **state)
{
	struct process process, heir;
	char *copy = make_folder();
	struct journal_key key = {.number = 7, .queries = 5};
	struct journal_status status;

	start(&process, *state, TALLIES);
	snprintf(key.boot, sizeof(key.boot), "%s", process.boot);
	memory_hold(process.memory, &key, "octets", 6);
	assert_int_equal(journal_append(process.journal, &key, "octets", 6, 0), TD_OK);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	journal_status(heir.journal, &status);
	assert_int_equal(status.waiting_batches, 1);
	assert_null(memory_next_held(heir.memory));
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

/* As whoever finds that nobody can use it does. */
static void a_held_one_is_released_under_its_own_name(void **state)
{
	struct process process, heir;
	char *copy = make_folder();
	struct journal_key key = {.boot = "ffffffffffffffff", .number = 7, .queries = 5};

	start(&process, *state, TALLIES);
	memory_hold(process.memory, &key, "octets", 6);
	const struct memory_held *held = memory_next_held(process.memory);
	assert_non_null(held);
	memory_release(process.memory, held->key.boot, held->key.number);
	assert_null(memory_next_held(process.memory));
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	assert_null(memory_next_held(heir.memory));
	assert_false(journal_has(heir.journal, key.boot, key.number));
	end(&heir);
	end(&process);
	remove_folder(copy);
	free(copy);
}

/* Two commits; the second is cut at each of its octets. Its tallies were not cleared yet. */
static void a_torn_log_is_recovered(void **state)
{
	struct process process;
	char path[600];
	struct stat before, after;

	start(&process, *state, TALLIES);
	path_of(*state, MEMORY_LOG_NAME, path);
	for (unsigned i = 0; i < 3; i++) {
		add(tally_of(&process, 0), i, i, NOON);
		add(tally_of(&process, 0), i, i + 1, NOON);
		pending_merge(&process.pending, tally_of(&process, 0));
		memory_merged(process.memory, tally_of(&process, 0));
		assert_int_equal(stat(path, &before), 0);
		memory_commit(process.memory);
		assert_int_equal(stat(path, &after), 0);
		if (i < 2)
			tally_clear(tally_of(&process, 0));
	}
	for (off_t size = before.st_size; size <= after.st_size; size += 3) {
		struct process heir;
		char *copy = make_folder(), torn[600];
		copy_folder(*state, copy);
		path_of(copy, MEMORY_LOG_NAME, torn);
		assert_int_equal(truncate(torn, size), 0);
		start(&heir, copy, TALLIES);
		assert_int_equal(heir.pending.queries, 6);
		end(&heir);
		remove_folder(copy);
		free(copy);
	}
	end(&process);
}

static void any_octets_are_survived(void **state)
{
	struct process process;
	char path[600];
	struct stat status;

	start(&process, *state, 1);
	for (unsigned i = 0; i < 40; i++)
		add(tally_of(&process, 0), i, i, NOON);
	merge(&process, 0);
	path_of(*state, MEMORY_LOG_NAME, path);
	assert_int_equal(stat(path, &status), 0);
	uint8_t *octets;
	size_t size;
	int dir_fd = open(*state, O_RDONLY | O_DIRECTORY);
	assert_int_equal(
		whole_file_read(dir_fd, path + strlen(*state) + 1, SIZE_MAX, &octets, &size),
		TD_OK);
	close(dir_fd);
	srand(11);
	for (unsigned round = 0; round < 4000; round++) {
		struct pending_log log;
		struct zone_ids zones;
		size_t from = (size_t)rand() % size;
		uint8_t *part = malloc(size - from);
		memcpy(part, octets + from, size - from);
		for (unsigned i = 0; i < 4; i++)
			part[(size_t)rand() % (size - from)] = (uint8_t)rand();
		struct log_cursor cursor = {.at = part, .left = size - from};
		pending_log_init(&log);
		zone_ids_init(&zones);
		while (cursor.left > 0 && !cursor.failed) {
			if (rand() % 2)
				pending_log_read_item(&log, &cursor, &zones);
			else
				pending_log_read_gone(&log, &cursor);
		}
		struct pending pending;
		pending_init(&pending, &test_limits, &test_seed);
		pending_log_restore(&log, &pending, rand() % 2 ? US_PER_HOUR : 0);
		pending_deinit(&pending);
		pending_log_deinit(&log);
		zone_ids_deinit(&zones);
		free(part);
	}
	free(octets);
	end(&process);
}

static void limit_files(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void without_room_at_the_start_it_is_plain_memory(void **state)
{
	struct process process;
	char path[600];

	limit_files(200000);
	start(&process, *state, TALLIES);
	limit_files(RLIM_INFINITY);
	assert_false(is_on(&process));
	add(tally_of(&process, 0), 1, 1, NOON);
	merge(&process, 0);
	path_of(*state, "", path);
	assert_int_equal(access(path, F_OK), -1);
	end(&process);
}

/* The log cannot grow: what is pending then is not protected, what comes into tallies is, and
 * nothing is there twice. With room again all of it is. */
static void a_log_that_cannot_grow(void **state)
{
	struct process process, heir;
	struct memory_status status;
	char *copy = make_folder(), *again = make_folder(), path[600];
	struct stat size;

	start(&process, *state, TALLIES);
	path_of(*state, MEMORY_LOG_NAME, path);
	assert_int_equal(stat(path, &size), 0);
	limit_files((rlim_t)size.st_size + 100);
	for (unsigned i = 0; i < 60; i++)
		add(tally_of(&process, 0), i, i, NOON);
	merge(&process, 0);
	limit_files(RLIM_INFINITY);
	memory_status(process.memory, &status);
	assert_false(status.on);
	assert_int_equal(status.failures, 1);
	add(tally_of(&process, 0), 1, 1, NOON);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	assert_int_equal(heir.pending.queries, 1);
	end(&heir);

	memory_settle(process.memory, &process.now);
	assert_true(is_on(&process));
	copy_folder(*state, again);
	start(&heir, again, TALLIES);
	assert_int_equal(heir.pending.queries, 61);
	end(&heir);
	end(&process);
	remove_folder(copy);
	remove_folder(again);
	free(copy);
	free(again);
}

static void the_log_is_bounded_by_what_waits(void **state)
{
	struct process process, heir;
	struct memory_status status;
	uint64_t most = 0, answered = 0;
	char *copy = make_folder();

	start(&process, *state, TALLIES);
	for (unsigned round = 0; round < 600; round++) {
		for (unsigned i = 0; i < 80; i++)
			add(tally_of(&process, 0), i % 40, i, NOON + round * US_PER_S);
		answered += 80;
		merge(&process, 0);
		memory_settle(process.memory, &process.now);
		memory_status(process.memory, &status);
		most = status.bytes > most ? status.bytes : most;
	}
	assert_in_range(most, 100000, 400000);
	copy_folder(*state, copy);
	start(&heir, copy, TALLIES);
	assert_int_equal(heir.pending.queries, answered);
	assert_same_items(&process, &heir);
	end(&heir);
	while (batch_cut(&process.batcher, &process.pending, &process.now, false)) {
		memory_frozen(process.memory, process.batcher.last_number);
		batch_set_aside(&process.batcher);
	}
	memory_settle(process.memory, &process.now);
	memory_status(process.memory, &status);
	assert_in_range(status.bytes, 1, 300000);
	end(&process);
	remove_folder(copy);
	free(copy);
}

static void the_clock_was_set_while_nobody_ran(void **state)
{
	struct process process, heir;
	char *copy = make_folder();

	start_at(&process, *state, TALLIES, 50 * US_PER_S);
	add(tally_of(&process, 0), 1, 5, 50 * US_PER_S);
	merge(&process, 0);
	add(tally_of(&process, 1), 1, 5, 50 * US_PER_S);
	copy_folder(*state, copy);
	end(&process);
	start(&heir, copy, TALLIES);
	assert_int_equal(heir.pending.queries, 2);
	assert_int_equal(heir.pending.clients.count, 1);
	assert_int_equal(heir.pending.clients.head->key.when, NOON_HOUR);
	end(&heir);
	remove_folder(copy);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			recovered_is_what_was_there, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			the_newest_owner_is_recovered, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			zones_keep_their_names, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			a_clean_end_leaves_nothing, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			another_number_of_workers, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			tallies_of_another_version_are_set_aside, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			held_and_journaled_is_one_batch, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(a_held_one_is_released_under_its_own_name,
			folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			a_torn_log_is_recovered, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			any_octets_are_survived, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			without_room_at_the_start_it_is_plain_memory, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			a_log_that_cannot_grow, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			the_log_is_bounded_by_what_waits, folder_setup, folder_teardown),
		cmocka_unit_test_setup_teardown(
			the_clock_was_set_while_nobody_ran, folder_setup, folder_teardown),
	};

	signal(SIGXFSZ, SIG_IGN);
	log_setup("test_memory", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
