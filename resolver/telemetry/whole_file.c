/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that shrinks while it is read ends where it ends: who wrote records tells what is torn. */
#include "resolver/telemetry/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

/* What root writes for a daemon that runs as somebody else has to be that user's to read. */
static bool leave_to_owner(int dir_fd, int fd)
{
	struct stat folder;

	if (geteuid() != 0)
		return true;
	return fstat(dir_fd, &folder) == 0 && fchown(fd, folder.st_uid, folder.st_gid) == 0;
}

static bool write_aside(int dir_fd, const char *aside, const void *data, size_t length)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	if (unlinkat(dir_fd, aside, 0) != 0 && errno != ENOENT)
		return false;
	int fd = openat(dir_fd, aside, flags, 0600);
	if (fd < 0)
		return false;
	bool good = leave_to_owner(dir_fd, fd) && whole_file_write(fd, data, length) && fsync(fd) == 0;
	int error = errno;
	good = close(fd) == 0 && good;
	errno = good ? errno : error;
	return good;
}

bool whole_file_replace(
	int dir_fd, const char *name, const char *aside, const void *data, size_t length)
{
	if (write_aside(dir_fd, aside, data, length) && renameat(dir_fd, aside, dir_fd, name) == 0)
		return fsync(dir_fd) == 0;
	int error = errno;
	unlinkat(dir_fd, aside, 0);
	errno = error;
	return false;
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
