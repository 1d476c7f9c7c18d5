/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change is rare, so each one opens the file, locks it against other processes, and waits for the
 * disk; nothing is kept that could be stale after somebody moved it. A line is written by one
 * write(2). A crash may leave half a line at the end: the next one begins on a line of its own, and
 * whoever reads passes over what is no object.
 *
 * Rejected: a stream in Redis. It may be away when blocking matters most, and whoever can write
 * there could write that nothing was changed.
 */
#include "resolver/control/dashboard/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/control/output.h"
#include "resolver/telemetry/whole_file.h"

#define TURNED ".1"
#define FILES 4
#define WORDS_MAX 1024 /* octets that are kept of them */

/* --- writing --- */

static int open_folder(const char *folder)
{
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A regular file of ours. Root leaves it to the folder's owner. */
static int open_file(int dir, const char *name)
{
	int flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(dir, name, flags, 0600);
	struct stat folder, file;

	if (fd < 0)
		return -1;
	bool good = fstat(fd, &file) == 0 && fstat(dir, &folder) == 0;
	if (good && (!S_ISREG(file.st_mode) || file.st_nlink != 1)) {
		errno = EINVAL;
		good = false;
	}
	if (good && geteuid() == 0 && file.st_uid != folder.st_uid)
		good = fchown(fd, folder.st_uid, folder.st_gid) == 0;
	if (good)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The file, locked, with room for a line of this length. It may have been turned by another process
 * between our opening and our locking it: then the one that has the name now is opened. */
static int open_with_room(int dir, const char *name, size_t length)
{
	char turned[64];
	struct stat ours, named;

	snprintf(turned, sizeof turned, "%s" TURNED, name);
	for (int tries = 0; tries < 8; tries++) {
		int fd = open_file(dir, name);
		if (fd < 0)
			return -1;
		bool good = flock(fd, LOCK_EX) == 0 && fstat(fd, &ours) == 0;
		bool named_so = fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
				named.st_ino == ours.st_ino && named.st_dev == ours.st_dev;
		if (good && named_so && (size_t)ours.st_size + length + 1 <= CHANGES_SIZE_MAX)
			return fd;
		if (good && named_so && renameat(dir, name, dir, turned) != 0)
			good = false;
		int error = errno;
		close(fd);
		errno = error;
		if (!good)
			return -1;
	}
	errno = EBUSY;
	return -1;
}

/* Behind half a line of somebody who died, on a new one. */
static bool append(int fd, const struct strbuf *line, bool force)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last = '\n';

	if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
		return false;
	bool torn = last != '\n';
	return (!torn || whole_file_write(fd, "\n", 1)) &&
	       whole_file_write(fd, line->data, line->length) && (!force || fsync(fd) == 0);
}

static void compose(struct strbuf *line, const struct change *change)
{
	strbuf_append_char(line, '{');
	output_json_time(line, "time", change->wall_ms);
	strbuf_json_text(line, "from", change->from);
	strbuf_json_key(line, "what");
	strbuf_append_text(line, change->what);
	strbuf_json_text(line, "result", change->result);
	strbuf_json_key(line, "words");
	strbuf_json_string(line, change->words, strnlen(change->words, WORDS_MAX));
	strbuf_append_char(line, '}');
}

static bool write_line(const char *folder, const char *name, const struct strbuf *line, bool force)
{
	int dir = open_folder(folder);
	int fd = dir < 0 ? -1 : open_with_room(dir, name, line->length);
	bool good = fd >= 0 && append(fd, line, force) && (!force || fsync(dir) == 0);
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	errno = error;
	return good;
}

bool changes_add(const char *folder, const struct change *change)
{
	const char *name = change->stranger ? CHANGES_STRANGERS_FILE : CHANGES_FILE;
	struct strbuf line;
	bool good = false;

	strbuf_init(&line);
	compose(&line, change);
	if (!line.failed)
		log_info("change: %s", line.data);
	strbuf_append_char(&line, '\n');
	errno = line.failed ? ENOMEM : EFBIG;
	if (!line.failed && line.length <= CHANGES_LINE_MAX)
		good = write_line(folder, name, &line, !change->stranger);
	int error = errno;
	if (!good)
		log_warning(
			"%s/%s cannot be written: %s", folder, name, strerror(error));
	strbuf_deinit(&line);
	errno = error;
	return good;
}

/* --- reading --- */

/* One file as text, with a place that moves from its end to its begin, a line at a time. */
struct source {
	char *text;
	size_t end;       /* what is before has not been read yet */
	const char *line; /* the one that is next, a whole object; NULL: none is left */
	size_t length;
	char time[40];
};

static bool is_text(const json_t *object, const char *key)
{
	return json_is_string(json_object_get(object, key));
}

/* What we have written, and nothing else. */
static bool read_time(struct source *source)
{
	json_t *object = json_loadb(source->line, source->length, JSON_REJECT_DUPLICATES, NULL);
	const char *time = json_string_value(json_object_get(object, "time"));
	bool good = time && strlen(time) < sizeof source->time && is_text(object, "from") &&
		    is_text(object, "result") && is_text(object, "words") &&
		    json_is_object(json_object_get(object, "what"));

	if (good)
		memcpy(source->time, time, strlen(time) + 1);
	json_decref(object);
	return good;
}

/* To the next line towards the begin that is whole. */
static void step(struct source *source)
{
	source->line = NULL;
	while (source->end > 0 && !source->line) {
		size_t stop = source->end, begin = stop;
		while (begin > 0 && source->text[begin - 1] != '\n')
			begin--;
		source->end = begin ? begin - 1 : 0;
		source->line = source->text + begin;
		source->length = stop - begin;
		if (source->length == 0 || source->length > CHANGES_LINE_MAX || !read_time(source))
			source->line = NULL;
	}
}

static bool load(int dir, const char *name, struct source *source)
{
	uint8_t *octets;
	size_t size;
	enum td_error error = whole_file_read(dir, name, 2 * CHANGES_SIZE_MAX, &octets, &size);

	*source = (struct source){0};
	if (error == TD_NOT_FOUND)
		return true;
	if (error != TD_OK) {
		errno = error == TD_NOMEM ? ENOMEM : error == TD_FULL ? EFBIG : errno;
		return false;
	}
	source->text = (char *)octets;
	source->end = size;
	step(source);
	return true;
}

/* The one whose line is the newest; an earlier source where they are as old. */
static struct source *newest(struct source sources[FILES])
{
	struct source *found = NULL;

	for (size_t i = 0; i < FILES; i++)
		if (sources[i].line && (!found || strcmp(sources[i].time, found->time) > 0))
			found = &sources[i];
	return found;
}

static void merge(struct source sources[FILES], size_t limit, struct strbuf *out)
{
	struct source *source;

	strbuf_append_char(out, '[');
	for (size_t i = 0; i < limit && (source = newest(sources)) != NULL; i++) {
		output_json_next(out);
		strbuf_append(out, source->line, source->length);
		step(source);
	}
	strbuf_append_char(out, ']');
}

bool changes_read(const char *folder, size_t limit, struct strbuf *out)
{
	static const char *const names[FILES] = {CHANGES_FILE, CHANGES_FILE TURNED,
		CHANGES_STRANGERS_FILE, CHANGES_STRANGERS_FILE TURNED};
	struct source sources[FILES] = {{0}};
	int dir = open_folder(folder);
	bool good = dir >= 0 || errno == ENOENT;
	int error = errno;

	for (size_t i = 0; good && dir >= 0 && i < FILES; i++) {
		good = load(dir, names[i], &sources[i]);
		error = errno;
	}
	if (good)
		merge(sources, limit, out);
	for (size_t i = 0; i < FILES; i++)
		free(sources[i].text);
	if (dir >= 0)
		close(dir);
	errno = error;
	return good && !out->failed;
}
