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

static bool replace(int dir, const struct modes *modes)
{
	struct strbuf text;

	if (modes->count == 0)
		return (unlinkat(dir, NAME, 0) == 0 || errno == ENOENT) && fsync(dir) == 0;
	strbuf_init(&text);
	modes_write(modes, &text);
	errno = ENOMEM;
	bool good = !text.failed && whole_file_replace(dir, NAME, ASIDE, text.data, text.length);
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
	bool good = replace(dir, modes);
	int error = errno;
	close(dir);
	errno = error;
	return good;
}
