/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines on stderr. A line is built on the stack and leaves with one write(2), so lines of several
 * threads never mix and nothing is allocated, also when memory has run out. stdio was rejected: its
 * lock and its buffer. When stderr is the journal's socket (systemd says so in JOURNAL_STREAM), the
 * line starts with the priority in the form of sd-daemon(3), which the journal takes off again.
 */
#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_TEXT_MAX 1024 /* longer messages are cut */
#define LOG_LINE_MAX                                                                \
	(4 * LOG_TEXT_MAX + 128) /* every character escaped, and what stands before \
				  */

static const struct {
	const char *word;
	const char *journal_prefix;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "<3>"},
	[LOG_LEVEL_WARNING] = {"warning", "<4>"},
	[LOG_LEVEL_INFO] = {"info", "<6>"},
	[LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

static struct {
	const char *program;
	enum log_level highest_shown;
	bool to_journal;
} settings = {.program = "teredown", .highest_shown = LOG_LEVEL_INFO};

/* systemd sets JOURNAL_STREAM to "device:inode" of the socket; a child whose stderr went elsewhere
 * inherits the words. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	char mine[64];
	snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, mine) == 0;
}

void log_setup(const char *program, enum log_level highest_shown)
{
	settings.program = program;
	settings.highest_shown = highest_shown;
	settings.to_journal = stderr_is_journal();
}

/* Copies text to line with control characters as \ooo; the bytes written. */
static size_t escape_text(char *line, const char *text)
{
	size_t used = 0;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c >= 0x20 && c != 0x7f) {
			line[used++] = (char)c;
			continue;
		}
		line[used++] = '\\';
		line[used++] = (char)('0' + (c >> 6));
		line[used++] = (char)('0' + (c >> 3 & 7));
		line[used++] = (char)('0' + (c & 7));
	}
	return used;
}

static void write_line(const char *line, size_t length)
{
	ssize_t written;
	do
		written = write(STDERR_FILENO, line, length);
	while (written < 0 && errno == EINTR);
}

void log_message(enum log_level level, const char *format, ...)
{
	if (level > settings.highest_shown)
		return;
	int saved_errno = errno;
	char text[LOG_TEXT_MAX], line[LOG_LINE_MAX];
	va_list args;
	va_start(args, format);
	int wanted = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (wanted < 0)
		return;
	if ((size_t)wanted >= sizeof(text))
		memcpy(text + sizeof(text) - 4, "...", 4);
	int before = snprintf(line, 120,
		"%s%.80s: %s: ", settings.to_journal ? levels[level].journal_prefix : "",
		settings.program, levels[level].word);
	size_t length = (size_t)before;
	length += escape_text(line + length, text);
	line[length++] = '\n';
	write_line(line, length);
	errno = saved_errno;
}
