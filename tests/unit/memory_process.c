/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/memory_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct hash_seed test_seed = {.k0 = 3, .k1 = 4};

/* --- answered queries --- */

struct transaction question(struct answer *answer, unsigned client, unsigned name)
{
	char qname[32];

	snprintf(qname, sizeof(qname), "n%03u.example.", name % 1000);
	make_answer(answer, qname, name % 3 ? name % 255 + 1 : 0);
	struct transaction made = transaction_of(answer, client, name % 3 ? 1000 + name : 0);
	if (name % 5 == 0) {
		made.action = TRANSACTION_WATCH;
		made.zone = 1;
	}
	return made;
}

void add(struct tally *tally, unsigned client, unsigned name, int64_t wall_us)
{
	struct answer answer;
	struct transaction made = question(&answer, client, name);

	if (tally->queries == 0)
		tally->clock_us = wall_us - MONO;
	tally_add(tally, &test_seed, &made, wall_us);
}

/* --- a process: pending, journal, memory --- */

const struct pending_limits test_limits = {
	.clients = 500, .tops = 500, .details = 5000, .lines = 10, .line_bytes = 1000};

static void open_journal(struct process *process)
{
	struct journal_settings settings = journal_settings_default;
	char path[300];

	snprintf(path, sizeof(path), "%s/journal", process->dir);
	settings.dir = path;
	settings.fsync = JOURNAL_FSYNC_NEVER;
	process->journal = journal_open(&settings);
	assert_non_null(process->journal);
}

void start_at(struct process *process, const char *dir, size_t tallies, int64_t wall_us)
{
	static uint64_t boots;
	struct memory_settings settings = {.tallies = tallies};

	memset(process, 0, sizeof(*process));
	process->dir = strdup(dir);
	process->now = (struct now){.mono_us = MONO, .wall_us = wall_us};
	snprintf(process->boot, sizeof(process->boot), "%016llx", (unsigned long long)++boots);
	clock_watch_init(&process->clock, &process->now, 0);
	zone_ids_init(&process->zones);
	pending_init(&process->pending, &test_limits, &test_seed);
	strbuf_init(&process->octets);
	open_journal(process);
	settings.dir = dir;
	settings.boot = process->boot;
	process->memory = memory_open(
		&settings, &process->pending, &process->zones, process->journal, &process->clock);
	assert_non_null(process->memory);
	zone_ids_add(&process->zones, "first");
	zone_ids_add(&process->zones, "teredo");
	struct batch_settings batches = {.resolver_name = "r",
		.version = "1",
		.zones = &process->zones,
		.retention_days = 1,
		.pair_retention_days = 1,
		.bounds = batch_bounds_default};
	snprintf(batches.boot, sizeof(batches.boot), "%s", process->boot);
	assert_true(batcher_init(&process->batcher, &batches));
}

void start(struct process *process, const char *dir, size_t tallies)
{
	start_at(process, dir, tallies, NOON);
}

void end(struct process *process)
{
	batcher_deinit(&process->batcher);
	memory_close(&process->memory);
	journal_close(&process->journal);
	pending_deinit(&process->pending);
	zone_ids_deinit(&process->zones);
	strbuf_deinit(&process->octets);
	free(process->dir);
}

struct tally *tally_of(struct process *process, size_t index)
{
	return memory_tally(process->memory, index);
}

void merge(struct process *process, size_t index)
{
	struct tally *tally = tally_of(process, index);

	pending_merge(&process->pending, tally);
	memory_merged(process->memory, tally);
	memory_commit(process->memory);
	tally_clear(tally);
}

bool is_on(struct process *process)
{
	struct memory_status status;

	memory_status(process->memory, &status);
	return status.on;
}

uint64_t waiting(struct process *process)
{
	struct journal_status status;

	journal_status(process->journal, &status);
	return status.waiting_queries;
}

uint64_t healed(struct process *process)
{
	struct memory_status status;

	memory_status(process->memory, &status);
	return status.healed;
}

/* --- folders --- */

char *make_folder(void)
{
	char path[] = "/dev/shm/test-memory-XXXXXX", *made = mkdtemp(path);
	char other[] = "/tmp/test-memory-XXXXXX";

	if (!made)
		made = mkdtemp(other);
	assert_non_null(made);
	return strdup(made);
}

void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	char inside[600];

	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (unlink(inside) != 0)
			remove_folder(inside);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void copy_file(const char *from, const char *to)
{
	static char octets[1 << 16];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t length;

	assert_true(in >= 0 && out >= 0);
	while ((length = read(in, octets, sizeof(octets))) > 0)
		assert_int_equal(write(out, octets, (size_t)length), length);
	close(in);
	close(out);
}

void copy_folder(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	char source[600], target[600];
	struct stat status;

	assert_non_null(dir);
	mkdir(to, 0700);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
		snprintf(target, sizeof(target), "%s/%s", to, entry->d_name);
		assert_int_equal(stat(source, &status), 0);
		if (S_ISDIR(status.st_mode))
			copy_folder(source, target);
		else
			copy_file(source, target);
	}
	closedir(dir);
}

void path_of(const char *dir, const char *name, char out[600])
{
	char lock[400], instance[17] = "";

	snprintf(lock, sizeof(lock), "%s/journal/lock", dir);
	int fd = open(lock, O_RDONLY);
	assert_int_equal(read(fd, instance, 16), 16);
	close(fd);
	snprintf(out, 600, "%s/%s/%s", dir, instance, name);
}

int folder_setup(void **state)
{
	*state = make_folder();
	return 0;
}

int folder_teardown(void **state)
{
	remove_folder(*state);
	free(*state);
	return 0;
}
