/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Warm start: the cache is written to a file at a clean stop and read from it at the next start.
 *
 * It is read by the main thread, a few milliseconds at a time between its other events, while the
 * workers answer already: the first answer waits for nothing, and the rules in force are at hand to
 * judge what comes. A thread of its own would need them locked. All checksums are looked at before
 * the first entry is taken, so a file that is damaged anywhere gives an empty cache and one line in
 * the log.
 *
 * Only what would be asked of the same server now comes back (is_from).
 *
 * A flush removes the file: should the daemon be killed after it, what was flushed does not come
 * back.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/cache_file.h"
#include "resolver/daemon.h"

#define SLICE_US 2000 /* of the main thread */
#define FUTURE_MS 1000
#define SAVED_NAME "cache.save"
#define PATH_SIZE 160 /* state-dir fits a unix socket */

struct cache_loader {
	struct daemon *daemon;
	struct event *event;
	FILE *stream;
	struct cache_file file;
	bool checked; /* the first pass, over all checksums, is done */
	uint32_t epoch;
	int64_t begun_us;
	uint64_t serial, loaded;
};

static int64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static void saved_path(const struct daemon *daemon, const char *ending, char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%s/" SAVED_NAME "%s", daemon->options->state_dir, ending);
}

/* --- loading --- */

static void loader_end(struct cache_loader *loader)
{
	loader->daemon->cache_loader = NULL;
	event_free(loader->event);
	fclose(loader->stream);
	free(loader);
}

static void loader_fail(struct cache_loader *loader)
{
	log_warning("cache: %s/" SAVED_NAME ": %s; it begins empty",
		loader->daemon->options->state_dir, loader->file.why);
	loader_end(loader);
}

static void loader_finish(struct cache_loader *loader)
{
	log_info("cache: %" PRIu64 " of %" PRIu64 " saved entries are back after %" PRId64 " ms",
		loader->loaded, loader->file.count,
		(daemon_mono_us() - loader->begun_us) / US_PER_MS);
	loader_end(loader);
}

/* Numbers of answers of earlier lives are apart from those of all workers. */
static uint64_t next_id(struct cache_loader *loader)
{
	return (uint64_t)(QUERY_WORKERS_MAX + 1) << 56 | ++loader->serial;
}

/* What comes back came from a server that would be asked for its name now: whoever moved a zone to
 * other servers, or this machine to another network, does not want what the old ones said. */
static bool is_from(const struct route_group *group, const struct endpoint *server)
{
	for (size_t i = 0; i < group->server_count; i++)
		if (endpoint_equal(&group->servers[i].endpoint, server))
			return true;
	return false;
}

/* The rules that match it now; false: it is not to come back. */
static bool judge(const struct daemon *daemon, struct answer *answer, const struct name *qname)
{
	const struct query_policy *policy = daemon->policy;
	struct site_place place = site_find(policy->site, qname->wire, qname->length);

	if (place.host || place.never ||
		!is_from(route_table_group(policy->site->routes, place.group), &answer->upstream))
		return false;
	answer_match(answer, &policy->view);
	answer->match_count = (uint8_t)site_overrule(&place, policy->view.index, qname->wire,
		qname->length, answer->matches, answer->match_count);
	return true;
}

static void take(struct cache_loader *loader, const struct cache_record *record)
{
	struct daemon *daemon = loader->daemon;
	struct upstream_question question;
	struct cache_key key;
	int64_t now_us = daemon_mono_us();
	struct answer *answer = cache_file_answer(
		record, wall_ms(), now_us, &daemon->policy->limits, next_id(loader), &question);

	if (!answer || !judge(daemon, answer, &question.qname)) {
		free(answer);
		return;
	}
	answer->epoch = loader->epoch;
	cache_key_make(daemon->cache, &key, question.qname.wire, question.qname.length,
		question.qtype, record->copy.flags);
	loader->loaded += cache_restore(
		daemon->cache, &key, answer, record->copy.hits, record->copy.proven, now_us);
}

static bool begin_again(struct cache_loader *loader)
{
	loader->checked = true;
	return cache_file_open(&loader->file, loader->stream) == TD_OK;
}

static void on_slice(evutil_socket_t fd, short what, void *context)
{
	static const struct timeval at_once;
	struct cache_loader *loader = context;
	int64_t until_us = daemon_mono_us() + SLICE_US;
	struct cache_record record;

	(void)fd;
	(void)what;
	while (daemon_mono_us() < until_us) {
		enum td_error error = cache_file_next(&loader->file, &record);
		if (error == TD_NOT_FOUND && loader->checked) {
			loader_finish(loader);
			return;
		}
		if (error == TD_NOT_FOUND ? !begin_again(loader) : error != TD_OK) {
			loader_fail(loader);
			return;
		}
		if (error == TD_OK && loader->checked)
			take(loader, &record);
	}
	event_add(loader->event, &at_once);
}

/* Header and clock. False: `why` says it. */
static bool loader_open(struct cache_loader *loader)
{
	if (cache_file_open(&loader->file, loader->stream) != TD_OK)
		return false;
	if (loader->file.saved_ms <= wall_ms() + FUTURE_MS)
		return true;
	snprintf(loader->file.why, sizeof loader->file.why,
		"it was saved in the future: the clock has been set back");
	return false;
}

static FILE *open_saved(const struct daemon *daemon)
{
	char path[PATH_SIZE];
	struct stat status;

	saved_path(daemon, "", path);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return NULL;
	FILE *stream = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)
			       ? fdopen(fd, "rb")
			       : NULL;
	if (!stream) {
		log_warning("cache: %s cannot be read: %s; it begins empty", path,
			fd < 0 ? strerror(errno) : "it is no regular file");
		if (fd >= 0)
			close(fd);
	}
	return stream;
}

void daemon_cache_load(struct daemon *daemon)
{
	static const struct timeval at_once;
	FILE *stream = daemon->options->cache_save ? open_saved(daemon) : NULL;
	struct cache_loader *loader = stream ? calloc(1, sizeof *loader) : NULL;

	if (stream && !loader)
		fclose(stream);
	if (!loader)
		return;
	loader->daemon = daemon;
	loader->stream = stream;
	loader->begun_us = daemon_mono_us();
	loader->epoch = cache_epoch(daemon->cache);
	loader->event = event_new(daemon->base, -1, 0, on_slice, loader);
	if (!loader->event || event_add(loader->event, &at_once) != 0) {
		if (loader->event)
			event_free(loader->event);
		fclose(stream);
		free(loader);
		return;
	}
	daemon->cache_loader = loader;
	if (!loader_open(loader))
		loader_fail(loader);
}

void daemon_cache_forget_saved(const struct daemon *daemon)
{
	char path[PATH_SIZE];

	saved_path(daemon, "", path);
	if (unlink(path) != 0 && errno != ENOENT)
		log_warning("cache: %s cannot be removed: %s; what was flushed comes back if the "
			    "daemon is killed",
			path, strerror(errno));
}

/* --- saving --- */

static bool write_entries(struct daemon *daemon, FILE *stream, uint64_t *count)
{
	struct cache_copy copies[CACHE_SLICE];
	struct cache_file *file = malloc(sizeof *file);
	struct cache_walk *walk = cache_walk_new(daemon->cache);
	int64_t now_us = daemon_mono_us(), now_ms = wall_ms();
	bool good = file && walk;
	size_t found = 0;

	if (good)
		cache_file_begin(file, stream, now_ms);
	while (good && cache_walk_copy(walk, copies, &found))
		for (size_t i = 0; i < found; i++) {
			cache_file_add(file, &copies[i],
				now_ms - (now_us - copies[i].answer->stored_us) / US_PER_MS);
			free(copies[i].answer);
		}
	good = good && cache_file_end(file);
	*count = good ? file->count : 0;
	cache_walk_free(walk);
	free(file);
	return good;
}

/* The folder remembers the new name after a loss of power. */
static bool sync_folder(const struct daemon *daemon)
{
	int fd = open(daemon->options->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static bool save(struct daemon *daemon, const char *path, const char *new_path, uint64_t *count)
{
	int fd;
	FILE *stream;

	unlink(new_path);
	fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	stream = fdopen(fd, "wb");
	if (!stream) {
		close(fd);
		return false;
	}
	bool good = write_entries(daemon, stream, count) && fsync(fd) == 0;
	good = fclose(stream) == 0 && good;
	return good && rename(new_path, path) == 0 && sync_folder(daemon);
}

void daemon_cache_save(struct daemon *daemon)
{
	char path[PATH_SIZE], new_path[PATH_SIZE];
	uint64_t count = 0;

	if (daemon->cache_loader) { /* the file knows more than the cache */
		loader_end(daemon->cache_loader);
		return;
	}
	if (!daemon->opened || !daemon->options->cache_save)
		return;
	saved_path(daemon, "", path);
	saved_path(daemon, ".new", new_path);
	errno = 0;
	if (save(daemon, path, new_path, &count)) {
		log_info("cache: %" PRIu64 " entries saved", count);
		return;
	}
	log_warning("cache: %s cannot be written: %s; the next start has what was saved before",
		new_path, errno ? strerror(errno) : "no memory");
	unlink(new_path);
}
