/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines gather in one buffer and leave in writes of 256 kB, so that a hundred thousand lines a
 * second cost some hundred system calls. A regular file is simply written. Anything that can have a
 * reader (pipe, FIFO, terminal) is asked by poll first and then given at most PIPE_BUF octets,
 * which it then takes without waiting: O_NONBLOCK on stdout would change the terminal for everyone
 * else who has it open.
 */
#include "resolver/telemetry/querylog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"

#define WRITE_AT ((size_t)256 << 10)
#define RETRY_US (5 * US_PER_S)

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

static void open_file(struct querylog *log, const struct now *now)
{
	struct stat status;

	log->torn = false;
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
	log->regular = fstat(log->fd, &status) == 0 && S_ISREG(status.st_mode);
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

static bool is_writable(const struct querylog *log)
{
	struct pollfd poller = {.fd = log->fd, .events = POLLOUT};

	return log->regular || (poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT));
}

/* One write; false when there is nothing more to be done now. */
static bool write_some(struct querylog *log)
{
	if (!is_writable(log))
		return false;
	size_t left = log->buffer.length - log->sent;
	if (!log->regular && left > PIPE_BUF)
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

static void write_buffer(struct querylog *log, const struct now *now)
{
	if (log->fd < 0 && now->mono_us >= log->retry_us)
		open_file(log, now);
	if (log->fd < 0 || log->buffer.length == 0)
		return;
	while (write_some(log))
		;
	if (log->buffer.length > 0 && log->sent == log->buffer.length) {
		log->written += log->buffered;
		log_success(log);
		forget_buffer(log);
	}
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

void querylog_deinit(struct querylog *log)
{
	if (log->path && log->fd >= 0 && log->buffer.length > 0)
		write_buffer(log, &(struct now){0});
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
	if (log->sent > 0)
		drop_buffer(log);
	close_file(log);
	open_file(log, now);
}
