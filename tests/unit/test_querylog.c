/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The query log's file: opened anew when asked, turned at its size with whole lines and nothing
 * lost, mended when a line was torn, and patient with a missing folder, a slow reader and a full
 * disk.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "resolver/telemetry/sinks/querylog.h"
#include "resolver/telemetry/sinks/rotate.h"

struct bed {
	char dir[32], path[64];
	struct querylog log;
	struct now now;
};

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	log_setup("test_querylog", LOG_LEVEL_ERROR);
	strcpy(bed->dir, "/tmp/test_querylog.XXXXXX");
	if (!mkdtemp(bed->dir))
		return -1;
	snprintf(bed->path, sizeof(bed->path), "%s/log", bed->dir);
	bed->now.mono_us = US_PER_S;
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;
	char path[80];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), i ? "%s.%u" : "%s", bed->path, i);
		unlink(path);
	}
	rmdir(bed->dir);
	free(bed);
	return 0;
}

static char *old_path(const struct bed *bed, unsigned number)
{
	static char path[80];

	snprintf(path, sizeof(path), number ? "%s.%u" : "%s", bed->path, number);
	return path;
}

/* The text of file number (0: the one being written); NULL: there is none. Freed by the caller. */
static char *read_file(const struct bed *bed, unsigned number)
{
	FILE *file = fopen(old_path(bed, number), "r");
	char *text = calloc(1, 4 << 20);

	if (!file) {
		free(text);
		return NULL;
	}
	assert_true(fread(text, 1, (4 << 20) - 1, file) < (4 << 20) - 1);
	fclose(file);
	return text;
}

static void write_file(const struct bed *bed, const char *text)
{
	FILE *file = fopen(bed->path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void assert_file(const struct bed *bed, unsigned number, const char *expected)
{
	char *text = read_file(bed, number);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void append_number(struct bed *bed, unsigned number)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "{\"ts\":\"%06u\"}\n", number); /* 16 octets */

	querylog_append(&bed->log, line, (size_t)length, &bed->now);
}

/* Reads numbered lines from the oldest file to the youngest; returns how many there are, from the
 * number `first` on, none missing and none torn. */
static unsigned count_in_order(const struct bed *bed, unsigned files, unsigned first)
{
	unsigned next = first;

	for (unsigned i = files + 1; i-- > 0;) {
		char *text = read_file(bed, i);
		for (char *line = text; line && *line; line += 16) {
			unsigned number;
			assert_int_equal(sscanf(line, "{\"ts\":\"%06u\"}", &number), 1);
			assert_int_equal(line[15], '\n');
			assert_int_equal(number, next++);
		}
		free(text);
	}
	return next - first;
}

static void the_file_is_appended_and_reopened(void **state)
{
	struct bed *bed = *state;

	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_append(&bed->log, "one\n", 4, &bed->now);
	querylog_flush(&bed->log, &bed->now);
	assert_int_equal(rename(bed->path, old_path(bed, 1)), 0);
	querylog_append(&bed->log, "two\n", 4, &bed->now);
	querylog_reopen(&bed->log, &bed->now);
	querylog_append(&bed->log, "three\n", 6, &bed->now);
	querylog_deinit(&bed->log);
	assert_file(bed, 1, "one\ntwo\n");
	assert_file(bed, 0, "three\n");
	assert_int_equal(bed->log.dropped, 0);
}

static void a_missing_folder_is_tried_again(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(rmdir(bed->dir), 0);
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_append(&bed->log, "kept\n", 5, &bed->now);
	querylog_flush(&bed->log, &bed->now);
	assert_int_equal(mkdir(bed->dir, 0700), 0);
	querylog_flush(&bed->log, &bed->now); /* not yet */
	assert_int_equal(access(bed->path, F_OK), -1);
	bed->now.mono_us += 6 * US_PER_S;
	querylog_flush(&bed->log, &bed->now);
	assert_file(bed, 0, "kept\n");
	querylog_deinit(&bed->log);
}

static void a_slow_reader_costs_lines_and_no_time(void **state)
{
	struct bed *bed = *state;
	char line[1000];

	assert_int_equal(mkfifo(bed->path, 0600), 0);
	int reader = open(bed->path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (unsigned i = 0; i < 4000; i++) /* would never return if it waited */
		querylog_append(&bed->log, line, sizeof(line), &bed->now);
	assert_true(bed->log.dropped > 2000);
	assert_true(bed->log.dropped < 4000);

	uint64_t got = 0; /* what is read is whole lines */
	char chunk[65536];
	for (ssize_t length = read(reader, chunk, sizeof(chunk)); length > 0;
		length = read(reader, chunk, sizeof(chunk))) {
		for (ssize_t i = 0; i < length; i++, got++)
			assert_int_equal(
				chunk[i], got % sizeof(line) == sizeof(line) - 1 ? '\n' : 'x');
		querylog_flush(&bed->log, &bed->now);
	}
	assert_int_equal(got, (4000 - bed->log.dropped) * sizeof(line));
	close(reader);
	querylog_deinit(&bed->log);
}

static void old_files_move_up_and_the_oldest_goes(void **state)
{
	struct bed *bed = *state;
	const char *texts[] = {"a", "b", "c", "d"};

	for (unsigned i = 0; i < 4; i++) {
		write_file(bed, texts[i]);
		assert_true(rotate_files(bed->path, 3));
	}
	assert_int_equal(access(bed->path, F_OK), -1);
	assert_file(bed, 1, "d");
	assert_file(bed, 2, "c");
	assert_file(bed, 3, "b");
	assert_int_equal(access(old_path(bed, 4), F_OK), -1);
	assert_true(rotate_files(bed->path, 3)); /* there is none: nothing to do */
	assert_file(bed, 1, "d");
}

static void a_link_stays_and_what_it_leads_to_is_turned(void **state)
{
	struct bed *bed = *state;
	char path[64], old[80];
	struct stat status;

	snprintf(path, sizeof(path), "%s/link", bed->dir);
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(symlink(bed->path, path), 0);
	assert_true(querylog_init(&bed->log, path, &bed->now));
	querylog_set_turn(&bed->log, 160, 30);
	for (unsigned i = 0; i < 35; i++)
		append_number(bed, i);
	querylog_deinit(&bed->log);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bed->log.turns, 3);
	assert_int_equal(count_in_order(bed, 30, 0), 35);
}

static void nothing_is_lost_at_a_turn(void **state)
{
	struct bed *bed = *state;
	struct stat status;

	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_set_turn(&bed->log, 1000, 30);
	for (unsigned i = 0; i < 1500; i++) {
		append_number(bed, i);
		if (i % 7 == 0)
			querylog_flush(&bed->log, &bed->now);
	}
	querylog_deinit(&bed->log);
	assert_int_equal(bed->log.dropped, 0);
	assert_int_equal(bed->log.written, 1500);
	assert_true(bed->log.turns >= 24);
	assert_int_equal(count_in_order(bed, 30, 0), 1500);
	for (unsigned i = 0; stat(old_path(bed, i), &status) == 0; i++)
		assert_true(status.st_size <= 1000);
}

static void a_large_buffer_fills_several_files(void **state)
{
	struct bed *bed = *state;

	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_set_turn(&bed->log, 64 << 10, 30);
	for (unsigned i = 0; i < 40000; i++) /* gathered in pieces of 256 kB */
		append_number(bed, i);
	querylog_deinit(&bed->log);
	assert_int_equal(bed->log.turns, 9);
	assert_int_equal(count_in_order(bed, 30, 0), 40000);
}

static void only_so_many_are_kept(void **state)
{
	struct bed *bed = *state;

	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_set_turn(&bed->log, 160, 2);
	for (unsigned i = 0; i < 55; i++)
		append_number(bed, i);
	querylog_deinit(&bed->log);
	assert_int_equal(access(old_path(bed, 3), F_OK), -1);
	assert_int_equal(count_in_order(bed, 2, 30), 25);
}

static void the_size_of_an_old_file_counts(void **state)
{
	struct bed *bed = *state;

	write_file(bed, "{\"ts\":\"000000\"}\n{\"ts\":\"000001\"}\n");
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_set_turn(&bed->log, 40, 2);
	append_number(bed, 2);
	querylog_deinit(&bed->log);
	assert_int_equal(count_in_order(bed, 2, 0), 3);
	assert_file(bed, 0, "{\"ts\":\"000002\"}\n");
}

static void a_line_larger_than_a_file_has_one_of_its_own(void **state)
{
	struct bed *bed = *state;
	char line[200], *text;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_set_turn(&bed->log, 100, 5);
	append_number(bed, 0);
	querylog_append(&bed->log, line, sizeof(line), &bed->now);
	append_number(bed, 1);
	querylog_deinit(&bed->log);
	assert_file(bed, 2, "{\"ts\":\"000000\"}\n");
	text = read_file(bed, 1);
	assert_int_equal(strlen(text), sizeof(line));
	free(text);
	assert_file(bed, 0, "{\"ts\":\"000001\"}\n");
}

static void what_cannot_be_turned_grows(void **state)
{
	struct bed *bed = *state;
	char blocker[80];

	snprintf(blocker, sizeof(blocker), "%s.1", bed->path); /* a folder in the way */
	assert_int_equal(mkdir(blocker, 0700), 0);
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	querylog_set_turn(&bed->log, 40, 1);
	for (unsigned i = 0; i < 10; i++) {
		append_number(bed, i);
		querylog_flush(&bed->log, &bed->now);
	}
	assert_int_equal(bed->log.turns, 0);
	assert_int_equal(rmdir(blocker), 0);
	bed->now.mono_us += 6 * US_PER_S; /* tried again */
	append_number(bed, 10);
	querylog_deinit(&bed->log);
	assert_int_equal(bed->log.turns, 1);
	assert_int_equal(bed->log.dropped, 0);
	assert_int_equal(count_in_order(bed, 1, 0), 11);
}

static void a_torn_line_of_ours_is_cut_off(void **state)
{
	struct bed *bed = *state;

	write_file(bed, "{\"ts\":\"000000\"}\n{\"ts\":\"00");
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	append_number(bed, 1);
	querylog_deinit(&bed->log);
	assert_file(bed, 0, "{\"ts\":\"000000\"}\n{\"ts\":\"000001\"}\n");
}

static void a_torn_beginning_is_cut_off(void **state)
{
	struct bed *bed = *state;

	write_file(bed, "{\"t");
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	append_number(bed, 1);
	querylog_deinit(&bed->log);
	assert_file(bed, 0, "{\"ts\":\"000001\"}\n");
}

static void what_is_not_ours_is_left_alone(void **state)
{
	struct bed *bed = *state;

	write_file(bed, "a note without an end");
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	append_number(bed, 1);
	querylog_deinit(&bed->log);
	assert_file(bed, 0, "a note without an end\n{\"ts\":\"000001\"}\n");
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit on the size of files takes a part of a write and refuses the next, as a full disk does.
 */
static void a_full_disk_leaves_whole_lines_and_goes_on(void **state)
{
	struct bed *bed = *state;
	struct stat status;

	signal(SIGXFSZ, SIG_IGN);
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	limit_files(1000); /* 62 lines and a half */
	for (unsigned i = 0; i < 100; i++)
		append_number(bed, i);
	querylog_flush(&bed->log, &bed->now);
	limit_files(RLIM_INFINITY);
	assert_int_equal(stat(bed->path, &status), 0);
	assert_int_equal(status.st_size, 62 * 16);
	assert_true(bed->log.failing);
	assert_int_equal(bed->log.written, 62);
	querylog_flush(&bed->log, &bed->now); /* not yet */
	assert_int_equal(bed->log.written, 62);
	bed->now.mono_us += US_PER_S;
	querylog_flush(&bed->log, &bed->now);
	assert_false(bed->log.failing);
	querylog_deinit(&bed->log);
	assert_int_equal(bed->log.dropped, 0);
	assert_int_equal(count_in_order(bed, 0, 0), 100);
}

static void a_disk_full_for_long_costs_lines_that_are_counted(void **state)
{
	struct bed *bed = *state;

	signal(SIGXFSZ, SIG_IGN);
	assert_true(querylog_init(&bed->log, bed->path, &bed->now));
	limit_files(100);
	for (unsigned i = 0; i < 200000; i++)
		append_number(bed, i);
	limit_files(RLIM_INFINITY);
	assert_true(bed->log.dropped > 100000);
	querylog_deinit(&bed->log);
	assert_int_equal(bed->log.written + bed->log.dropped, 200000);
	assert_int_equal(count_in_order(bed, 0, 0), bed->log.written);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_file_is_appended_and_reopened),
		TEST(a_missing_folder_is_tried_again),
		TEST(a_slow_reader_costs_lines_and_no_time),
		TEST(old_files_move_up_and_the_oldest_goes),
		TEST(a_link_stays_and_what_it_leads_to_is_turned),
		TEST(nothing_is_lost_at_a_turn),
		TEST(a_large_buffer_fills_several_files),
		TEST(only_so_many_are_kept),
		TEST(the_size_of_an_old_file_counts),
		TEST(a_line_larger_than_a_file_has_one_of_its_own),
		TEST(what_cannot_be_turned_grows),
		TEST(a_torn_line_of_ours_is_cut_off),
		TEST(a_torn_beginning_is_cut_off),
		TEST(what_is_not_ours_is_left_alone),
		TEST(a_full_disk_leaves_whole_lines_and_goes_on),
		TEST(a_disk_full_for_long_costs_lines_that_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
