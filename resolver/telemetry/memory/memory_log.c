/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Framing and the few system calls. The page cache keeps what was written when the writer is
 * killed; a write that a signal or a full file system cut short leaves a record that is not whole.
 *
 *   record   magic 4 | length 4 | CRC of length and body 4 | body
 *
 * Rejected: a mapped file, in which a full tmpfs is a SIGBUS instead of an error.
 */
#include "resolver/telemetry/memory/memory_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/crc32c.h"
#include "resolver/telemetry/whole_file.h"

#define MAGIC 0x4c4d4454u /* "TDML" */

struct frame {
	uint32_t magic, length, crc;
};

static uint32_t crc_of(uint32_t length, const void *body)
{
	return crc32c(crc32c(0, &length, sizeof(length)), body, length);
}

enum td_error memory_log_create(struct memory_log *log, int dir_fd, const char *name)
{
	*log = (struct memory_log){
		.fd = openat(dir_fd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
	return log->fd >= 0 ? TD_OK : TD_IO;
}

void memory_log_close(struct memory_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	*log = (struct memory_log){.fd = -1};
}

void memory_log_begin(struct strbuf *out)
{
	static const struct frame room;

	strbuf_clear(out);
	strbuf_append(out, &room, sizeof(room));
}

enum td_error memory_log_append(struct memory_log *log, struct strbuf *out)
{
	size_t length = out->length - sizeof(struct frame);

	if (out->failed || length > UINT32_MAX)
		return TD_NOMEM;
	struct frame frame = {.magic = MAGIC,
		.length = (uint32_t)length,
		.crc = crc_of((uint32_t)length, out->data + sizeof(frame))};
	memcpy(out->data, &frame, sizeof(frame));
	if (!whole_file_write(log->fd, out->data, out->length)) {
		int error = errno;
		memory_log_cut(log, log->bytes);
		errno = error;
		return TD_IO;
	}
	log->bytes += out->length;
	return TD_OK;
}

enum td_error memory_log_cut(struct memory_log *log, size_t bytes)
{
	if (ftruncate(log->fd, (off_t)bytes) != 0)
		return TD_IO;
	log->bytes = bytes;
	return TD_OK;
}

const uint8_t *memory_log_next(const uint8_t *octets, size_t size, size_t *at, size_t *length)
{
	struct frame frame;

	if (size - *at < sizeof(frame))
		return NULL;
	memcpy(&frame, octets + *at, sizeof(frame));
	const uint8_t *body = octets + *at + sizeof(frame);
	if (frame.magic != MAGIC || frame.length > size - *at - sizeof(frame) ||
		frame.crc != crc_of(frame.length, body))
		return NULL;
	*at += sizeof(frame) + frame.length;
	*length = frame.length;
	return body;
}
