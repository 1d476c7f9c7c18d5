/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read(2) into a buffer, and zlib's inflate between the two where the data begin as gzip does. A
 * mapped file was rejected: it is no quicker here, a pipe needs the other way all the same, and a
 * log that is truncated while it is read would be a SIGBUS.
 */
#include "resolver/control/ingest/ingest_input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "lib/base/hash.h"

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#define READ_MAX ((size_t)256 << 10)

static enum td_error fail(struct input *input, enum td_error error, const char *words)
{
	snprintf(input->words, sizeof(input->words), "%s", words);
	return error;
}

/* --- bytes as they are --- */

/* Up to size bytes; 0 with ended set at the end, or where nothing came in time. */
static enum td_error read_raw(
	struct input *input, char *out, size_t size, int wait_ms, size_t *count)
{
	struct pollfd poll_fd = {.fd = input->fd, .events = POLLIN};

	*count = 0;
	if (!input->is_file && poll(&poll_fd, 1, wait_ms) <= 0)
		return TD_OK;
	ssize_t got = read(input->fd, out, size);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return TD_OK;
	if (got < 0)
		return fail(input, TD_IO, strerror(errno));
	if (got == 0)
		input->ended = true;
	*count = (size_t)got;
	input->taken += got;
	return TD_OK;
}

/* --- gzip --- */

#ifdef HAVE_ZLIB
struct input_unzip {
	z_stream stream;
	bool between; /* a member has ended; another may follow */
	bool more;    /* it holds output that had no room */
	char raw[65536];
};

static enum td_error unzip_open(struct input *input, const char *raw, size_t length)
{
	struct input_unzip *unzip = calloc(1, sizeof(*unzip));

	if (!unzip || inflateInit2(&unzip->stream, 15 + 16) != Z_OK) {
		free(unzip);
		return fail(input, TD_NOMEM, error_text(TD_NOMEM));
	}
	input->unzip = unzip;
	memcpy(unzip->raw, raw, length);
	unzip->stream.next_in = (unsigned char *)unzip->raw;
	unzip->stream.avail_in = (unsigned)length;
	return TD_OK;
}

static void unzip_close(struct input *input)
{
	if (input->unzip)
		inflateEnd(&input->unzip->stream);
	free(input->unzip);
	input->unzip = NULL;
}

/* What comes behind a member is another one, or padding that gzip(1) ignores too. */
static bool next_member(struct input_unzip *unzip)
{
	if (unzip->stream.avail_in == 0)
		return true;
	if (*unzip->stream.next_in != 0x1f)
		return false;
	unzip->between = false;
	return inflateReset(&unzip->stream) == Z_OK;
}

static enum td_error unzip(struct input *input, char *out, size_t size, int wait_ms, size_t *count)
{
	struct input_unzip *it = input->unzip;
	z_stream *stream = &it->stream;
	size_t raw = 0;

	*count = 0;
	if (stream->avail_in == 0 && !it->more) {
		enum td_error error = read_raw(input, it->raw, sizeof(it->raw), wait_ms, &raw);
		if (error != TD_OK || raw == 0) {
			if (input->ended && !it->between)
				return fail(input, TD_TRUNCATED, "the compressed data end early");
			return error;
		}
		stream->next_in = (unsigned char *)it->raw;
		stream->avail_in = (unsigned)raw;
	}
	if (it->between && !next_member(it)) {
		input->ended = true;
		return TD_OK;
	}
	stream->next_out = (unsigned char *)out;
	stream->avail_out = (unsigned)size;
	int result = inflate(stream, Z_NO_FLUSH);
	*count = size - stream->avail_out;
	it->between = result == Z_STREAM_END;
	it->more = result == Z_OK && stream->avail_out == 0;
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return fail(input, TD_MALFORMED, "the compressed data are damaged");
	return TD_OK;
}
#else
static enum td_error unzip_open(struct input *input, const char *raw, size_t length)
{
	(void)raw;
	(void)length;
	return fail(input, TD_UNSUPPORTED,
		"it is compressed, and this build has no zlib: zcat FILE | teredown ingest -");
}

static void unzip_close(struct input *input)
{
	(void)input;
}

static enum td_error unzip(struct input *input, char *out, size_t size, int wait_ms, size_t *count)
{
	return read_raw(input, out, size, wait_ms, count);
}
#endif

/* --- the buffer --- */

static void make_room(struct input *input)
{
	if (input->start == 0)
		return;
	memmove(input->buffer, input->buffer + input->start, input->end - input->start);
	input->end -= input->start;
	input->start = 0;
}

enum td_error input_fill(struct input *input, int wait_ms)
{
	size_t count = 0;

	if (INPUT_BUFFER - input->end < READ_MAX)
		make_room(input);
	size_t room = INPUT_BUFFER - input->end;
	if (room == 0)
		return TD_FULL;
	if (room > READ_MAX)
		room = READ_MAX;
	if (input->is_file)
		input->ended = false;
	enum td_error error =
		input->unzip ? unzip(input, input->buffer + input->end, room, wait_ms, &count)
			     : read_raw(input, input->buffer + input->end, room, wait_ms, &count);
	input->end += count;
	return error;
}

void input_consume(struct input *input, size_t count)
{
	input->start += count;
	input->offset += (int64_t)count;
	if (input->start == input->end)
		input->start = input->end = 0;
}

/* --- opening --- */

/* Other compressions are named, so that nobody takes them for a log. */
static enum td_error look_at_magic(struct input *input)
{
	static const struct {
		const char *magic;
		size_t length;
		const char *words;
	} others[] = {
		{"\xfd"
		 "7zXZ",
			5, "it is compressed: xzcat FILE | teredown ingest -"},
		{"\x28\xb5\x2f\xfd", 4, "it is compressed: zstdcat FILE | teredown ingest -"},
		{"BZh", 3, "it is compressed: bzcat FILE | teredown ingest -"},
	};
	size_t length = input->end;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (length >= others[i].length &&
			memcmp(input->buffer, others[i].magic, others[i].length) == 0)
			return fail(input, TD_UNSUPPORTED, others[i].words);
	if (length < 2 || memcmp(input->buffer, "\x1f\x8b", 2) != 0)
		return TD_OK;
	input->end = 0;
	return unzip_open(input, input->buffer, length);
}

void input_look(struct input *input)
{
	struct stat status;

	if (fstat(input->fd, &status) != 0)
		return;
	input->is_file = S_ISREG(status.st_mode);
	input->size = input->is_file ? status.st_size : 0;
	input->written_ms =
		(int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
	input->device = status.st_dev;
	input->inode = status.st_ino;
}

static enum td_error read_head(struct input *input, bool wait_for_head)
{
	size_t wanted = input->is_file ? INPUT_HEAD : wait_for_head ? INPUT_IDENTITY : 1;
	enum td_error error = TD_OK;
	size_t count = 0;

	/* Few enough for the decompressor's own buffer. */
	while (error == TD_OK && !input->ended && input->end < 6) {
		error = read_raw(input, input->buffer + input->end, 65536 - input->end, -1, &count);
		input->end += count;
		if (error == TD_OK && count == 0 && !input->ended)
			return fail(input, TD_IO, "interrupted");
	}
	if (error == TD_OK)
		error = look_at_magic(input);
	input->ended = false;
	while (error == TD_OK && !input->ended && input->end < wanted)
		error = input_fill(input, -1);
	return error;
}

enum td_error input_open(struct input *input, const char *path, bool wait_for_head)
{
	*input = (struct input){.fd = -1};
	input->buffer = malloc(INPUT_BUFFER);
	if (!input->buffer)
		return fail(input, TD_NOMEM, error_text(TD_NOMEM));
	if (strcmp(path, "-") == 0)
		input->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (input->fd < 0)
		return fail(input, TD_IO, strerror(errno));
	input_look(input);
	return read_head(input, wait_for_head);
}

void input_close(struct input *input)
{
	if (input->fd >= 0)
		close(input->fd);
	input->fd = -1;
	unzip_close(input);
	free(input->buffer);
	input->buffer = NULL;
}

enum td_error input_skip_to(struct input *input, int64_t offset)
{
	while (input->offset < offset) {
		int64_t distance = offset - input->offset;
		size_t held = input->end - input->start;
		if (held > 0) {
			input_consume(input, distance < (int64_t)held ? (size_t)distance : held);
			continue;
		}
		if (input->is_file && !input->unzip) {
			if (offset > input->size || lseek(input->fd, offset, SEEK_SET) != offset)
				return fail(input, TD_TRUNCATED, "the file is shorter");
			input->taken = input->offset = offset;
			return TD_OK;
		}
		enum td_error error = input_fill(input, -1);
		if (error != TD_OK)
			return error;
		if (input->ended && input->start == input->end)
			return fail(input, TD_TRUNCATED, "it ends before");
	}
	return TD_OK;
}

/* --- whose bytes they are --- */

size_t input_head(const struct input *input, char out[INPUT_IDENTITY])
{
	if (!input->is_file || input->unzip)
		return 0;
	ssize_t length = pread(input->fd, out, INPUT_IDENTITY, 0);
	return length > 0 ? (size_t)length : 0;
}

void input_identify(const char *name, const char *head, size_t length, char out[INPUT_ID_SIZE])
{
	static const struct hash_seed seeds[2] = {{UINT64_C(0x7465726564), UINT64_C(0x6f776e)},
		{UINT64_C(0x696e67), UINT64_C(0x657374)}};
	char text[INPUT_IDENTITY + 256];
	size_t before = strlen(name) < 255 ? strlen(name) + 1 : 0;
	uint64_t hashes[2];

	if (length > INPUT_IDENTITY)
		length = INPUT_IDENTITY;
	memcpy(text, name, before);
	memcpy(text + before, head, length);
	for (int i = 0; i < 2; i++)
		hashes[i] = hash_bytes_shown(&seeds[i], text, before + length);
	snprintf(out, INPUT_ID_SIZE, "%016" PRIx64 "%016" PRIx64 "-%zu", hashes[0], hashes[1],
		length);
}

size_t input_id_length(const char *id)
{
	size_t digits = strspn(id, "0123456789abcdef");
	char *end;

	if (digits != 32 || id[32] != '-')
		return 0;
	unsigned long length = strtoul(id + 33, &end, 10);
	return *end || length > INPUT_IDENTITY ? 0 : length;
}

bool input_is(const char *id, const char *name, const char *head, size_t length)
{
	char own[INPUT_ID_SIZE];
	size_t wanted = input_id_length(id);

	if (wanted == 0 || wanted > length)
		return false;
	input_identify(name, head, wanted, own);
	return strcmp(own, id) == 0;
}
