/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logical lines. Nearly every line of a block list holds none of the characters that need thought;
 * those are handed out where they stand in the text. The others are joined in a buffer.
 *
 * A line that is not well formed costs that physical line only, also when it opens a parenthesis
 * that is never closed: reading goes on with the line behind it. This stays linear because
 * parentheses do not nest (RFC 1035 knows no nesting): a search for `)` ends at the next `(`, so no
 * octet is searched more than twice.
 */
#include "policy/lines.h"

#include <string.h>

/* 65,535 octets of RDATA, each written as \DDD, and room for the rest. */
#define LOGICAL_LINE_MAX (512 * 1024)
/* What parentheses may hold, comments too, where the text comes in pieces. */
#define LOOK_AHEAD ((size_t)2 * LOGICAL_LINE_MAX)

void lines_init(struct lines *lines, struct input *input)
{
	*lines = (struct lines){.input = input};
	strbuf_init(&lines->join);
}

void lines_deinit(struct lines *lines)
{
	strbuf_deinit(&lines->join);
}

/* Offset of the next newline, or the size. */
static size_t line_end(const struct lines *lines, size_t from)
{
	const char *end =
		from < lines->size ? memchr(lines->text + from, '\n', lines->size - from) : NULL;

	return end ? (size_t)(end - lines->text) : lines->size;
}

static bool is_plain(const char *text, size_t length)
{
	static const bool special[256] = {
		['"'] = true, ['('] = true, [')'] = true, [';'] = true, ['\\'] = true};

	for (size_t i = 0; i < length; i++)
		if (special[(unsigned char)text[i]])
			return false;
	return true;
}

/*
 * A quoted string from the quote at position on; its length, or 0 when the line ends before the
 * string does.
 */
static size_t quoted_length(const struct lines *lines, size_t position)
{
	for (size_t i = position + 1; i < lines->size && lines->text[i] != '\n'; i++) {
		if (lines->text[i] == '"')
			return i + 1 - position;
		if (lines->text[i] == '\\')
			i++;
		if (i < lines->size && lines->text[i] == '\n')
			break;
	}
	return 0;
}

struct join {
	size_t at;
	unsigned newlines; /* stepped over within parentheses */
	bool inside;
	bool ended;
};

/* Takes what stands at join->at. NULL, or what is wrong. */
static const char *join_step(struct lines *lines, struct join *join)
{
	size_t taken = 1;

	switch (lines->text[join->at]) {
	case '\n':
		join->ended = !join->inside;
		join->newlines += join->inside;
		strbuf_append_char(&lines->join, ' ');
		break;
	case ';':
		taken = line_end(lines, join->at) - join->at;
		break;
	case '(':
		if (join->inside)
			return "a parenthesis within parentheses, or one that is not closed";
		join->inside = true;
		strbuf_append_char(&lines->join, ' ');
		break;
	case ')':
		if (!join->inside)
			return "a closing parenthesis without an opening one";
		join->inside = false;
		strbuf_append_char(&lines->join, ' ');
		break;
	case '"':
		taken = quoted_length(lines, join->at);
		if (!taken)
			return "a quote is not closed on its line";
		strbuf_append(&lines->join, lines->text + join->at, taken);
		break;
	case '\\':
		if (join->at + 1 == lines->size || lines->text[join->at + 1] == '\n')
			return "a backslash at the end of the line";
		taken = 2;
		strbuf_append(&lines->join, lines->text + join->at, taken);
		break;
	default:
		strbuf_append_char(&lines->join, lines->text[join->at]);
	}
	join->at += taken;
	return NULL;
}

static const char *join_line(struct lines *lines, struct join *join)
{
	const char *fault = NULL;

	strbuf_clear(&lines->join);
	while (!fault && !join->ended && join->at < lines->size) {
		fault = join_step(lines, join);
		if (lines->join.length > LOGICAL_LINE_MAX)
			fault = "longer than a record can be";
	}
	if (!fault && join->inside)
		fault = "a parenthesis that is not closed";
	return fault;
}

/* A line that needs thought: what it is joined of, or what is wrong. */
static void line_join(struct lines *lines, struct logical_line *out)
{
	struct join join = {0};

	lines->size = list_input_look(lines->input, LOOK_AHEAD, &lines->text);
	out->text = lines->text;
	out->fault = join_line(lines, &join);
	if (out->fault) {
		list_input_step(lines->input, out->length + 1);
		return;
	}
	out->text = lines->join.data ? lines->join.data : "";
	out->length = lines->join.length;
	list_input_step(lines->input, join.at);
	lines->count += join.newlines;
}

bool lines_look(struct lines *lines, const char **text, size_t *length)
{
	return list_input_look_line(lines->input, text, length);
}

void lines_take(struct lines *lines, size_t length)
{
	list_input_step(lines->input, length + 1);
	lines->count++;
}

bool lines_next(struct lines *lines, struct logical_line *out)
{
	*out = (struct logical_line){0};
	if (!list_input_look_line(lines->input, &out->text, &out->length))
		return false;
	out->number = ++lines->count;
	if (is_plain(out->text, out->length))
		list_input_step(lines->input, out->length + 1);
	else
		line_join(lines, out);
	return true;
}
