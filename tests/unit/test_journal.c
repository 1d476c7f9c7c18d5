/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal on a folder of its own: what comes back after a torn tail at every octet and after
 * every flipped octet, a disk that is full, bounds, and which batches are due for which store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/telemetry/journal.h"

#define BOOT_A "aaaaaaaaaaaaaaaa"
#define BOOT_B "bbbbbbbbbbbbbbbb"
#define STORE_1 "0000000000000001"
#define STORE_2 "0000000000000002"

static char dir[64];

static struct journal_settings settings;

static int make_folder(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_journal.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	settings = journal_settings_default;
	settings.dir = dir;
	settings.fsync = JOURNAL_FSYNC_NEVER;
	return 0;
}

static int remove_folder(void **state)
{
	char command[128];
	(void)state;

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct journal *open_it(void)
{
	struct journal *journal = journal_open(&settings);

	assert_non_null(journal);
	return journal;
}

/* The octets of a batch follow from its number. */
static size_t octets_of(uint64_t number, char out[4096])
{
	size_t length = 1 + number * 37 % 300;

	for (size_t i = 0; i < length; i++)
		out[i] = (char)(number * 31 + i * 7);
	return length;
}

static enum td_error append(struct journal *journal, const char *boot, uint64_t number)
{
	struct journal_key key = {.number = number, .queries = number * 10};
	char octets[4096];

	snprintf(key.boot, sizeof(key.boot), "%s", boot);
	return journal_append(journal, &key, octets, octets_of(number, octets), 0);
}

/* Batches 1 to last, of which the first ones are acknowledged, each before the next comes. */
static void append_all(
	struct journal *journal, const char *boot, uint64_t last, uint64_t acknowledged)
{
	for (uint64_t i = 1; i <= last; i++) {
		assert_int_equal(append(journal, boot, i), TD_OK);
		if (i <= acknowledged)
			journal_acknowledge(journal, boot, i, STORE_1);
	}
}

static struct journal_status status_of(const struct journal *journal)
{
	struct journal_status status;

	journal_status(journal, &status);
	return status;
}

/* Takes all that is due as a store of this marker would; the numbers are in out, in their order. */
static size_t drain(struct journal *journal, const char *store, uint64_t *out, size_t most)
{
	struct journal_key key;
	struct strbuf octets;
	size_t count = 0;
	char expected[4096];

	strbuf_init(&octets);
	while (journal_next_due(journal, &key, &octets)) {
		assert_true(count < most);
		assert_int_equal(octets.length, octets_of(key.number, expected));
		assert_memory_equal(octets.data, expected, octets.length);
		assert_int_equal(key.queries, key.number * 10);
		out[count++] = key.number;
		journal_acknowledge(journal, key.boot, key.number, store);
	}
	strbuf_deinit(&octets);
	assert_int_equal(status_of(journal).due_batches, 0);
	return count;
}

static size_t compare_and_drain(struct journal *journal, const char *store, const char *boot,
	uint64_t applied, uint64_t *out, size_t most)
{
	struct journal_applied has = {.number = applied};

	snprintf(has.boot, sizeof(has.boot), "%s", boot);
	journal_compare(journal, store, &has, 1);
	return drain(journal, store, out, most);
}

/* --- files of the folder --- */

static size_t list_files(char names[][32], size_t most)
{
	DIR *folder = opendir(dir);
	size_t count = 0;

	assert_non_null(folder);
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		if (strlen(entry->d_name) == 20 && count < most)
			snprintf(names[count++], 32, "%.20s", entry->d_name);
	}
	closedir(folder);
	return count;
}

static size_t read_only_file(uint8_t *octets, size_t most, char path[128])
{
	char names[4][32];

	assert_int_equal(list_files(names, 4), 1);
	snprintf(path, 128, "%s/%s", dir, names[0]);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	size_t size = fread(octets, 1, most, file);
	fclose(file);
	return size;
}

static void write_file(const char *path, const uint8_t *octets, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(octets, 1, size, file), size);
	fclose(file);
}

/* --- tests --- */

static void comes_back_after_a_crash(void **state)
{
	uint64_t due[8];
	struct stat status;
	char path[128];
	uint8_t octets[8192];
	(void)state;

	struct journal *journal = open_it();
	char instance[JOURNAL_ID_SIZE];
	snprintf(instance, sizeof(instance), "%s", journal_instance(journal));
	assert_int_equal(strlen(instance), 16);
	append_all(journal, BOOT_A, 5, 0);
	assert_int_equal(append(journal, BOOT_A, 5), TD_OK); /* once only */
	journal_acknowledge(journal, BOOT_A, 1, STORE_1);
	journal_acknowledge(journal, BOOT_B, 1, STORE_1); /* unknown */
	assert_int_equal(status_of(journal).waiting_batches, 4);
	assert_int_equal(status_of(journal).waiting_queries, 140);
	assert_int_equal(status_of(journal).due_batches, 0);
	journal_close(&journal);

	read_only_file(octets, sizeof(octets), path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);

	journal = open_it();
	assert_string_equal(journal_instance(journal), instance);
	assert_int_equal(status_of(journal).waiting_batches, 4);
	assert_int_equal(status_of(journal).kept_batches, 1);
	/* Redis has 1 to 3: the replies to 2 and 3 were lost. */
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 3, due, 8), 2);
	assert_int_equal(due[0], 4);
	assert_int_equal(due[1], 5);
	assert_int_equal(status_of(journal).waiting_batches, 0);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 5, due, 8), 0);
	journal_close(&journal);
}

static void has_one_owner(void **state)
{
	(void)state;
	struct journal *journal = open_it();
	assert_null(journal_open(&settings));
	journal_close(&journal);
	journal = open_it();
	journal_close(&journal);
}

static void what_a_store_lost_is_sent_again(void **state)
{
	uint64_t due[16];
	(void)state;

	struct journal *journal = open_it();
	append_all(journal, BOOT_A, 9, 8);
	assert_int_equal(journal_compare(journal, STORE_1,
				 &(struct journal_applied){.boot = BOOT_A, .number = 5}, 1),
		3);
	assert_int_equal(drain(journal, STORE_1, due, 16), 4);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(due[i], 6 + i);

	/* Another connection cut in between: what is due follows from what the store holds then. */
	assert_int_equal(journal_compare(journal, STORE_1, NULL, 0), 9);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 7, due, 16), 2);
	assert_int_equal(due[0], 8);
	journal_close(&journal);

	/* An old copy, found at the start. */
	journal = open_it();
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 1, due, 16), 8);
	journal_close(&journal);
}

static void what_was_deleted_stays_deleted(void **state)
{
	uint64_t due[16];
	(void)state;

	for (int at_start = 0; at_start < 2; at_start++) {
		struct journal *journal = open_it();
		const char *boot = at_start ? BOOT_A : BOOT_B;
		append_all(journal, boot, 4, 3);
		if (at_start) {
			journal_close(&journal);
			journal = open_it();
		}
		/* An empty Redis has no marker. What it never had is not history. */
		assert_int_equal(journal_compare(journal, "", NULL, 0), 0);
		assert_int_equal(drain(journal, STORE_2, due, 16), 1);
		assert_int_equal(due[0], 4);
		assert_int_equal(compare_and_drain(journal, STORE_1, boot, 0, due, 16), 0);
		journal_close(&journal);
	}
}

static void a_new_marker_forgets_without_a_connection(void **state)
{
	uint64_t due[16];
	(void)state;

	struct journal *journal = open_it();
	for (uint64_t i = 1; i <= 4; i++) {
		assert_int_equal(append(journal, BOOT_A, i), TD_OK);
		journal_acknowledge(journal, BOOT_A, i, i < 4 ? STORE_1 : STORE_2);
	}
	assert_int_equal(status_of(journal).kept_batches, 1);
	assert_int_equal(compare_and_drain(journal, STORE_2, BOOT_A, 0, due, 16), 1);
	assert_int_equal(due[0], 4);
	journal_close(&journal);
}

/* A store that lost more than the journal keeps; one that cannot tell its marker. */
static void what_nobody_has_is_counted(void **state)
{
	uint64_t due[64];
	(void)state;

	settings.segment_bytes = 500;
	settings.kept_bytes = 4000;
	struct journal *journal = open_it();
	for (uint64_t i = 1; i <= 60; i++) {
		assert_int_equal(append(journal, BOOT_A, i), TD_OK);
		journal_acknowledge(journal, BOOT_A, i, i % 7 ? STORE_1 : "");
		journal_acknowledge(journal, BOOT_A, i, STORE_1);
	}
	uint64_t kept = status_of(journal).kept_batches;
	assert_true(kept > 5 && kept < 40);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 10, due, 64), kept);
	assert_int_equal(due[0], 60 - kept + 1);
	assert_int_equal(status_of(journal).missing_batches, 60 - kept - 10);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 58, due, 64), 2);
	assert_int_equal(status_of(journal).missing_batches, 0);
	journal_close(&journal);
}

static void a_dropped_one_does_not_come_back(void **state)
{
	uint64_t due[16];
	(void)state;

	struct journal *journal = open_it();
	append_all(journal, BOOT_A, 2, 0);
	journal_drop(journal, BOOT_A, 1);
	journal_close(&journal);
	journal = open_it();
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 0, due, 16), 1);
	assert_int_equal(due[0], 2);
	journal_close(&journal);
}

/* Files that hold nothing else go; one that waits stays, and is all that is sent again. */
static void kept_ones_are_forgotten_when_asked(void **state)
{
	char names[16][32];
	uint64_t sent[8];

	(void)state;
	struct journal *journal = open_it();
	append_all(journal, BOOT_A, 3, 3);
	journal_forget_kept(journal);
	assert_int_equal(list_files(names, 16), 0);
	assert_int_equal(status_of(journal).kept_batches, 0);
	assert_int_equal(status_of(journal).bytes, 0);
	for (uint64_t number = 4; number <= 5; number++)
		assert_int_equal(append(journal, BOOT_A, number), TD_OK);
	journal_acknowledge(journal, BOOT_A, 4, STORE_1);
	journal_forget_kept(journal);
	assert_int_equal(list_files(names, 16), 1);
	assert_int_equal(status_of(journal).waiting_batches, 1);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 0, sent, 8), 1);
	assert_int_equal(sent[0], 5);
	journal_close(&journal);
}

#define RECORDS 6

/* Six batches, the second acknowledged behind them, in one file. Where each record ends is in
 * ends. */
static size_t write_six(uint8_t *octets, size_t most, char path[128], size_t ends[RECORDS + 1])
{
	struct journal *journal = open_it();

	for (uint64_t i = 1; i <= RECORDS; i++) {
		assert_int_equal(append(journal, BOOT_A, i), TD_OK);
		ends[i - 1] = status_of(journal).bytes;
	}
	journal_acknowledge(journal, BOOT_A, 2, STORE_1);
	ends[RECORDS] = status_of(journal).bytes;
	journal_close(&journal);
	size_t size = read_only_file(octets, most, path);
	assert_int_equal(size, ends[RECORDS]);
	return size;
}

static void torn_at_every_octet(void **state)
{
	static uint8_t octets[8192];
	size_t ends[RECORDS + 1];
	uint64_t due[RECORDS];
	char path[128];
	(void)state;

	size_t size = write_six(octets, sizeof(octets), path, ends);
	for (size_t cut = 0; cut <= size; cut++) {
		size_t whole = 0;
		while (whole < RECORDS && ends[whole] <= cut)
			whole++;
		write_file(path, octets, cut);
		struct journal *journal = open_it();
		size_t done = cut == size;
		assert_int_equal(status_of(journal).kept_batches, done);
		assert_int_equal(status_of(journal).waiting_batches, whole - done);
		size_t at = whole ? ends[whole - 1] : 0;
		assert_int_equal(status_of(journal).damaged, done ? 0 : cut - at);
		journal_compare(journal, "", NULL, 0);
		struct journal_key key;
		struct strbuf out;
		strbuf_init(&out);
		for (size_t i = 0; journal_next_due(journal, &key, &out); i++) {
			due[i] = key.number;
			assert_int_equal(due[i], i + 1 + (done && i >= 1));
			journal_drop(journal, key.boot, key.number);
		}
		strbuf_deinit(&out);
		journal_close(&journal);
		char names[8][32], made[128];
		size_t count = list_files(names, 8);
		for (size_t i = 0; i < count; i++) {
			snprintf(made, sizeof(made), "%s/%s", dir, names[i]);
			if (strcmp(made, path) != 0)
				unlink(made);
		}
	}
}

/* Whatever one octet is turned into, no other batch suffers and none comes back changed. */
static void flipped_at_every_octet(void **state)
{
	static uint8_t octets[8192];
	size_t ends[RECORDS + 1];
	char path[128];
	(void)state;

	size_t size = write_six(octets, sizeof(octets), path, ends);
	for (size_t at = 0; at < size; at++) {
		size_t hit = 0;
		while (ends[hit] <= at)
			hit++;
		for (unsigned flip = 1; flip < 256; flip <<= 3) {
			octets[at] ^= (uint8_t)flip;
			write_file(path, octets, size);
			octets[at] ^= (uint8_t)flip;
			struct journal *journal = open_it();
			struct journal_status status = status_of(journal);
			assert_int_equal(status.waiting_batches + status.kept_batches,
				RECORDS - (hit < RECORDS));
			assert_int_equal(status.kept_batches, hit != RECORDS && hit != 1);
			assert_int_equal(status.damaged, ends[hit] - (hit ? ends[hit - 1] : 0));
			journal_close(&journal);
		}
	}
}

/* Damage behind the reading at the start: the batch is given up, the rest goes on. */
static void unreadable_later(void **state)
{
	static uint8_t octets[8192];
	size_t ends[RECORDS + 1];
	uint64_t due[RECORDS];
	char path[128];
	(void)state;

	size_t size = write_six(octets, sizeof(octets), path, ends);
	struct journal *journal = open_it();
	octets[ends[2] + 30] ^= 1;
	write_file(path, octets, size);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 2, due, RECORDS), 3);
	assert_int_equal(due[0], 3);
	assert_int_equal(due[1], 5);
	assert_int_equal(status_of(journal).failures, 1);
	journal_close(&journal);
}

static size_t bytes_on_disk(void)
{
	char names[64][32], path[128];
	size_t count = list_files(names, 64), bytes = 0;
	struct stat status;

	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(stat(path, &status), 0);
		bytes += (size_t)status.st_size;
	}
	return bytes;
}

static void is_bounded(void **state)
{
	uint64_t due[512];
	(void)state;

	settings.segment_bytes = 2000;
	settings.kept_bytes = 10000;
	settings.kept_batches = 1000;
	settings.bytes_max = 20000;
	struct journal *journal = open_it();
	for (uint64_t i = 1; i <= 500; i++) {
		assert_int_equal(append(journal, BOOT_A, i), TD_OK);
		journal_acknowledge(journal, BOOT_A, i, STORE_1);
		assert_true(bytes_on_disk() <= 10000 + 2 * 2000);
		assert_int_equal(bytes_on_disk(), status_of(journal).bytes);
	}
	assert_true(status_of(journal).bytes > 8000);

	/* What waits is kept although it is older, up to the bound; then nothing more is taken. */
	uint64_t number = 501;
	while (append(journal, BOOT_A, number) == TD_OK)
		number++;
	assert_int_equal(append(journal, BOOT_A, number), TD_FULL);
	assert_int_equal(status_of(journal).waiting_batches, number - 501);
	assert_true(bytes_on_disk() <= 20000 && bytes_on_disk() > 19000);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 500, due, 512), number - 501);
	assert_int_equal(due[0], 501);
	assert_int_equal(append(journal, BOOT_A, number), TD_OK);
	assert_true(bytes_on_disk() <= 10000 + 2 * 2000);
	journal_close(&journal);
}

static void is_bounded_in_batches(void **state)
{
	(void)state;
	settings.kept_batches = 80;
	struct journal *journal = open_it();
	for (uint64_t i = 1; i <= 500; i++) {
		assert_int_equal(append(journal, BOOT_A, i), TD_OK);
		journal_acknowledge(journal, BOOT_A, i, STORE_1);
		assert_true(status_of(journal).kept_batches <= 80 + 11);
	}
	assert_true(status_of(journal).kept_batches >= 60);
	journal_close(&journal);
}

/* The limit of a file's size stands for a full disk: writes are cut short, then refused. */
static void a_full_disk(void **state)
{
	struct rlimit before, limit;
	uint64_t due[512], taken = 0;
	(void)state;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	struct journal *journal = open_it();
	limit = before;
	limit.rlim_cur = 3000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	enum td_error error = TD_OK;
	while (taken < 100 && error == TD_OK) {
		error = append(journal, BOOT_A, taken + 1);
		taken += error == TD_OK;
	}
	assert_int_equal(error, TD_IO);
	assert_true(taken > 5);
	assert_int_equal(append(journal, BOOT_A, taken + 1), TD_IO);
	assert_int_equal(bytes_on_disk(), status_of(journal).bytes);
	journal_acknowledge(journal, BOOT_A, 1, STORE_1); /* cannot be written either */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(append(journal, BOOT_A, taken + 2), TD_OK);
	assert_true(status_of(journal).failures >= 2);
	journal_close(&journal);

	journal = open_it();
	assert_int_equal(status_of(journal).damaged, 0);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 1, due, 512), taken);
	assert_int_equal(due[taken - 1], taken + 2);
	journal_close(&journal);
}

/* As a full disk does. */
static void refuse_writing(bool refuse)
{
	static struct rlimit before;
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	if (refuse)
		assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	if (refuse)
		limit.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Refused, sent all the same, acknowledged. */
static void keep_refused(struct journal *journal, uint64_t number)
{
	struct journal_key key = {.boot = BOOT_A, .number = number, .queries = number * 10};
	char octets[4096];

	assert_int_equal(append(journal, BOOT_A, number), TD_IO);
	assert_false(journal_acknowledge(journal, BOOT_A, number, STORE_1));
	journal_keep(journal, &key, octets, octets_of(number, octets), STORE_1);
	assert_true(journal_has(journal, BOOT_A, number));
}

/* Five on the disk, five that it refused. */
static struct journal *refuse_five(void)
{
	struct journal *journal = open_it();

	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(append(journal, BOOT_A, i), TD_OK);
		assert_true(journal_acknowledge(journal, BOOT_A, i, STORE_1));
	}
	refuse_writing(true);
	for (uint64_t i = 6; i <= 10; i++)
		keep_refused(journal, i);
	refuse_writing(false);
	return journal;
}

static void refused_and_acknowledged_ones_are_kept(void **state)
{
	uint64_t due[16];
	(void)state;

	struct journal *journal = refuse_five();
	size_t bytes = status_of(journal).bytes;
	assert_int_equal(bytes_on_disk(), bytes);
	assert_int_equal(status_of(journal).kept_batches, 10);
	for (unsigned times = 0; times < 2; times++) {
		assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 3, due, 16), 7);
		for (uint64_t i = 0; i < 7; i++)
			assert_int_equal(due[i], 4 + i);
		assert_int_equal(status_of(journal).missing_batches, 0);
	}

	/* They go to the disk before the next one, due or not, and are acknowledged there. */
	assert_int_equal(journal_compare(journal, STORE_1,
				 &(struct journal_applied){.boot = BOOT_A, .number = 8}, 1),
		2);
	bytes = status_of(journal).bytes;
	assert_int_equal(append(journal, BOOT_A, 11), TD_OK);
	assert_true(status_of(journal).bytes > bytes + 6 * 40);
	assert_int_equal(bytes_on_disk(), status_of(journal).bytes);
	assert_int_equal(drain(journal, STORE_1, due, 16), 2);
	assert_int_equal(due[0], 9);
	assert_int_equal(status_of(journal).dropped, 0);
	journal_close(&journal);

	journal = open_it();
	assert_int_equal(status_of(journal).kept_batches, 10);
	assert_int_equal(status_of(journal).waiting_batches, 1);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 3, due, 16), 8);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(due[i], 4 + i);
	journal_close(&journal);
}

static void refused_ones_are_written_at_the_end(void **state)
{
	(void)state;
	struct journal *journal = refuse_five();
	journal_close(&journal);
	journal = open_it();
	assert_int_equal(status_of(journal).kept_batches, 10);
	journal_close(&journal);
}

static void refused_ones_are_bounded(void **state)
{
	uint64_t due[16];
	(void)state;

	settings.unwritten_batches = 3;
	struct journal *journal = refuse_five();
	assert_int_equal(status_of(journal).dropped, 2);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 5, due, 16), 3);
	assert_int_equal(due[0], 8);
	assert_int_equal(status_of(journal).missing_batches, 2);
	journal_close(&journal);
	remove_folder(state);
	make_folder(state);
	settings.unwritten_bytes = 500;
	journal = refuse_five();
	uint64_t dropped = status_of(journal).dropped;
	assert_true(dropped > 0 && dropped < 5);
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 5, due, 16), 5 - dropped);
	journal_close(&journal);
}

/* Deleted on purpose, or a client forgotten: neither sent again nor written later. */
static void refused_ones_are_forgotten_like_others(void **state)
{
	uint64_t due[16];
	(void)state;

	for (unsigned how = 0; how < 2; how++) {
		struct journal *journal = refuse_five();
		if (how == 0)
			journal_forget_kept(journal);
		else
			journal_compare(journal, "", NULL, 0);
		assert_int_equal(status_of(journal).kept_batches, 0);
		assert_int_equal(append(journal, BOOT_A, 11), TD_OK);
		journal_close(&journal);
		journal = open_it();
		assert_false(journal_has(journal, BOOT_A, 10));
		assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 5, due, 16), 1);
		assert_int_equal(due[0], 11);
		journal_close(&journal);
		remove_folder(state);
		make_folder(state);
	}
}

static void only_the_last_boots_are_compared(void **state)
{
	char boot[JOURNAL_ID_SIZE];
	uint64_t due[64];
	(void)state;

	struct journal *journal = open_it();
	for (unsigned i = 0; i < 40; i++) {
		snprintf(boot, sizeof(boot), "%016x", i);
		assert_int_equal(append(journal, boot, i + 1), TD_OK);
		if (i != 3)
			journal_acknowledge(journal, boot, i + 1, STORE_1);
	}
	journal_close(&journal);
	journal = open_it();
	assert_int_equal(journal_compare(journal, STORE_1, NULL, 0), 16);
	assert_int_equal(drain(journal, STORE_1, due, 64), 17);
	assert_int_equal(due[0], 4); /* it waits, whatever its age */
	assert_int_equal(due[1], 25);
	journal_close(&journal);
}

static void every_fsync_policy_writes(void **state)
{
	uint64_t due[8];
	(void)state;

	settings.fsync = JOURNAL_FSYNC_BATCH;
	struct journal *journal = open_it();
	assert_int_equal(append(journal, BOOT_A, 1), TD_OK);
	journal_close(&journal);
	settings.fsync = JOURNAL_FSYNC_SECOND;
	journal = open_it();
	assert_int_equal(append(journal, BOOT_A, 2), TD_OK);
	journal_tick(journal, 5 * US_PER_S);
	assert_int_equal(append(journal, BOOT_A, 3), TD_OK);
	journal_close(&journal);
	journal = open_it();
	assert_int_equal(compare_and_drain(journal, STORE_1, BOOT_A, 0, due, 8), 3);
	assert_int_equal(status_of(journal).failures, 0);
	journal_close(&journal);
}

/* Nothing is lost because a process has all its descriptors in use. */
static void out_of_descriptors_it_waits(void **state)
{
	struct journal *journal = open_it();
	struct rlimit limit, none;
	struct journal_key key;
	struct strbuf octets;
	(void)state;

	strbuf_init(&octets);
	assert_int_equal(append(journal, BOOT_A, 1), TD_OK);
	journal_compare(journal, STORE_1, NULL, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_false(journal_next_due(journal, &key, &octets));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(status_of(journal).due_batches, 1);
	assert_true(journal_next_due(journal, &key, &octets));
	strbuf_deinit(&octets);
	journal_close(&journal);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		T(out_of_descriptors_it_waits),
		T(comes_back_after_a_crash),
		T(has_one_owner),
		T(kept_ones_are_forgotten_when_asked),
		T(what_a_store_lost_is_sent_again),
		T(what_was_deleted_stays_deleted),
		T(a_new_marker_forgets_without_a_connection),
		T(what_nobody_has_is_counted),
		T(a_dropped_one_does_not_come_back),
		T(torn_at_every_octet),
		T(flipped_at_every_octet),
		T(unreadable_later),
		T(is_bounded),
		T(is_bounded_in_batches),
		T(a_full_disk),
		T(refused_and_acknowledged_ones_are_kept),
		T(refused_ones_are_written_at_the_end),
		T(refused_ones_are_bounded),
		T(refused_ones_are_forgotten_like_others),
		T(only_the_last_boots_are_compared),
		T(every_fsync_policy_writes),
	};

	log_setup("test_journal", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
