/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines gather in one buffer and leave in writes of 256 kB, so that a hundred thousand lines a
 * second cost some hundred system calls. A regular file is simply written. Anything that can have a
 * reader (pipe, FIFO, terminal) is asked by poll first and then given at most PIPE_BUF octets,
 * which it then takes without waiting: O_NONBLOCK on stdout would change the terminal for everyone
 * else who has it open.
 *
 * A disk that is full takes a part of what it is given. The file is cut back to its last whole
 * line, and the rest waits in the buffer, as far as that goes, until there is room.
 */
#include "resolver/telemetry/sinks/querylog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/sinks/rotate.h"

#define WRITE_AT ((size_t)256 << 10)
#define RETRY_US (5 * US_PER_S)
#define RETRY_WRITE_US (US_PER_S / 5)
#define LINE_BEGIN "{\"ts\":\""
#define TAIL_MAX ((off_t)64 << 10) /* a part of a line that is longer is not ours */

static bool is_stdout(const struct querylog *log)
{
	return strcmp(log->path, "-") == 0;
}

static void log_failure(struct querylog *log, const char *what)
{
	if (!log->failing)
		log_error(
			"query log %s: %s: %s; lines are dropped and counted until it works again",
			log->path, what, strerror(errno));
	log->failing = true;
}

static void log_success(struct querylog *log)
{
	if (log->failing)
		log_info("query log %s: writing again, %llu lines were dropped so far", log->path,
			(unsigned long long)log->dropped);
	log->failing = false;
}

/* Octets behind the last newline of a regular file; -1 when it cannot be told. */
static off_t read_tail(int fd, off_t size, char *out)
{
	off_t length = size < TAIL_MAX ? size : TAIL_MAX;

	if (pread(fd, out, (size_t)length, size - length) != (ssize_t)length)
		return -1;
	char *newline = memrchr(out, '\n', (size_t)length);
	off_t tail = newline ? out + length - (newline + 1) : length;
	memmove(out, out + length - tail, (size_t)tail);
	return tail;
}

/* Somebody died in the middle of a line. It is cut off where it is one of ours; else the next line
 * begins on its own. */
static void mend_tail(struct querylog *log, const struct stat *status)
{
	static const char begin[] = LINE_BEGIN;
	char *tail = malloc(TAIL_MAX);
	int fd = open(log->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat other;
	off_t length = -1;

	if (tail && fd >= 0 && fstat(fd, &other) == 0 && other.st_ino == status->st_ino &&
		other.st_dev == status->st_dev)
		length = read_tail(fd, other.st_size, tail);
	size_t same = sizeof(begin) - 1;
	if (length >= 0 && (size_t)length < same)
		same = (size_t)length;
	if (length > 0 && memcmp(tail, begin, same) == 0 && length < TAIL_MAX &&
		ftruncate(log->fd, other.st_size - length) == 0)
		log->size = (uint64_t)(other.st_size - length);
	else
		log->torn = length > 0;
	if (fd >= 0)
		close(fd);
	free(tail);
}

static void open_file(struct querylog *log, const struct now *now)
{
	struct stat status;

	log->torn = false;
	log->size = 0;
	if (is_stdout(log))
		log->fd = STDOUT_FILENO;
	else
		log->fd = open(log->path,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	if (log->fd < 0) {
		log_failure(log, "open");
		log->retry_us = now->mono_us + RETRY_US;
		return;
	}
	log->retry_us = 0;
	log->regular = fstat(log->fd, &status) == 0 && S_ISREG(status.st_mode);
	if (!log->regular || is_stdout(log))
		return;
	log->size = (uint64_t)status.st_size;
	if (status.st_size > 0)
		mend_tail(log, &status);
}

static void close_file(struct querylog *log)
{
	if (log->fd >= 0 && !is_stdout(log))
		close(log->fd);
	log->fd = -1;
}

static void forget_buffer(struct querylog *log)
{
	strbuf_clear(&log->buffer);
	log->sent = 0;
	log->buffered = 0;
}

static void drop_buffer(struct querylog *log)
{
	if (log->sent > 0)
		log->torn = log->buffer.data[log->sent - 1] != '\n';
	else if (log->buffer.length > 0)
		log->torn = log->buffer.data[0] ==
			    '\n'; /* the end of an earlier torn line did not get out either */
	log->dropped += log->buffered;
	forget_buffer(log);
}

/* Gives the room of what was sent back. */
static void compact_buffer(struct querylog *log)
{
	memmove(log->buffer.data, log->buffer.data + log->sent, log->buffer.length - log->sent);
	log->buffer.length -= log->sent;
	log->sent = 0;
}

/* --- a regular file --- */

static uint64_t count_lines(const char *text, size_t length)
{
	uint64_t lines = 0;

	for (const char *newline = memchr(text, '\n', length); newline;
		newline = memchr(newline + 1, '\n', length - (size_t)(newline + 1 - text)))
		lines++;
	return lines;
}

/* The file has its size. False: it has to take more. */
static bool turn(struct querylog *log, const struct now *now)
{
	struct stat status;

	if (now->mono_us < log->retry_us)
		return false;
	if (fstat(log->fd, &status) == 0 && (uint64_t)status.st_size < log->size) {
		log->size = (uint64_t)status.st_size; /* somebody cut it */
		return true;
	}
	if (!rotate_files(log->path, log->keep)) {
		if (!log->stuck)
			log_error("query log %s: it cannot be turned: %s; it grows beyond "
				  "query-log-size",
				log->path, strerror(errno));
		log->stuck = true;
		log->retry_us = now->mono_us + RETRY_US;
		return false;
	}
	log->stuck = false;
	log->turns++;
	close_file(log);
	open_file(log, now);
	return true;
}

/* How much of what waits goes into this file: whole lines, up to its size. 0: it was turned, or
 * could not be opened anew. */
static size_t portion(struct querylog *log, const struct now *now)
{
	const char *text = log->buffer.data + log->sent;
	size_t left = log->buffer.length - log->sent;

	if (log->size_max == 0 || log->size + left <= log->size_max || is_stdout(log))
		return left;
	size_t room = log->size < log->size_max ? (size_t)(log->size_max - log->size) : 0;
	const char *newline = memrchr(text, '\n', room < left ? room : left);
	if (newline)
		return (size_t)(newline + 1 - text);
	if (log->size > 0)
		return turn(log, now) ? 0 : left;
	newline = memchr(text, '\n', left); /* one line that is larger than a file may be */
	return newline ? (size_t)(newline + 1 - text) : left;
}

/* The disk took count octets, less than it was given: cuts off what is no whole line, and returns
 * what stays. */
static size_t cut_back(struct querylog *log, size_t count)
{
	const char *text = log->buffer.data + log->sent;
	const char *newline = memrchr(text, '\n', count);
	size_t whole = newline ? (size_t)(newline + 1 - text) : 0;
	struct stat status;

	if (fstat(log->fd, &status) == 0 &&
		ftruncate(log->fd, status.st_size - (off_t)(count - whole)) == 0)
		return whole;
	return count; /* an append-only file: the rest of the line follows when there is room */
}

static void note_written(struct querylog *log, size_t count)
{
	uint64_t lines = log->sent + count == log->buffer.length
				 ? log->buffered
				 : count_lines(log->buffer.data + log->sent, count);

	log->sent += count;
	log->size += count;
	log->written += lines;
	log->buffered -= lines;
}

static void write_regular(struct querylog *log, const struct now *now)
{
	while (log->fd >= 0 && log->sent < log->buffer.length &&
		(!log->failing || now->mono_us >= log->retry_us)) {
		size_t wanted = portion(log, now);
		if (wanted == 0)
			continue;
		ssize_t count = write(log->fd, log->buffer.data + log->sent, wanted);
		if (count < 0 && errno == EINTR)
			continue;
		if (count > 0)
			note_written(log, (size_t)count < wanted ? cut_back(log, (size_t)count)
								 : (size_t)count);
		if (count == (ssize_t)wanted) {
			log_success(log);
			continue;
		}
		errno = count < 0 ? errno : ENOSPC;
		log_failure(log, "write");
		log->retry_us = now->mono_us + RETRY_WRITE_US;
	}
}

/* --- anything that has a reader --- */

static bool is_writable(const struct querylog *log)
{
	struct pollfd poller = {.fd = log->fd, .events = POLLOUT};

	return poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT);
}

/* One write; false when there is nothing more to be done now. */
static bool write_some(struct querylog *log)
{
	if (!is_writable(log))
		return false;
	size_t left = log->buffer.length - log->sent;
	if (left > PIPE_BUF)
		left = PIPE_BUF;
	ssize_t count = write(log->fd, log->buffer.data + log->sent, left);
	if (count >= 0) {
		log->sent += (size_t)count;
		return log->sent < log->buffer.length;
	}
	if (errno == EAGAIN || errno == EINTR)
		return errno == EINTR;
	log_failure(log, "write");
	drop_buffer(log);
	return false;
}

static void write_to_reader(struct querylog *log)
{
	while (write_some(log))
		;
	if (log->buffer.length == 0 || log->sent < log->buffer.length)
		return;
	log->written += log->buffered;
	log_success(log);
}

static void write_buffer(struct querylog *log, const struct now *now)
{
	if (log->fd < 0 && now->mono_us >= log->retry_us)
		open_file(log, now);
	if (log->fd < 0 || log->buffer.length == 0)
		return;
	if (log->regular)
		write_regular(log, now);
	else
		write_to_reader(log);
	if (log->sent == log->buffer.length)
		forget_buffer(log);
}

bool querylog_init(struct querylog *log, const char *path, const struct now *now)
{
	*log = (struct querylog){.fd = -1};
	strbuf_init(&log->buffer);
	if (!path || path[0] == '\0')
		return true;
	log->path = strdup(path);
	if (!log->path)
		return false;
	open_file(log, now);
	return true;
}

void querylog_set_turn(struct querylog *log, uint64_t size_max, unsigned keep)
{
	log->size_max = size_max;
	log->keep = keep ? keep : 1;
}

void querylog_deinit(struct querylog *log)
{
	if (log->path && log->fd >= 0 && log->buffer.length > 0)
		write_buffer(log, &(struct now){.mono_us = INT64_MAX / 2});
	if (log->path) {
		drop_buffer(log);
		close_file(log);
	}
	strbuf_deinit(&log->buffer);
	free(log->path);
	log->path = NULL;
}

bool querylog_is_on(const struct querylog *log)
{
	return log->path != NULL;
}

void querylog_append(struct querylog *log, const char *line, size_t length, const struct now *now)
{
	if (log->buffer.length + length > QUERYLOG_BUFFER_MAX) {
		write_buffer(log, now);
		if (log->sent > 0)
			compact_buffer(log);
	}
	if (log->buffer.length + length > QUERYLOG_BUFFER_MAX) {
		log->dropped++;
		return;
	}
	size_t before = log->buffer.length;
	if (log->torn && before == 0)
		strbuf_append_char(&log->buffer, '\n');
	strbuf_append(&log->buffer, line, length);
	if (log->buffer.failed) {
		log->buffer.failed = false;
		log->buffer.length = before;
		log->dropped++;
		return;
	}
	log->torn = log->torn && before != 0;
	log->buffered++;
	if (log->buffer.length >= WRITE_AT && log->regular)
		write_buffer(log, now);
}

void querylog_flush(struct querylog *log, const struct now *now)
{
	if (log->path)
		write_buffer(log, now);
}

void querylog_reopen(struct querylog *log, const struct now *now)
{
	if (!log->path)
		return;
	write_buffer(log, now);
	if (log->sent > 0 && log->regular)
		compact_buffer(log);
	else if (log->sent > 0)
		drop_buffer(log);
	close_file(log);
	open_file(log, now);
}
