/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line's end of the control socket. Plain blocking calls with poll(2) and one deadline
 * for the whole exchange: a command asks once and ends, an event loop would only hide that.
 */
#include "resolver/control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "resolver/control/clock.h"
#include "resolver/control/protocol.h"

/* Waits until fd is ready for events or the deadline has passed. */
static bool wait_ready(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - clock_mono_ms();
		struct pollfd poller = {.fd = fd, .events = events};
		if (left <= 0)
			return false;
		int n = poll(&poller, 1, (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static enum control_outcome broken(struct control_answer *answer, const char *words)
{
	answer->words = words;
	return CONTROL_BROKEN;
}

static enum control_outcome outcome_of(int error, struct control_answer *answer)
{
	if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
		return CONTROL_NO_DAEMON;
	if (error == EACCES || error == EPERM)
		return CONTROL_DENIED;
	if (error == EAGAIN || error == ETIMEDOUT)
		return CONTROL_SILENT;
	return broken(answer, strerror(error));
}

/* A unix socket connects at once or not at all; a full backlog is EAGAIN. */
static enum control_outcome open_socket(const char *path, int *fd, struct control_answer *answer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return broken(answer, "the path of the control socket is too long");
	memcpy(address.sun_path, path, strlen(path) + 1);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return outcome_of(errno, answer);
	if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return outcome_of(errno, answer);
	return CONTROL_OK;
}

static bool write_request(struct strbuf *line, unsigned count, const char *const words[])
{
	for (unsigned i = 0; i < count; i++) {
		if (!words[i][0])
			return false;
		for (const char *c = words[i]; *c; c++)
			if ((unsigned char)*c <= ' ' || *c == 0x7f)
				return false;
		if (i > 0)
			strbuf_append_char(line, ' ');
		strbuf_append_text(line, words[i]);
	}
	strbuf_append_char(line, '\n');
	return count > 0 && !line->failed && line->length <= CONTROL_LINE_MAX + 1;
}

/* A daemon that refuses may hang up before it read the request: EPIPE is no error, its words
 * follow. */
static bool send_request(int fd, const struct strbuf *line, int64_t deadline_ms)
{
	size_t sent = 0;

	while (sent < line->length) {
		ssize_t n = send(fd, line->data + sent, line->length - sent, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		else if (errno == EPIPE || errno == ECONNRESET)
			return true;
		else if (errno != EAGAIN && errno != EINTR)
			return false;
		else if (!wait_ready(fd, POLLOUT, deadline_ms))
			return false;
	}
	return true;
}

/* Reads until the end of the stream. */
static enum control_outcome read_reply(int fd, int64_t deadline_ms, struct control_answer *answer)
{
	char chunk[4096];

	for (;;) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return CONTROL_OK;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return outcome_of(errno, answer);
		if (n < 0 && !wait_ready(fd, POLLIN, deadline_ms))
			return CONTROL_SILENT;
		if (n > 0)
			strbuf_append(&answer->text, chunk, (size_t)n);
		if (answer->text.failed || answer->text.length > 2 * CONTROL_REPLY_MAX)
			return broken(answer, "the reply is too long");
	}
}

static size_t count_lines(const struct strbuf *text)
{
	size_t count = 0;
	for (size_t i = 0; i < text->length; i++)
		count += text->data[i] == '\n';
	return count;
}

/* Cuts the text in place: the first line to words, the others to keys and values. */
static enum control_outcome take_apart(struct control_answer *answer)
{
	char *rest = answer->text.data;
	size_t lines = count_lines(&answer->text);

	if (lines == 0 || answer->text.data[answer->text.length - 1] != '\n')
		return broken(answer, "the reply ends early");
	answer->lines = calloc(lines, sizeof(*answer->lines));
	if (!answer->lines)
		return broken(answer, error_text(TD_NOMEM));
	char *first = strsep(&rest, "\n");
	for (char *line; (line = strsep(&rest, "\n")) != NULL && rest;) {
		char *tab = strchr(line, '\t');
		if (!tab)
			continue;
		*tab = '\0';
		protocol_unescape(tab + 1);
		answer->lines[answer->count++] = (struct control_line){line, tab + 1};
	}
	if (strcmp(first, "ok") == 0)
		return CONTROL_OK;
	if (strncmp(first, "error ", 6) != 0)
		return broken(answer, "the reply is not one of teredownd");
	protocol_unescape(first + 6);
	answer->words = first + 6;
	return CONTROL_FAILED;
}

enum control_outcome control_ask(const char *path, int timeout_ms, unsigned count,
	const char *const words[], struct control_answer *answer)
{
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	struct strbuf line;
	int fd = -1;

	*answer = (struct control_answer){.words = ""};
	strbuf_init(&answer->text);
	strbuf_init(&line);
	enum control_outcome outcome = CONTROL_OK;
	if (!write_request(&line, count, words))
		outcome = broken(answer, "a request is words without spaces");
	if (outcome == CONTROL_OK)
		outcome = open_socket(path, &fd, answer);
	if (outcome == CONTROL_OK && !send_request(fd, &line, deadline_ms))
		outcome = CONTROL_SILENT;
	if (outcome == CONTROL_OK)
		outcome = read_reply(fd, deadline_ms, answer);
	if (outcome == CONTROL_OK)
		outcome = take_apart(answer);
	if (fd >= 0)
		close(fd);
	strbuf_deinit(&line);
	return outcome;
}

void control_answer_free(struct control_answer *answer)
{
	free(answer->lines);
	strbuf_deinit(&answer->text);
	*answer = (struct control_answer){.words = ""};
}

const char *control_answer_value(const struct control_answer *answer, const char *key)
{
	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->lines[i].key, key) == 0)
			return answer->lines[i].value;
	return NULL;
}

uint64_t control_answer_u64(const struct control_answer *answer, const char *key, uint64_t missing)
{
	const char *value = control_answer_value(answer, key);
	char *end;

	if (!value || *value < '0' || *value > '9')
		return missing;
	unsigned long long number = strtoull(value, &end, 10);
	return *end ? missing : number;
}
