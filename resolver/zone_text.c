/* SPDX-License-Identifier: BSD-3-Clause */
/* A file that is replaced while it is read goes on under its descriptor, and the path has another
 * mark then; only one that is written in place can be read in parts of two versions. */
#include "resolver/zone_text.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "resolver/text_file.h"

static size_t text_read(void *context, char *out, size_t size)
{
	struct zone_text *text = context;
	ssize_t got;

	if (text->cancelled && atomic_load_explicit(text->cancelled, memory_order_relaxed))
		return 0;
	do
		got = read(text->fd, out, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		text->error = errno;
	return got > 0 ? (size_t)got : 0;
}

static void text_rewind(void *context)
{
	struct zone_text *text = context;

	if (lseek(text->fd, 0, SEEK_SET) != 0)
		text->error = errno;
}

bool zone_text_open(struct zone_text *text, const char *path, const atomic_bool *cancelled)
{
	struct stat status;
	int fault = 0;

	*text = (struct zone_text){.input = {text, text_read, text_rewind},
		.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
		.cancelled = cancelled};
	if (text->fd < 0)
		return false;
	if (fstat(text->fd, &status) != 0)
		fault = errno;
	else if (!S_ISREG(status.st_mode))
		fault = EINVAL;
	else if (status.st_size > TEXT_FILE_MAX)
		fault = EFBIG;
	if (fault) {
		close(text->fd);
		errno = fault;
		return false;
	}
	text->mark = file_mark_of_status(&status);
	return true;
}

bool zone_text_close(struct zone_text *text)
{
	struct stat status;
	bool same = fstat(text->fd, &status) == 0;

	if (same) {
		struct file_mark now = file_mark_of_status(&status);
		now.changed = text->mark.changed; /* it may have lost its name since */
		same = file_mark_equal(&now, &text->mark);
	}
	close(text->fd);
	return same;
}
