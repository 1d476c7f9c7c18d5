/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole files, and files that go on. A log that is followed is looked at four times a second, its
 * rotation noticed by what is under its path: another file (it was renamed: the old one is read
 * until its writer has let go of it), a shorter one, or one that begins with other bytes (it was
 * copied and cut: what was written in between is read from the copy). inotify was rejected: it is
 * silent on network file systems, and all of this would have to be looked at just the same.
 */
#include "resolver/control/ingest/ingest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "resolver/control/clock.h"

#define LOOK_MS 250
#define SILENCE_MS 2000 /* of a file that was renamed, until its writer is thought to have gone */
#define FINISHED_MS \
	(10 * INT64_C(1000)) /* since a file was written, until its last line is whole */

struct followed {
	const char *path;
	struct ingest_source source;
	bool is_open;
	int64_t size;     /* when it was looked at last */
	int64_t moved_ms; /* monotonic: since when another file is under the path, or the old one
			     was read last; 0: it is the same */
	const struct log_format *format;
};

/* --- whole files --- */

/* Pipes end, and what is compressed was written at once; a file may have a writer in the middle of
 * its last line. */
static bool is_finished(const struct ingest_source *source)
{
	const struct input *input = &source->input;

	return !input->is_file || input->unzip || clock_wall_ms() - input->written_ms > FINISHED_MS;
}

static bool read_all(struct ingest_source *source)
{
	bool last = is_finished(source);
	enum ingest_state state = INGEST_MORE;

	while (state == INGEST_MORE && !ingest_stopped) {
		state = ingest_read(source, last);
		if (state == INGEST_MORE && !ingest_stopped && !ingest_source_flush(source))
			return false;
		ingest_progress(source);
	}
	source->unfinished =
		state == INGEST_END && !last && source->input.end > source->input.start;
	return ingest_source_flush(source) && state != INGEST_FAILED;
}

static bool read_path(struct ingest_run *run, const char *path)
{
	struct ingest_source source;

	if (!ingest_source_open(&source, run, path))
		return false;
	bool done = !source.format || read_all(&source);
	ingest_progress_end(run);
	ingest_report_source(&source);
	ingest_source_close(&source);
	return done;
}

static bool read_rest(struct ingest_run *run, const char *path)
{
	char *rest = ingest_source_find_rest(run, path);
	bool done = !rest || read_path(run, rest);

	free(rest);
	return done;
}

bool ingest_file(struct ingest_run *run, const char *path)
{
	bool done = read_rest(run, path);

	return !ingest_stopped && read_path(run, path) && done;
}

/* --- files that go on --- */

static bool open_followed(struct followed *it, struct ingest_run *run)
{
	struct stat status;

	if (stat(it->path, &status) != 0 || status.st_size == 0)
		return true; /* it will come */
	run->again = it->format;
	it->is_open = ingest_source_open(&it->source, run, it->path);
	run->again = NULL;
	it->size = -1;
	it->moved_ms = 0;
	if (it->is_open)
		it->format = it->source.format;
	/* It may have gone between the two looks. */
	return it->is_open || (it->format && access(it->path, R_OK) != 0);
}

static bool close_followed(struct followed *it, bool last)
{
	bool done = true;

	if (!it->is_open)
		return true;
	if (last && it->source.format)
		done = ingest_read(&it->source, true) != INGEST_FAILED;
	done = ingest_source_flush(&it->source) && done;
	ingest_progress_end(it->source.run);
	ingest_report_source(&it->source);
	ingest_source_close(&it->source);
	it->is_open = false;
	return done;
}

/* Another log begins under the same inode, or this one was cut. */
static bool began_anew(struct followed *it)
{
	struct input *input = &it->source.input;
	char head[INPUT_IDENTITY];

	input_look(input);
	if (input->size == it->size)
		return false;
	it->size = input->size;
	if (input->size < input->taken)
		return true;
	if (input_id_length(it->source.id) == 0)
		return false;
	size_t length = input_head(input, head);
	return length > 0 && !input_is(it->source.id, it->source.run->name, head, length);
}

/* The path leads to another file, and the one that we read has been silent for a while. */
static bool was_renamed(struct followed *it, bool busy)
{
	const struct input *input = &it->source.input;
	struct stat status;

	if (stat(it->path, &status) != 0 ||
		(status.st_dev == input->device && status.st_ino == input->inode)) {
		it->moved_ms = 0;
		return false;
	}
	int64_t now_ms = clock_mono_ms();
	if (it->moved_ms == 0 || busy)
		it->moved_ms = now_ms;
	return now_ms - it->moved_ms >= SILENCE_MS;
}

/* False: it failed. *busy: there was something to read. */
static bool turn(struct followed *it, struct ingest_run *run, bool *busy)
{
	if (!it->is_open)
		return open_followed(it, run);
	if (began_anew(it)) {
		*busy = true;
		return close_followed(it, false) && read_rest(run, it->path);
	}
	int64_t before = it->source.input.offset;
	if (it->source.stored <= it->source.input.size) { /* else a part of what was read */
		it->source.was_read = false;
		if (input_skip_to(&it->source.input, it->source.stored) != TD_OK ||
			ingest_read(&it->source, false) == INGEST_FAILED ||
			!ingest_source_flush(&it->source))
			return false;
	}
	bool read = it->source.input.offset != before;
	*busy = *busy || read;
	return !was_renamed(it, read) || close_followed(it, true);
}

static void wait_a_moment(void)
{
	struct timespec wait = {.tv_nsec = LOOK_MS * 1000000};
	nanosleep(&wait, NULL);
}

static bool follow_all(struct followed *all, size_t count, struct ingest_run *run)
{
	while (!ingest_stopped) {
		bool busy = false;
		for (size_t i = 0; i < count && !ingest_stopped; i++)
			if (!turn(&all[i], run, &busy))
				return false;
		if (!busy && !ingest_stopped)
			wait_a_moment();
	}
	return true;
}

bool ingest_follow(struct ingest_run *run, char **paths, size_t count)
{
	struct followed *all = calloc(count, sizeof(*all));
	bool done = all != NULL;

	for (size_t i = 0; i < count && done; i++) {
		all[i].path = paths[i];
		done = read_rest(run, paths[i]);
		if (done && !ingest_stopped)
			done = open_followed(&all[i], run);
	}
	done = done && follow_all(all, count, run);
	for (size_t i = 0; all && i < count; i++)
		done = close_followed(&all[i], false) && done;
	free(all);
	return done;
}
