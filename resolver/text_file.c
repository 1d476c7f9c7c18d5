/* SPDX-License-Identifier: BSD-3-Clause */
/* The size is taken first and then read in one piece: a file that another program is writing is
 * either whole or refused. */
#include "resolver/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_all(int fd, char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(fd, data + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

bool text_file_read(struct text *text, const char *path, off_t max)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool good = false;

	*text = (struct text){0};
	if (fd < 0)
		return false;
	errno = 0;
	if (fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode) || st.st_size > max)
			errno = EFBIG;
		else if ((text->data = malloc((size_t)st.st_size + 1)))
			good = read_all(fd, text->data, (size_t)st.st_size);
	}
	if (good) {
		text->size = (size_t)st.st_size;
		text->data[text->size] = '\0';
	} else {
		free(text->data);
		text->data = NULL;
		errno = errno ? errno : EIO;
	}
	close(fd);
	return good;
}
