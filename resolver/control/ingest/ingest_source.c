/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One log: which source it is, where reading goes on, and how a chunk of it is written. A source is
 * known by what it begins with, so a renamed or copied file is the same one, and a path under which
 * another log begins is a new one. Inode numbers were rejected: copytruncate keeps the inode and
 * changes the log, a copy keeps the log and changes the inode.
 */
#include "resolver/control/ingest/ingest.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "resolver/control/clock.h"
#include "resolver/control/json_view.h"

#define PATIENCE_MS (20 * INT64_C(1000)) /* without Redis, unless a log is followed */
#define PAUSE_MS 250
#define BESIDE_MAX 256 /* files that may be the rest of a rotated log */

/* --- waiting for Redis --- */

static void pause_ms(long ms)
{
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&wait, NULL);
}

static void say_store(struct ingest_run *run, enum td_error error)
{
	const char *words = ingest_store_words(run->store);

	ingest_progress_end(run);
	if (error == TD_UNSUPPORTED)
		cli_error(run->cli,
			"ingest: this user of Redis may not write (%s); it takes the daemon's, see "
			"redis-user in teredown.conf(5)",
			words);
	else if (error == TD_IO || error == TD_REFUSED)
		cli_error(run->cli, "ingest: Redis: %s", words);
	else
		cli_error(run->cli, "ingest: %s", error_text(error));
}

/* A full Redis may have room again, where somebody waits for it. */
static bool may_pass(const struct ingest_run *run, enum td_error error)
{
	return error == TD_IO || (run->follow && error == TD_REFUSED &&
					 strstr(ingest_store_words(run->store), "OOM"));
}

/* After an error: true when it is worth another attempt. since_ms: 0 before the first one. */
static bool wait_for_store(struct ingest_run *run, enum td_error error, int64_t *since_ms)
{
	int64_t now_ms = clock_mono_ms();

	if (!may_pass(run, error)) {
		say_store(run, error);
		return false;
	}
	if (*since_ms == 0) {
		*since_ms = now_ms;
		if (run->follow)
			say_store(run, error);
	}
	if (ingest_stopped || (!run->follow && now_ms - *since_ms > PATIENCE_MS)) {
		say_store(run, error);
		cli_error(run->cli, "run it again: it goes on where it stopped");
		return false;
	}
	pause_ms(PAUSE_MS);
	if (error == TD_IO)
		ingest_store_reopen(run->store);
	return true;
}

/* --- its position --- */

static int64_t number_of(const char *json, const char *key, int64_t missing)
{
	struct json_span value;
	char text[24];

	if (!json_find(json, strlen(json), key, &value))
		return missing;
	return strtoll(json_text(value, text, sizeof(text)), NULL, 10);
}

static bool find_sources(struct ingest_run *run, struct arena *arena, struct ingest_rows *rows)
{
	enum td_error error;
	int64_t since_ms = 0;

	while ((error = ingest_store_sources(run->store, arena, rows)) != TD_OK)
		if (!wait_for_store(run, error, &since_ms))
			return false;
	return true;
}

static void take_position(struct ingest_source *source, const char *json)
{
	source->is_known = true;
	source->stored = number_of(json, "offset", 0);
	source->header = number_of(json, "header", -1);
	source->discards = number_of(json, "discards", 0) == 1;
	source->before.lines = (uint64_t)number_of(json, "lines", 0);
	source->before.used = (uint64_t)number_of(json, "used", 0);
	source->before.skipped = (uint64_t)number_of(json, "skipped", 0);
	source->before.unreadable = (uint64_t)number_of(json, "unreadable", 0);
	source->before.first_ms = number_of(json, "first", 0);
	source->before.last_ms = number_of(json, "last", 0);
}

/* The row of a source that begins as this one; of several the one that is of most of it. */
static const struct ingest_row *find_row(
	const struct ingest_rows *rows, const char *name, const char *head, size_t length)
{
	const struct ingest_row *best = NULL;

	for (size_t i = 0; i < rows->count; i++) {
		const struct ingest_row *row = &rows->rows[i];
		if (input_is(row->id, name, head, length) &&
			(!best || input_id_length(row->id) > input_id_length(best->id)))
			best = row;
	}
	return best;
}

static void find_oldest(struct ingest_source *source, const struct ingest_rows *rows)
{
	int64_t oldest_ms = INT64_MAX;

	for (size_t i = 0; i < rows->count; i++) {
		int64_t at_ms = number_of(rows->rows[i].json, "at", 0);
		if (at_ms >= oldest_ms || strlen(rows->rows[i].id) >= INPUT_ID_SIZE)
			continue;
		oldest_ms = at_ms;
		snprintf(source->oldest, INPUT_ID_SIZE, "%s", rows->rows[i].id);
	}
}

static bool find_position(struct ingest_source *source)
{
	const char *head = source->input.buffer + source->input.start;
	size_t length = source->input.end - source->input.start;
	struct ingest_rows rows;
	struct arena arena;

	source->stored = source->header = -1;
	if (source->is_nameless) {
		uint64_t number = 0;
		if (getrandom(&number, sizeof(number), 0) < 0)
			number = (uint64_t)clock_mono_ms();
		snprintf(source->id, sizeof(source->id), "pipe-%016" PRIx64, number);
		return true;
	}
	arena_init(&arena);
	bool found = find_sources(source->run, &arena, &rows);
	const struct ingest_row *row =
		found ? find_row(&rows, source->run->name, head, length) : NULL;
	input_identify(source->run->name, head, length, source->id);
	if (found)
		find_oldest(source, &rows);
	if (row) {
		take_position(source, row->json);
		if (strcmp(row->id, source->id) != 0)
			memcpy(source->former, row->id, strlen(row->id) + 1);
	}
	arena_deinit(&arena);
	return found;
}

/* --- opening --- */

static bool has_no_format(struct ingest_source *source)
{
	struct strbuf words;

	strbuf_init(&words);
	strbuf_append_text(&words, "none of the formats fits its first lines; name one with --as:");
	for (size_t i = 0; log_format_at(i); i++)
		strbuf_printf(&words, "%s %s", i ? "," : "", log_format_name(log_format_at(i)));
	ingest_say(source->run, source->path, words.failed ? "" : words.data);
	strbuf_deinit(&words);
	return false;
}

static bool set_columns(struct ingest_source *source)
{
	char words[256];

	if (!source->run->columns ||
		log_context_columns(&source->context, source->run->columns, words, sizeof(words)))
		return true;
	ingest_say(source->run, source->path, words);
	return false;
}

/* Of a pipe more is read until the lines suffice. */
static bool find_format(struct ingest_source *source)
{
	struct input *input = &source->input;

	log_context_init(
		&source->context, input->is_file ? input->written_ms : source->run->wall_ms);
	if (!set_columns(source))
		return false;
	source->format = source->run->forced ? source->run->forced : source->run->again;
	for (;;) {
		const char *head = input->buffer + input->start;
		size_t length = input->end - input->start;
		if (source->format)
			log_format_learn(source->format, head, length, &source->context);
		else
			source->format = log_format_detect(head, length, &source->context);
		if (source->format || input->ended || length >= INPUT_HEAD || ingest_stopped)
			break;
		if (input_fill(input, -1) != TD_OK)
			break;
	}
	return source->format || (input->end == input->start && input->ended) ||
	       has_no_format(source);
}

/* To where the last run stopped, by way of the last header of columns and the lines before. */
static bool go_on(struct ingest_source *source)
{
	source->resumed = source->written = source->is_known ? source->stored : 0;
	if (source->resumed == 0)
		return true;
	/* What comes while it is followed may be of a header that stands in the middle. */
	int64_t nothing_new = source->run->follow ? source->stored - 1 : source->stored;
	if (source->input.is_file && !source->input.unzip && nothing_new >= source->input.size) {
		source->was_read = source->stored > source->input.size;
		return input_skip_to(&source->input, source->input.size) == TD_OK;
	}
	enum ingest_state state = ingest_read_before(source, source->stored);
	if (state == INGEST_FAILED && source->input.offset < source->stored &&
		source->input.ended) {
		source->was_read = true; /* a part of what was read */
		return true;
	}
	if (state == INGEST_FAILED)
		ingest_say(source->run, source->path, source->input.words);
	return state != INGEST_FAILED;
}

static bool open_parts(struct ingest_source *source)
{
	struct ingest_run *run = source->run;
	enum td_error error = input_open(&source->input, source->path, *run->name != '\0');

	if (error != TD_OK) {
		ingest_say(run, source->path, source->input.words);
		return false;
	}
	source->is_nameless = !source->input.is_file && !*run->name;
	if (source->is_nameless && !run->has_said_pipe && !isatty(source->input.fd)) {
		run->has_said_pipe = true;
		ingest_say(run, source->path,
			"a pipe is not known again: what was read of it counts again when it is "
			"read again; --source NAME makes it known");
	}
	source->history = history_new();
	if (!source->history) {
		ingest_say(run, source->path, error_text(TD_NOMEM));
		return false;
	}
	return find_format(source) && find_position(source) && go_on(source);
}

bool ingest_source_open(struct ingest_source *source, struct ingest_run *run, const char *path)
{
	*source = (struct ingest_source){.run = run, .path = path};
	source->input.fd = -1;
	source->flushed_ms = clock_mono_ms();
	gather_clear(&run->gather);
	if (open_parts(source))
		return true;
	ingest_source_close(source);
	return false;
}

void ingest_source_close(struct ingest_source *source)
{
	/* Nobody could go on there. */
	if (source->is_nameless && source->is_known)
		ingest_store_forget(source->run->store, source->id);
	history_free(&source->history);
	input_close(&source->input);
}

/* --- a chunk --- */

/* A file that was short when it was opened is known by more of it from now on. */
static void grow_identity(struct ingest_source *source)
{
	char head[INPUT_IDENTITY], id[INPUT_ID_SIZE];

	if (source->is_nameless || input_id_length(source->id) == INPUT_IDENTITY)
		return;
	size_t length = input_head(&source->input, head);
	if (length <= input_id_length(source->id) ||
		(input_id_length(source->id) &&
			!input_is(source->id, source->run->name, head, length)))
		return;
	input_identify(source->run->name, head, length, id);
	if (source->is_known && !source->former[0])
		memcpy(source->former, source->id, sizeof(id));
	memcpy(source->id, id, sizeof(id));
}

/* The file's place, so that a later run finds it again when it was rotated. */
static void append_path(struct ingest_source *source, struct strbuf *out)
{
	char *real = source->input.is_file ? realpath(source->path, NULL) : NULL;

	strbuf_json_text(out, "path", real ? real : source->path);
	free(real);
}

static void append_position(struct ingest_source *source, struct strbuf *out)
{
	struct ingest_counts sum = source->before;

	ingest_counts_add(&sum, &source->counts);
	strbuf_append_char(out, '{');
	append_path(source, out);
	strbuf_json_text(out, "format", log_format_name(source->format));
	strbuf_json_u64(out, "offset", (uint64_t)source->input.offset);
	strbuf_json_u64(out, "lines", sum.lines);
	strbuf_json_u64(out, "used", sum.used);
	strbuf_json_u64(out, "skipped", sum.skipped);
	strbuf_json_u64(out, "unreadable", sum.unreadable);
	strbuf_json_u64(out, "first", (uint64_t)sum.first_ms);
	strbuf_json_u64(out, "last", (uint64_t)sum.last_ms);
	if (source->header >= 0)
		strbuf_json_u64(out, "header", (uint64_t)source->header);
	if (source->discards)
		strbuf_json_u64(out, "discards", 1);
	strbuf_json_u64(out, "at", (uint64_t)clock_wall_ms());
	strbuf_append_char(out, '}');
}

static bool say_moved(struct ingest_source *source, int64_t found)
{
	int64_t expected = source->is_known ? source->stored : -1;

	if (found > expected)
		ingest_say(source->run, source->path,
			"something else reads this source too: it has gone on meanwhile; nothing "
			"is counted twice");
	else if (found < 0)
		ingest_say(source->run, source->path,
			"Redis does not know any more how far it was read: it was emptied; run it "
			"again to read it from the beginning");
	else
		ingest_say(source->run, source->path,
			"Redis has lost something that it had acknowledged (a failover?); run it "
			"again to go on from there");
	return false;
}

/* By headers alone, or by what is no line of a log, no source is known: they are alike. */
static bool is_too_short(const struct ingest_source *source)
{
	return !source->is_known && source->counts.used == 0 &&
	       source->counts.skipped == source->counts.headers &&
	       source->input.offset < (int64_t)INPUT_IDENTITY;
}

/* False: said. */
static bool write_chunk(struct ingest_source *source, const char *position)
{
	struct ingest_run *run = source->run;
	struct ingest_chunk *chunk = &run->chunk;
	enum ingest_outcome outcome;
	int64_t since_ms = 0, found = -1;
	enum td_error error;

	ingest_chunk_clear(chunk);
	gather_write(&run->gather, chunk);
	chunk->source = source->id;
	chunk->former = source->former;
	chunk->oldest = source->oldest;
	chunk->expected = source->is_known ? source->stored : -1;
	chunk->offset = source->input.offset;
	chunk->position = position;
	while ((error = ingest_store_write(run->store, chunk, run->wall_ms, &outcome, &found,
			&run->totals.dropped)) != TD_OK)
		if (!wait_for_store(run, error, &since_ms))
			return false;
	return outcome == INGEST_APPLIED || say_moved(source, found);
}

static bool join_chunk(struct ingest_run *run)
{
	enum td_error error;
	int64_t since_ms = 0;

	while ((error = join_add(run->join, run->store, &run->gather)) != TD_OK)
		if (!wait_for_store(run, error, &since_ms))
			return false;
	return true;
}

bool ingest_source_flush(struct ingest_source *source)
{
	struct ingest_run *run = source->run;
	struct strbuf position;

	source->flushed_ms = clock_mono_ms();
	if (source->input.offset == source->written || is_too_short(source))
		return true;
	grow_identity(source);
	if (run->gather.failed) {
		say_store(run, TD_NOMEM);
		return false;
	}
	strbuf_init(&position);
	append_position(source, &position);
	bool done = !position.failed && join_chunk(run) && write_chunk(source, position.data);
	strbuf_deinit(&position);
	if (!done)
		return false;
	gather_clear(&run->gather);
	source->is_known = true;
	source->stored = source->written = source->input.offset;
	source->former[0] = '\0';
	return true;
}

/* --- after a rotation --- */

/* The row that was written last under this path. */
static const struct ingest_row *last_under(const struct ingest_rows *rows, const char *path)
{
	const struct ingest_row *best = NULL;
	int64_t best_ms = -1;
	struct json_span value;
	char text[PATH_MAX];

	for (size_t i = 0; i < rows->count; i++) {
		const char *json = rows->rows[i].json;
		int64_t at_ms = number_of(json, "at", 0);
		if (at_ms > best_ms && json_find(json, strlen(json), "path", &value) &&
			strcmp(json_text(value, text, sizeof(text)), path) == 0) {
			best = &rows->rows[i];
			best_ms = at_ms;
		}
	}
	return best;
}

static bool begins_as(const char *path, const char *id)
{
	struct input input;
	bool is = input_open(&input, path, false) == TD_OK && input.is_file &&
		  input_is(id, "", input.buffer + input.start, input.end - input.start);

	input_close(&input);
	return is;
}

/* In the folder of path, a file whose name begins as its own: ufw.log.1, ufw.log-20261121.gz. */
static char *find_beside(const char *path, const char *id)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX], candidate[PATH_MAX];
	char *found = NULL;
	struct dirent *entry;
	unsigned seen = 0;

	if (!slash)
		return NULL;
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	size_t length = strlen(slash + 1);
	DIR *files = opendir(folder);
	while (files && !found && seen < BESIDE_MAX && (entry = readdir(files)) != NULL) {
		if (strncmp(entry->d_name, slash + 1, length) != 0 || !entry->d_name[length] ||
			!strchr(".-_", entry->d_name[length]))
			continue;
		seen++;
		if (snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)(slash - path), path,
			    entry->d_name) < (int)sizeof(candidate) &&
			begins_as(candidate, id))
			found = strdup(candidate);
	}
	if (files)
		closedir(files);
	return found;
}

char *ingest_source_find_rest(struct ingest_run *run, const char *path)
{
	char *real = strcmp(path, "-") != 0 && !*run->name ? realpath(path, NULL) : NULL;
	char *found = NULL;
	struct ingest_rows rows;
	struct arena arena;

	if (!real)
		return NULL;
	arena_init(&arena);
	if (find_sources(run, &arena, &rows)) {
		const struct ingest_row *row = last_under(&rows, real);
		if (row && !begins_as(real, row->id))
			found = find_beside(real, row->id);
	}
	arena_deinit(&arena);
	free(real);
	return found;
}
