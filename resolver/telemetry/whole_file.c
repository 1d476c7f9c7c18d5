/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that shrinks while it is read ends where it ends: who wrote records tells what is torn. */
#include "resolver/telemetry/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool whole_file_write(int fd, const void *data, size_t length)
{
	const uint8_t *octets = data;
	size_t done = 0;

	while (done < length) {
		ssize_t written = write(fd, octets + done, length - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written == 0)
			errno = ENOSPC;
		if (written <= 0)
			return false;
		done += (size_t)written;
	}
	return true;
}

static enum td_error read_all(int fd, uint8_t *octets, size_t *size)
{
	size_t done = 0;

	while (done < *size) {
		ssize_t length = read(fd, octets + done, *size - done);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return TD_IO;
		if (length == 0)
			break;
		done += (size_t)length;
	}
	*size = done;
	return TD_OK;
}

static enum td_error read_fd(int fd, size_t most, uint8_t **octets, size_t *size)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return TD_IO;
	if (!S_ISREG(status.st_mode)) {
		errno = EINVAL;
		return TD_IO;
	}
	*size = (size_t)status.st_size;
	if (*size > most)
		return TD_FULL;
	*octets = malloc(*size + 1);
	return *octets ? read_all(fd, *octets, size) : TD_NOMEM;
}

enum td_error whole_file_read(
	int dir_fd, const char *name, size_t most, uint8_t **octets, size_t *size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	*octets = NULL;
	if (fd < 0)
		return errno == ENOENT ? TD_NOT_FOUND : TD_IO;
	enum td_error error = read_fd(fd, most, octets, size);
	close(fd);
	if (error != TD_OK) {
		free(*octets);
		*octets = NULL;
	}
	return error;
}
