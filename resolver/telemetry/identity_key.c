/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line: the key in hexadecimal and the day (since 1970, UTC) it was made. A new one is written
 * beside the file and renamed over it, so that a crash leaves one of the two.
 */
#include "resolver/telemetry/identity_key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/clock_watch.h"

#define US_PER_DAY INT64_C(86400000000)
#define PATH_SIZE 4096

static bool read_file(const char *path, struct hash_seed *key, int64_t *day)
{
	FILE *file = fopen(path, "re");
	char line[80];
	bool good = false;

	if (!file)
		return false;
	if (fgets(line, sizeof(line), file))
		good = sscanf(line, "%16" SCNx64 "%16" SCNx64 " %7" SCNd64, &key->k0, &key->k1,
			       day) == 3;
	fclose(file);
	if (!good)
		log_warning("%s: it is no key; pseudonyms change", path);
	return good;
}

static bool write_all(int fd, const char *text, size_t length)
{
	return write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
}

static bool write_file(const char *path, const struct hash_seed *key, int64_t day)
{
	char beside[PATH_SIZE + 8], line[80];
	int length = snprintf(line, sizeof(line), "%016" PRIx64 "%016" PRIx64 " %" PRId64 "\n",
		key->k0, key->k1, day);

	snprintf(beside, sizeof(beside), "%s.new", path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	bool good = write_all(fd, line, (size_t)length);
	good = close(fd) == 0 && good;
	return good && rename(beside, path) == 0;
}

/* A key of a day that has not come was made while the clock was ahead, and would stay for as long.
 * A day more is a clock that was set back at midnight; a clock that is not set says nothing. */
static bool is_due(int64_t made, unsigned renew_days, int64_t wall_us)
{
	int64_t today = wall_us / US_PER_DAY;

	if (renew_days == 0)
		return false;
	return today >= made + renew_days || (made > today + 1 && wall_us >= CLOCK_UNSET_US);
}

enum td_error identity_key_load(const char *state_dir, unsigned renew_days, int64_t wall_us,
	struct hash_seed *out, bool *renewed)
{
	int64_t today = wall_us / US_PER_DAY, made = 0;
	char path[PATH_SIZE];

	*renewed = false;
	if (snprintf(path, sizeof(path), "%s/anonymize.key", state_dir) >= (int)sizeof(path))
		return TD_TOO_LONG;
	if (read_file(path, out, &made) && !is_due(made, renew_days, wall_us))
		return TD_OK;
	if (getrandom(out, sizeof(*out), 0) == (ssize_t)sizeof(*out) &&
		write_file(path, out, today)) {
		*renewed = true;
		return TD_OK;
	}
	log_error("%s: %s; without a key there are no pseudonyms", path, strerror(errno));
	return TD_IO;
}
