/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A start never appends to a file of an earlier one, so a torn tail needs no repair: it is not
 * read, and goes with its file. Within one start a write that was cut short is taken back.
 */
#include "resolver/telemetry/journal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/telemetry/whole_file.h"

#define ID_LENGTH (JOURNAL_ID_SIZE - 1)
#define SYNC_US US_PER_S

/* --- failures --- */

void journal_files_fail(struct journal_files *files, const char *what)
{
	files->failures++;
	if (!files->failing)
		log_warning("journal: %s: %s: %s; batches are sent all the same, but would not "
			    "outlive a crash",
			files->dir, what, strerror(errno));
	files->failing = true;
}

void journal_files_recovered(struct journal_files *files)
{
	if (files->failing)
		log_info("journal: %s takes batches again", files->dir);
	files->failing = false;
}

/* --- the folder --- */

static bool is_id(const char *text)
{
	return strlen(text) == ID_LENGTH && strspn(text, "0123456789abcdef") == ID_LENGTH;
}

static bool read_instance(struct journal_files *files)
{
	uint64_t random;
	ssize_t length = pread(files->lock, files->instance, ID_LENGTH, 0);

	files->instance[length > 0 ? length : 0] = '\0';
	if (is_id(files->instance))
		return true;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	snprintf(files->instance, JOURNAL_ID_SIZE, "%016" PRIx64, random);
	/* On a full disk the instance is new at each start, which costs a lease's time. */
	if (pwrite(files->lock, files->instance, ID_LENGTH, 0) != (ssize_t)ID_LENGTH)
		journal_files_fail(files, "the instance id cannot be written");
	return true;
}

static bool take_lock(struct journal_files *files)
{
	char path[PATH_MAX];

	if (mkdir(files->dir, 0700) != 0 && errno != EEXIST) {
		log_error("journal: %s: %s", files->dir, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "%s/lock", files->dir);
	files->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (files->lock < 0) {
		log_error("journal: %s: %s", path, strerror(errno));
		return false;
	}
	if (flock(files->lock, LOCK_EX | LOCK_NB) != 0) {
		log_error("journal: %s: another process has it", path);
		return false;
	}
	return read_instance(files);
}

bool journal_files_open(struct journal_files *files, const char *dir, enum journal_fsync fsync)
{
	*files = (struct journal_files){.fsync = fsync, .lock = -1, .active = -1};
	int length = snprintf(files->dir, sizeof(files->dir), "%s", dir);
	if (length < 0 || (size_t)length >= sizeof(files->dir)) {
		log_error("journal: the path is too long");
		return false;
	}
	return take_lock(files);
}

void journal_files_close(struct journal_files *files)
{
	journal_files_end(files);
	if (files->lock >= 0)
		close(files->lock);
	files->lock = -1;
}

/* The number of a file from its name; false when it is none of ours. */
static bool parse_name(const char *name, uint64_t *sequence)
{
	char *end;

	if (strlen(name) != 20 || strcmp(name + 16, ".log") != 0 ||
		strspn(name, "0123456789abcdef") != 16)
		return false;
	*sequence = strtoull(name, &end, 16);
	return true;
}

static int by_sequence(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return first < second ? -1 : first > second;
}

static uint64_t *list_folder(DIR *dir, size_t *count)
{
	size_t capacity = 64;
	uint64_t *list = malloc(capacity * sizeof(*list)), sequence;

	for (struct dirent *entry = readdir(dir); entry && list; entry = readdir(dir)) {
		if (!parse_name(entry->d_name, &sequence))
			continue;
		if (*count == capacity) {
			uint64_t *more = realloc(list, 2 * capacity * sizeof(*list));
			if (!more)
				free(list);
			list = more;
			capacity *= 2;
		}
		if (list)
			list[(*count)++] = sequence;
	}
	return list;
}

uint64_t *journal_files_list(struct journal_files *files, size_t *count)
{
	DIR *dir = opendir(files->dir);

	*count = 0;
	if (!dir)
		return NULL;
	uint64_t *list = list_folder(dir, count);
	closedir(dir);
	if (list && *count > 0) {
		qsort(list, *count, sizeof(*list), by_sequence);
		files->last_sequence = list[*count - 1];
	}
	return list;
}

static void path_of(const struct journal_files *files, uint64_t sequence, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%016" PRIx64 ".log", files->dir, sequence);
}

static void sync_folder(struct journal_files *files)
{
	if (files->fsync == JOURNAL_FSYNC_NEVER)
		return;
	int fd = open(files->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fsync(fd) != 0)
		journal_files_fail(files, "fsync");
	close(fd);
}

/* --- reading and deleting --- */

uint8_t *journal_files_read(
	const struct journal_files *files, uint64_t sequence, size_t most, size_t *size)
{
	char path[PATH_MAX];
	uint8_t *octets;

	path_of(files, sequence, path);
	if (whole_file_read(AT_FDCWD, path, most, &octets, size) != TD_OK)
		log_error("journal: %s cannot be read, it is left alone", path);
	return octets;
}

enum td_error journal_files_read_part(const struct journal_files *files, uint64_t sequence,
	size_t offset, void *out, size_t length)
{
	char path[PATH_MAX];

	path_of(files, sequence, path);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? TD_NOMEM
									     : TD_MALFORMED;
	ssize_t got = pread(fd, out, length, (off_t)offset);
	close(fd);
	return got == (ssize_t)length ? TD_OK : TD_MALFORMED;
}

bool journal_files_delete(struct journal_files *files, uint64_t sequence)
{
	char path[PATH_MAX];

	path_of(files, sequence, path);
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	journal_files_fail(files, "an old file cannot be deleted");
	return false;
}

/* --- the active file --- */

static void sync_active(struct journal_files *files, int64_t mono_us)
{
	if (!files->dirty || files->active < 0)
		return;
	if (fdatasync(files->active) != 0)
		journal_files_fail(files, "fdatasync");
	files->dirty = false;
	files->synced_us = mono_us;
}

bool journal_files_begin(struct journal_files *files)
{
	char path[PATH_MAX];

	path_of(files, files->last_sequence + 1, path);
	files->active =
		open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (files->active < 0) {
		journal_files_fail(files, "a file cannot be made");
		return false;
	}
	files->last_sequence++;
	sync_folder(files);
	return true;
}

void journal_files_end(struct journal_files *files)
{
	if (files->active < 0)
		return;
	if (files->fsync != JOURNAL_FSYNC_NEVER)
		sync_active(files, files->synced_us);
	close(files->active);
	files->active = -1;
}

/* What was written of a record that did not fit would look like damage: it is cut off again. */
bool journal_files_append(
	struct journal_files *files, const void *data, size_t length, size_t bytes)
{
	if (whole_file_write(files->active, data, length)) {
		files->dirty = true;
		return true;
	}
	journal_files_fail(files, "a batch cannot be written");
	if (ftruncate(files->active, (off_t)bytes) != 0)
		journal_files_end(files);
	return false;
}

void journal_files_batch_written(struct journal_files *files, int64_t mono_us)
{
	if (files->fsync == JOURNAL_FSYNC_BATCH)
		sync_active(files, mono_us);
	else
		journal_files_tick(files, mono_us);
}

void journal_files_tick(struct journal_files *files, int64_t mono_us)
{
	if (files->fsync == JOURNAL_FSYNC_SECOND && mono_us - files->synced_us >= SYNC_US)
		sync_active(files, mono_us);
}
