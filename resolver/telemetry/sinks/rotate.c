/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Renames only: whoever has the file open goes on writing to it until it opens the new one, so
 * nothing is lost at the turn. Names with a date were rejected: two turns in one second would need
 * a number all the same, and the oldest could only be found by reading the directory.
 *
 * A symbolic link stays: were it renamed itself, the new file would lie where the link was, on a
 * disk that it may have been made to spare.
 */
#include "resolver/telemetry/sinks/rotate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define OLD_SIZE (PATH_MAX + 11) /* with a dot and a number; the system refuses what is too long */

static void name_old(char out[OLD_SIZE], const char *file, unsigned number)
{
	snprintf(out, OLD_SIZE, "%s.%u", file, number);
}

bool rotate_files(const char *path, unsigned keep)
{
	char file[PATH_MAX], from[OLD_SIZE], to[OLD_SIZE];

	if (!realpath(path, file))
		return errno == ENOENT;
	for (unsigned number = keep; number > 1; number--) {
		name_old(from, file, number - 1);
		name_old(to, file, number);
		if (rename(from, to) != 0 && errno != ENOENT)
			return false;
	}
	name_old(to, file, 1);
	return rename(file, to) == 0 || errno == ENOENT;
}
