/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal of what the dashboard changed, and of what it refused: order, lines that were torn,
 * its bound, and that what strangers do takes no place of what was done.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/access_bed.h"

static bool add(const struct fixture *fixture, int64_t wall_ms, const char *what, const char *words,
	bool stranger)
{
	const struct change change = {.wall_ms = wall_ms,
		.from = "192.0.2.1",
		.what = what,
		.result = stranger ? "refused" : "done",
		.words = words,
		.stranger = stranger};

	return changes_add(fixture->folder, &change);
}

/* Their words, newest first. */
static json_t *read_journal(const struct fixture *fixture, size_t limit)
{
	struct strbuf out;

	strbuf_init(&out);
	assert_true(changes_read(fixture->folder, limit, &out));
	json_t *rows = json_loads(out.data, 0, NULL);
	assert_true(json_is_array(rows));
	strbuf_deinit(&out);
	return rows;
}

static void expect_words(const struct fixture *fixture, size_t limit, const char *expected)
{
	json_t *rows = read_journal(fixture, limit), *row;
	char text[512] = "";
	size_t i;

	json_array_foreach(rows, i, row)
	{
		strncat(text, json_string_value(json_object_get(row, "words")), 64);
		strncat(text, " ", 2);
	}
	assert_string_equal(text, expected);
	json_decref(rows);
}

static void test_journal(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;

	expect_words(fixture, 10, "");
	assert_true(add(fixture, 1000, "{\"a\":1}", "one", false));
	assert_true(add(fixture, 3000, "{}", "three", false));
	assert_true(add(fixture, 2000, "{}", "two", true));
	assert_true(add(fixture, 4000, "{}", "four", true));
	expect_words(fixture, 10, "four three two one ");
	expect_words(fixture, 2, "four three ");
	expect_words(fixture, 0, "");
	assert_int_equal(stat(path_of(fixture, CHANGES_FILE), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);

	/* A line that was torn, and one that is something else. */
	int fd = open(path_of(fixture, CHANGES_FILE), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"time\":\"2026-", 14), 14);
	close(fd);
	expect_words(fixture, 10, "four three two one ");
	assert_true(add(fixture, 5000, "{}", "five", false));
	expect_words(fixture, 10, "five four three two one ");
	fd = open(path_of(fixture, CHANGES_FILE), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "null\n\n[1]\n{\"time\":5}\n\0\xff\n", 24), 24);
	close(fd);
	expect_words(fixture, 10, "five four three two one ");

	assert_true(add(fixture, 6000, "{}", "<b>\x1b[31m\n\xff", false));
	json_t *rows = read_journal(fixture, 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "words")),
		"<b>\x1b[31m\n\xc3\xbf");
	json_decref(rows);
}

/* However much strangers do, what was done is there; and neither grows without end. */
static void test_journal_bound(void **state)
{
	struct fixture *fixture = *state;
	char words[1200];
	struct stat status;

	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	assert_true(add(fixture, 1000, "{}", "done", false));
	for (int64_t i = 0; i < 3 * CHANGES_SIZE_MAX / 1000; i++)
		assert_true(add(fixture, 2000 + i, "{}", words, true));
	assert_int_equal(stat(path_of(fixture, CHANGES_STRANGERS_FILE), &status), 0);
	assert_true(status.st_size <= CHANGES_SIZE_MAX);
	assert_int_equal(stat(path_of(fixture, CHANGES_STRANGERS_FILE ".1"), &status), 0);
	assert_in_range(status.st_size, CHANGES_SIZE_MAX - 2000, CHANGES_SIZE_MAX);
	json_t *rows = read_journal(fixture, 1000000);
	json_t *last = json_array_get(rows, json_array_size(rows) - 1);
	assert_in_range(json_array_size(rows), 900, 2000);
	assert_string_equal(json_string_value(json_object_get(last, "words")), "done");
	json_decref(rows);
}

static void test_journal_fails(void **state)
{
	struct fixture *fixture = *state;
	struct strbuf out;

	assert_true(add(fixture, 1000, "{}", "zero", true));
	assert_int_equal(symlink(CHANGES_STRANGERS_FILE, path_of(fixture, CHANGES_FILE)), 0);
	assert_false(add(fixture, 1000, "{}", "one", false));
	strbuf_init(&out);
	assert_false(changes_read(fixture->folder, 10, &out));
	strbuf_deinit(&out);
	unlink(path_of(fixture, CHANGES_FILE));
	assert_int_equal(mkfifo(path_of(fixture, CHANGES_FILE), 0600), 0);
	assert_false(add(fixture, 1000, "{}", "one", false));
	const struct change change = {.from = "", .what = "{}", .result = "done", .words = ""};
	assert_false(changes_add("/nonexistent", &change));
}

/* What the loop refused is written later, a bounded number of them. */
static void test_refusals_are_noted(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE];
	struct access *access = open_access(fixture, false, made);
	const struct access_facts facts = {.method = "POST",
		.path = "/api/v1/policy/mode\"}\n{",
		.from = "192.0.2.1",
		.id = ""};

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(status_of(access, ACCESS_CHANGE, &facts), 401);
	expect_words(fixture, 10, "");
	access_look(access);
	json_t *rows = read_journal(fixture, 1000);
	json_t *what = json_object_get(json_array_get(rows, 0), "what");
	assert_in_range(json_array_size(rows), 1, 16);
	assert_string_equal(
		json_string_value(json_object_get(what, "path")), "/api/v1/policy/mode\"}{");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(rows, 0), "result")), "refused");
	json_decref(rows);
	access_free(access);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_journal),
		T(test_journal_bound),
		T(test_journal_fails),
		T(test_refusals_are_noted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
