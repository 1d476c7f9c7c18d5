/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The events of inotify say only that it is time to look: whether a file changed is told by its
 * device, inode, size and times, which are compared after every event and every few seconds. So an
 * event that is lost, or one about another file of the folder, does no harm. A change is told of
 * when the file has been the same for a moment: a file that is truncated and written in two steps
 * is not read in between.
 */
#include "resolver/file_watch.h"

#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "resolver/file_mark.h"

#define LOOK_S 5
#define LOOK_BLIND_S 1 /* where inotify is not to be had */
#define LINKS_MAX 16   /* symbolic links followed from one path */
#define EVENTS (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

struct file_watch {
	struct event_base *base;
	file_watch_fn *changed;
	void *context;
	char *paths[FILE_WATCH_MAX];
	size_t count;
	struct file_mark known[FILE_WATCH_MAX]; /* as they were told of last */
	struct file_mark seen[FILE_WATCH_MAX];  /* as they were when a change was noticed */
	unsigned rounds;                   /* since then, 0: none was */
	unsigned settle_ms, rounds_max;
	int fd;                            /* of inotify, -1: none */
	struct event *readable, *look, *settle;
};

/* --- looking --- */

static void look_at_all(const struct file_watch *watch, struct file_mark *out)
{
	for (size_t i = 0; i < watch->count; i++)
		out[i] = file_mark_of(watch->paths[i]);
}

static bool marks_equal(
	const struct file_watch *watch, const struct file_mark *a, const struct file_mark *b)
{
	for (size_t i = 0; i < watch->count; i++)
		if (!file_mark_equal(&a[i], &b[i]))
			return false;
	return true;
}

static void wait_until_settled(struct file_watch *watch)
{
	const struct timeval settle = {.tv_sec = watch->settle_ms / 1000,
		.tv_usec = watch->settle_ms % 1000 * 1000};

	watch->rounds++;
	event_add(watch->settle, &settle);
}

static void look(struct file_watch *watch)
{
	if (watch->rounds)
		return; /* it is being waited for already */
	look_at_all(watch, watch->seen);
	if (!marks_equal(watch, watch->seen, watch->known))
		wait_until_settled(watch);
}

/* --- inotify --- */

/* The folder of the path; where the path is a link, those of what it leads to as well. */
static void watch_folders(const struct file_watch *watch, const char *path)
{
	char at[PATH_MAX], target[PATH_MAX], joined[2 * PATH_MAX];

	snprintf(at, sizeof(at), "%s", path);
	for (unsigned links = 0; links < LINKS_MAX; links++) {
		ssize_t length = readlink(at, target, sizeof(target) - 1);
		char *slash = strrchr(at, '/');

		if (!slash)
			return;
		slash[slash == at] = '\0'; /* the folder */
		inotify_add_watch(watch->fd, at, EVENTS);
		if (length <= 0)
			return;
		target[length] = '\0';
		if (target[0] == '/')
			snprintf(joined, sizeof(joined), "%s", target);
		else
			snprintf(joined, sizeof(joined), "%s/%s", at, target);
		if (strlen(joined) >= sizeof(at))
			return;
		memcpy(at, joined, strlen(joined) + 1);
	}
}

static void close_inotify(struct file_watch *watch)
{
	if (watch->readable)
		event_free(watch->readable);
	watch->readable = NULL;
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	(void)what;
	while (read(fd, events, sizeof(events)) > 0)
		continue;
	look(context);
}

/* Anew after every change, so that no folder is watched to which nothing leads any more. */
static void open_inotify(struct file_watch *watch)
{
	close_inotify(watch);
	if (watch->count == 0)
		return;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		return;
	watch->readable =
		event_new(watch->base, watch->fd, EV_READ | EV_PERSIST, on_readable, watch);
	if (!watch->readable || event_add(watch->readable, NULL) != 0) {
		close_inotify(watch);
		return;
	}
	for (size_t i = 0; i < watch->count; i++)
		watch_folders(watch, watch->paths[i]);
}

/* --- timers --- */

static void look_again_later(struct file_watch *watch)
{
	struct timeval wait = {.tv_sec = watch->fd < 0 ? LOOK_BLIND_S : LOOK_S};

	if (watch->count)
		event_add(watch->look, &wait);
}

/* Folders that were not there before are watched from now on; of the others nothing changes. */
static void on_look(evutil_socket_t fd, short what, void *context)
{
	struct file_watch *watch = context;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < watch->count && watch->fd >= 0; i++)
		watch_folders(watch, watch->paths[i]);
	look(watch);
	look_again_later(watch);
}

static void on_settled(evutil_socket_t fd, short what, void *context)
{
	struct file_watch *watch = context;
	struct file_mark now[FILE_WATCH_MAX];

	(void)fd;
	(void)what;
	look_at_all(watch, now);
	if (!marks_equal(watch, now, watch->seen) && watch->rounds < watch->rounds_max) {
		memcpy(watch->seen, now, sizeof(now[0]) * watch->count);
		wait_until_settled(watch);
		return;
	}
	bool changed = !marks_equal(watch, now, watch->known);
	memcpy(watch->known, now, sizeof(now[0]) * watch->count);
	watch->rounds = 0;
	open_inotify(watch);
	look(watch); /* between the two */
	if (changed)
		watch->changed(watch->context);
}

/* --- public --- */

struct file_watch *file_watch_new(struct event_base *base, file_watch_fn *changed, void *context)
{
	struct file_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->base = base;
	watch->changed = changed;
	watch->context = context;
	watch->fd = -1;
	file_watch_set_times(watch, FILE_WATCH_SETTLE_MS, FILE_WATCH_PATIENCE_MS);
	watch->look = event_new(base, -1, 0, on_look, watch);
	watch->settle = event_new(base, -1, 0, on_settled, watch);
	if (watch->look && watch->settle)
		return watch;
	file_watch_free(watch);
	return NULL;
}

static void forget_paths(struct file_watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		free(watch->paths[i]);
	watch->count = 0;
	watch->rounds = 0;
	event_del(watch->look);
	event_del(watch->settle);
	close_inotify(watch);
}

void file_watch_free(struct file_watch *watch)
{
	if (!watch)
		return;
	if (watch->look && watch->settle)
		forget_paths(watch);
	if (watch->look)
		event_free(watch->look);
	if (watch->settle)
		event_free(watch->settle);
	free(watch);
}

void file_watch_set_times(struct file_watch *watch, unsigned settle_ms, unsigned patience_ms)
{
	watch->settle_ms = settle_ms;
	watch->rounds_max = patience_ms / settle_ms;
}

bool file_watch_set(struct file_watch *watch, const char *const *paths, size_t count)
{
	forget_paths(watch);
	for (; watch->count < count && watch->count < FILE_WATCH_MAX; watch->count++) {
		char *path = strdup(paths[watch->count]);

		if (!path) {
			forget_paths(watch);
			return false;
		}
		watch->paths[watch->count] = path;
	}
	memset(watch->known, 0, sizeof(watch->known));
	open_inotify(watch); /* before looking, so that no change falls between */
	look(watch);
	look_again_later(watch);
	return true;
}
