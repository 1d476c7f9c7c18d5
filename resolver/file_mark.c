/* SPDX-License-Identifier: BSD-3-Clause */
/* The time of the last change of the inode is among what is compared: a file cannot be written and
 * then given its old time and size back without leaving a trace there. */
#include "resolver/file_mark.h"

#include "lib/base/clock.h"

struct file_mark file_mark_of_status(const struct stat *status)
{
	return (struct file_mark){.device = status->st_dev,
		.inode = status->st_ino,
		.size = status->st_size,
		.modified = status->st_mtim,
		.changed = status->st_ctim};
}

struct file_mark file_mark_of(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0)
		return file_mark_of_status(&status);
	return (struct file_mark){0};
}

static bool times_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_mark_equal(const struct file_mark *a, const struct file_mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       times_equal(&a->modified, &b->modified) && times_equal(&a->changed, &b->changed);
}

bool file_mark_is_none(const struct file_mark *mark)
{
	return mark->inode == 0 && mark->device == 0;
}

static bool is_later(const struct timespec *time, int64_t wall_us)
{
	return (int64_t)time->tv_sec * US_PER_S + time->tv_nsec / 1000 > wall_us;
}

bool file_mark_is_fresh(const struct file_mark *mark, int64_t wall_us)
{
	return is_later(&mark->modified, wall_us - FILE_MARK_SURE_US) ||
	       is_later(&mark->changed, wall_us - FILE_MARK_SURE_US);
}
