/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder is opened once and all is done within it, so no path can be too long. The file is
 * small and changes when a person changes a mode, so whoever asked waits for the disk: what the
 * command has said is true after a power cut as well.
 */
#include "resolver/modes_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resolver/telemetry/whole_file.h"

#define NAME "modes"
#define ASIDE "modes.new"

enum td_error modes_file_read(struct modes *modes, const char *folder, char *why, size_t size)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *words = NULL;
	uint8_t *octets = NULL;
	size_t length;

	enum td_error error =
		dir < 0 ? TD_IO : whole_file_read(dir, NAME, MODES_TEXT_MAX, &octets, &length);
	if (error == TD_OK)
		error = modes_read(modes, (const char *)octets, length, &words);
	else if (error == TD_FULL)
		words = "it is too long";
	else if (error == TD_IO)
		words = strerror(errno);
	free(octets);
	if (dir >= 0)
		close(dir);
	if (error == TD_NOT_FOUND || error == TD_OK)
		return TD_OK;
	snprintf(why, size, "%s", words ? words : error_text(error));
	return error == TD_NOMEM ? TD_NOMEM : TD_MALFORMED;
}

static bool write_aside(int dir, const struct strbuf *text)
{
	int fd = openat(dir, ASIDE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	bool good = whole_file_write(fd, text->data, text->length) && fsync(fd) == 0;
	int error = errno;
	good = close(fd) == 0 && good;
	if (!good)
		unlinkat(dir, ASIDE, 0);
	errno = good ? errno : error;
	return good;
}

static bool replace(int dir, const struct modes *modes)
{
	struct strbuf text;

	if (modes->count == 0)
		return unlinkat(dir, NAME, 0) == 0 || errno == ENOENT;
	strbuf_init(&text);
	modes_write(modes, &text);
	errno = ENOMEM;
	bool good = !text.failed && write_aside(dir, &text) && renameat(dir, ASIDE, dir, NAME) == 0;
	int error = errno;
	strbuf_deinit(&text);
	errno = error;
	return good;
}

bool modes_file_write(const struct modes *modes, const char *folder)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return false;
	bool good = replace(dir, modes) && fsync(dir) == 0;
	int error = errno;
	close(dir);
	errno = error;
	return good;
}
