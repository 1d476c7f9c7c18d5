/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of zones on disk: what was written comes back, what was cut off or damaged does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/transfer_copy.h"
#include "tests/unit/zone_answer.h"

#define NOW_S 1700000000

struct bed {
	char folder[64], path[96], part[96];
	struct zone_copy *copy;
	char why[COPY_WHY_SIZE];
	char read[8192]; /* what was read: "+a/1.2.3.4 …" */
};

static void reopen(struct bed *bed)
{
	copy_close(bed->copy);
	bed->copy = copy_open(bed->folder, "feed", &zone_apex, bed->why);
	assert_non_null(bed->copy);
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof *bed);

	snprintf(bed->folder, sizeof bed->folder, "/tmp/test_transfer_copy.XXXXXX");
	assert_non_null(mkdtemp(bed->folder));
	snprintf(bed->path, sizeof bed->path, "%s/feed.zone", bed->folder);
	snprintf(bed->part, sizeof bed->part, "%s/feed.part", bed->folder);
	reopen(bed);
	assert_string_equal(bed->why, "");
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	copy_close(bed->copy);
	unlink(bed->path);
	unlink(bed->part);
	rmdir(bed->folder);
	free(bed);
	return 0;
}

static struct zone_soa soa_of(uint32_t serial)
{
	return (struct zone_soa){serial, 3600, 600, 86400, 60};
}

/* "name": an A record of that name, its address made of its first letter. */
static bool add(struct bed *bed, bool removed, const char *word)
{
	char text[300];
	struct name owner;
	const uint8_t rdata[4] = {192, 0, 2, (uint8_t)word[0]};

	snprintf(text, sizeof text, "%s%srpz.example", word, word[0] == '@' ? "" : ".");
	owner = name_of(word[0] == '@' ? "rpz.example" : text);
	const struct zone_record record = {
		owner.wire, owner.length, TYPE_A, 60, rdata, sizeof rdata};
	return copy_add(bed->copy, removed, &record);
}

static void write_words(struct bed *bed, const char *words)
{
	char copy[512], *rest;

	snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		assert_true(word[0] == '-' ? add(bed, true, word + 1) : add(bed, false, word));
}

static void commit(struct bed *bed, bool whole, uint32_t serial, const char *words)
{
	const struct zone_soa soa = soa_of(serial);

	assert_true(copy_begin(bed->copy, whole));
	write_words(bed, words);
	assert_true(copy_commit(bed->copy, &soa, NOW_S));
}

static enum td_error on_record(void *context, bool removed, const struct name *trigger,
	uint16_t type, uint32_t ttl_s, const uint8_t *rdata, uint16_t rdata_length)
{
	struct bed *bed = context;
	size_t used = strlen(bed->read);
	char text[NAME_TEXT_MAX];

	name_to_text(trigger->wire, text);
	assert_int_equal(type, TYPE_A);
	assert_int_equal(ttl_s, 60);
	assert_int_equal(rdata_length, 4);
	assert_int_equal(rdata[3], text[0]);
	snprintf(bed->read + used, sizeof bed->read - used, "%s%s%s", used ? " " : "",
		removed ? "-" : "", text);
	return TD_OK;
}

static const char *read_all(struct bed *bed)
{
	struct copy_snapshot *snapshot = copy_snapshot(bed->copy);

	assert_non_null(snapshot);
	assert_true(copy_sync(snapshot));
	bed->read[0] = '\0';
	assert_int_equal(copy_read_all(snapshot, on_record, bed), TD_OK);
	copy_snapshot_free(snapshot);
	return bed->read;
}

static uint32_t serial_of(const struct bed *bed)
{
	struct zone_soa soa;
	int64_t checked_s;

	assert_true(copy_soa(bed->copy, &soa, &checked_s));
	return soa.serial;
}

static void settle(struct bed *bed)
{
	struct copy_snapshot *snapshot = copy_snapshot(bed->copy);

	copy_settle(bed->copy, snapshot->version);
	copy_snapshot_free(snapshot);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void test_empty(void **state)
{
	struct bed *bed = *state;
	struct zone_soa soa;
	int64_t checked_s;

	assert_false(copy_soa(bed->copy, &soa, &checked_s));
	assert_null(copy_snapshot(bed->copy));
	assert_false(copy_begin(bed->copy, false));
	assert_false(copy_takes_changes(bed->copy));
}

static void test_whole(void **state)
{
	struct bed *bed = *state;
	struct zone_soa soa;
	int64_t checked_s;

	commit(bed, true, 7, "a b.c @ d");
	assert_string_equal(read_all(bed), "a. b.c. d.");
	assert_false(is_there(bed->path)); /* the disk does not have it yet */
	settle(bed);
	assert_true(is_there(bed->path));
	assert_false(is_there(bed->part));
	reopen(bed);
	assert_string_equal(bed->why, "");
	assert_true(copy_soa(bed->copy, &soa, &checked_s));
	assert_int_equal(checked_s, NOW_S);
	assert_int_equal(soa.serial, 7);
	assert_int_equal(soa.refresh_s, 3600);
	assert_int_equal(soa.retry_s, 600);
	assert_int_equal(soa.expire_s, 86400);
	assert_string_equal(read_all(bed), "a. b.c. d.");
}

/* Until it is settled, the old copy is the one that a crash leaves. */
static void test_unsettled(void **state)
{
	struct bed *bed = *state;

	commit(bed, true, 7, "a");
	settle(bed);
	commit(bed, true, 8, "b");
	assert_int_equal(serial_of(bed), 8);
	assert_true(is_there(bed->part));
	reopen(bed);
	assert_false(is_there(bed->part));
	assert_int_equal(serial_of(bed), 7);
	assert_string_equal(read_all(bed), "a.");
}

/* What came is settled late, when the next zone is arriving already: half of that is no copy. */
static void test_settled_late(void **state)
{
	struct bed *bed = *state;

	commit(bed, true, 7, "a");
	settle(bed);
	commit(bed, true, 8, "b");
	assert_true(copy_begin(bed->copy, true));
	write_words(bed, "c");
	settle(bed);
	reopen(bed);
	assert_string_equal(bed->why, "");
	assert_int_equal(serial_of(bed), 7);
}

static void test_changes(void **state)
{
	struct bed *bed = *state;

	commit(bed, true, 7, "a b c");
	settle(bed);
	commit(bed, false, 8, "-b d");
	assert_string_equal(read_all(bed), "a. c. d.");
	commit(bed, false, 9, "-d e -a a");
	assert_string_equal(read_all(bed), "c. a. e.");
	commit(bed, false, 10, "d -E -A");
	assert_string_equal(read_all(bed), "c. a. d. e.");
	reopen(bed);
	assert_string_equal(bed->why, "");
	assert_int_equal(serial_of(bed), 10);
	assert_string_equal(read_all(bed), "c. a. d. e.");
	commit(bed, true, 11, "z");
	settle(bed);
	assert_string_equal(read_all(bed), "z.");
}

static void test_aborted(void **state)
{
	struct bed *bed = *state;
	const struct zone_soa soa = soa_of(9);

	commit(bed, true, 7, "a b");
	settle(bed);
	assert_true(copy_begin(bed->copy, true));
	write_words(bed, "x y");
	copy_abort(bed->copy);
	assert_false(copy_commit(bed->copy, &soa, NOW_S));
	assert_true(copy_begin(bed->copy, false));
	write_words(bed, "-a x");
	copy_abort(bed->copy);
	assert_string_equal(read_all(bed), "a. b.");
	commit(bed, false, 8, "c");
	reopen(bed);
	assert_string_equal(bed->why, "");
	assert_string_equal(read_all(bed), "a. b. c.");
}

/* A snapshot stays what it was, whatever is written meanwhile. */
static void test_snapshot_stays(void **state)
{
	struct bed *bed = *state;
	struct copy_snapshot *snapshot;

	commit(bed, true, 7, "a b");
	settle(bed);
	snapshot = copy_snapshot(bed->copy);
	commit(bed, false, 8, "-a");
	commit(bed, true, 9, "z");
	settle(bed);
	bed->read[0] = '\0';
	assert_int_equal(copy_read_all(snapshot, on_record, bed), TD_OK);
	assert_string_equal(bed->read, "a. b.");
	copy_snapshot_free(snapshot);
}

static off_t size_of(const struct bed *bed)
{
	struct stat st;

	assert_int_equal(stat(bed->path, &st), 0);
	return st.st_size;
}

static void damage(const struct bed *bed, off_t offset)
{
	int fd = open(bed->path, O_RDWR);
	uint8_t octet;

	assert_int_equal(pread(fd, &octet, 1, offset), 1);
	octet ^= 0x10;
	assert_int_equal(pwrite(fd, &octet, 1, offset), 1);
	close(fd);
}

/* Each octet of the file counts: one that is another is found, and the copy thrown away. */
static void test_damaged(void **state)
{
	struct bed *bed = *state;

	commit(bed, true, 7, "a b");
	settle(bed);
	off_t size = size_of(bed);
	for (off_t offset = 0; offset < size; offset++) {
		commit(bed, true, 7, "a b");
		settle(bed);
		damage(bed, offset);
		reopen(bed);
		assert_non_null(strstr(bed->why, "it is thrown away"));
		assert_null(copy_snapshot(bed->copy));
		assert_false(is_there(bed->path));
	}
}

/* Changes that are damaged, or not all there, leave what stands before them. */
static void test_damaged_changes(void **state)
{
	struct bed *bed = *state;

	commit(bed, true, 7, "a b");
	settle(bed);
	off_t whole = size_of(bed);
	commit(bed, false, 8, "-a c");
	off_t size = size_of(bed);
	for (off_t offset = whole; offset < size; offset++) {
		damage(bed, offset);
		reopen(bed);
		assert_non_null(strstr(bed->why, "behind serial 7 is damaged"));
		assert_string_equal(read_all(bed), "a. b.");
		commit(bed, false, 8, "-a c");
	}
	for (off_t length = whole + 1; length < size; length++) {
		assert_int_equal(truncate(bed->path, length), 0);
		reopen(bed);
		assert_int_equal(serial_of(bed), 7);
		commit(bed, false, 8, "-a c");
	}
	assert_string_equal(read_all(bed), "b. c.");
}

static void test_other_zone(void **state)
{
	struct bed *bed = *state;
	struct name other = name_of("other.example");

	commit(bed, true, 7, "a b");
	settle(bed);
	copy_close(bed->copy);
	bed->copy = copy_open(bed->folder, "feed", &other, bed->why);
	assert_non_null(strstr(bed->why, "is of another zone; it is thrown away"));
	assert_null(copy_snapshot(bed->copy));
}

static void test_checked(void **state)
{
	struct bed *bed = *state;
	struct zone_soa soa;
	int64_t checked_s;

	commit(bed, true, 7, "a");
	settle(bed);
	copy_checked(bed->copy, NOW_S + 500);
	reopen(bed);
	assert_true(copy_soa(bed->copy, &soa, &checked_s));
	assert_int_equal(checked_s, NOW_S + 500);
}

/* Records that do not fit the buffers, and more than one buffer of them. */
static void test_large(void **state)
{
	struct bed *bed = *state;
	const struct zone_soa soa = soa_of(7);
	struct name owner = name_of("big.rpz.example");
	uint8_t *rdata = malloc(UINT16_MAX);
	struct zone_record record = {owner.wire, owner.length, TYPE_A, 60, rdata, 0};
	struct copy_snapshot *snapshot;

	memset(rdata, 'b', UINT16_MAX);
	assert_true(copy_begin(bed->copy, true));
	for (unsigned i = 0; i < 40; i++) {
		record.rdata_length = (uint16_t)(i % 2 ? UINT16_MAX - i : 4);
		assert_true(copy_add(bed->copy, false, &record));
	}
	free(rdata);
	assert_true(copy_commit(bed->copy, &soa, NOW_S));
	snapshot = copy_snapshot(bed->copy);
	assert_int_equal(snapshot->segments[0].records, 40);
	copy_snapshot_free(snapshot);
}

/* When changes outgrow the zone it had better come whole. */
static void test_many_changes(void **state)
{
	struct bed *bed = *state;
	uint32_t serial = 7;

	commit(bed, true, serial, "a");
	settle(bed);
	while (copy_takes_changes(bed->copy)) {
		serial++;
		commit(bed, false, serial, serial % 2 ? "a" : "-a");
		assert_true(serial < 7 + COPY_SEGMENTS_MAX);
	}
	assert_true(serial > 100);
	assert_string_equal(read_all(bed), serial % 2 ? "a." : "");
	reopen(bed);
	assert_int_equal(serial_of(bed), serial);
}

static void test_no_folder(void **state)
{
	char why[COPY_WHY_SIZE];
	struct zone_copy *copy = copy_open("/proc/no/such/folder", "feed", &zone_apex, why);

	(void)state;
	assert_non_null(strstr(why, "/proc/no/such/folder"));
	assert_false(copy_begin(copy, true));
	assert_non_null(strstr(copy_why(copy), "cannot be made"));
	copy_close(copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_empty), TEST(test_whole), TEST(test_unsettled), TEST(test_settled_late),
		TEST(test_changes), TEST(test_aborted), TEST(test_snapshot_stays),
		TEST(test_damaged), TEST(test_damaged_changes), TEST(test_other_zone),
		TEST(test_checked), TEST(test_large), TEST(test_many_changes),
		TEST(test_no_folder)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
