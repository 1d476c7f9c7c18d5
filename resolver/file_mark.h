/* SPDX-License-Identifier: BSD-3-Clause */
/* By what a file is known again without reading it: device, inode, size and times. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* How old a change has to be, in microseconds: file systems stamp files with a coarse clock, and
 * one that is written twice within a tick of it may look the same. */
#define FILE_MARK_SURE_US 100000

/* All zero: there is no such file. */
struct file_mark {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct file_mark file_mark_of(const char *path);
struct file_mark file_mark_of_status(const struct stat *status);
bool file_mark_equal(const struct file_mark *a, const struct file_mark *b);
bool file_mark_is_none(const struct file_mark *mark);

/* Whether the file was changed so shortly before wall_us that it may change again and keep its
 * mark. */
bool file_mark_is_fresh(const struct file_mark *mark, int64_t wall_us);
