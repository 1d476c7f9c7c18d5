/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Renames only: whoever has the file open goes on writing to it until it opens the new one, so
 * nothing is lost at the turn. Names with a date were rejected: two turns in one second would need
 * a number all the same, and the oldest could only be found by reading the directory.
 */
#include "resolver/telemetry/sinks/rotate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

static bool name_old(char out[PATH_MAX], const char *path, unsigned number)
{
	int length = snprintf(out, PATH_MAX, "%s.%u", path, number);

	return length > 0 && length < PATH_MAX;
}

bool rotate_files(const char *path, unsigned keep)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (!name_old(to, path, keep)) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (unsigned number = keep; number > 1; number--) {
		if (!name_old(from, path, number - 1) || !name_old(to, path, number))
			return false;
		if (rename(from, to) != 0 && errno != ENOENT)
			return false;
	}
	name_old(to, path, 1);
	return rename(path, to) == 0 || errno == ENOENT;
}
