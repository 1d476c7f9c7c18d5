/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of log formats: finding one by its name or by a file's first lines, and cutting records
 * out of a buffer. Detection adds up how sure each format is of each line; a header makes it sure
 * at once. A log that several programs write is read as what most of its lines are.
 */
#include "config.h"

#include "resolver/control/ingest/log_private.h"

#define DETECT_MAX 65536
#define DETECT_LINE_MAX 8192 /* of a longer line its beginning is looked at */

static const struct log_format *const formats[] = {
	&log_netfilter,
	&log_pf,
	&log_asa,
	&log_windows_firewall,
	&log_squid,
	&log_w3c,
	&log_combined,
	&log_zeek,
	&log_zeek_json,
#ifdef HAVE_EXPAT
	&log_eventlog,
#endif
	&log_windows_dns,
	&log_dnsmasq,
	&log_csv,
};

#define FORMATS (sizeof(formats) / sizeof(*formats))

void log_context_init(struct log_context *context, int64_t reference_ms)
{
	memset(context, 0, sizeof(*context));
	context->clock.reference_ms = reference_ms;
	context->clock.last_s = INT64_MIN / 2;
	context->clock.quarter = -1;
	context->unmarked = LOG_DROP;
}

const struct log_format *log_format_find(const char *name)
{
	for (size_t i = 0; i < FORMATS; i++) {
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	}
	return NULL;
}

const struct log_format *log_format_at(size_t index)
{
	return index < FORMATS ? formats[index] : NULL;
}

const char *log_format_name(const struct log_format *format)
{
	return format->name;
}

const char *log_format_summary(const struct log_format *format)
{
	return format->summary;
}

/* The next line, a part of a line at the end too. False at the end. */
static bool next_line(struct span *text, struct span *line)
{
	if (span_empty(*text))
		return false;
	*line = span_until(text, '\n');
	if (!span_empty(*line) && line->end[-1] == '\r')
		line->end--;
	if (span_length(*line) > DETECT_LINE_MAX)
		line->end = line->at + DETECT_LINE_MAX;
	return true;
}

static struct span first_part(const char *start, size_t length)
{
	struct span text = span_of(start, length < DETECT_MAX ? length : DETECT_MAX);
	span_take(&text, "\xef\xbb\xbf");
	return text;
}

void log_format_learn(const struct log_format *format, const char *start, size_t length,
	struct log_context *context)
{
	struct span text = first_part(start, length), line;
	while (format->learn && next_line(&text, &line) && format->learn(context, line))
		;
}

const struct log_format *log_format_detect(
	const char *start, size_t length, struct log_context *context)
{
	struct span text = first_part(start, length), line;
	unsigned scores[FORMATS] = {0};
	const struct log_format *best = NULL;
	unsigned most = 0;
	while (next_line(&text, &line)) {
		for (size_t i = 0; i < FORMATS; i++)
			scores[i] += formats[i]->score(line);
	}
	for (size_t i = 0; i < FORMATS; i++) {
		if (scores[i] > most) {
			most = scores[i];
			best = formats[i];
		}
	}
	if (context->has_wanted)
		best = &log_csv;
	if (best)
		log_format_learn(best, start, length, context);
	return best;
}

/* --- records --- */

static bool find_line(struct span buffer, bool last, struct log_record *out)
{
	const char *end = span_empty(buffer) ? NULL : memchr(buffer.at, '\n', span_length(buffer));
	out->start = 0;
	out->next = 0;
	if (!end && (!last || span_empty(buffer)))
		return false;
	out->length = end ? (size_t)(end - buffer.at) : span_length(buffer);
	out->next = out->length + (end != NULL);
	if (out->length && buffer.at[out->length - 1] == '\r')
		out->length--;
	return true;
}

/* The tags of an event, in ASCII or UTF-16. */
static const struct markup {
	const char *open, *close;
	size_t width; /* octets of a character */
} markups[] = {
	{"<Event", "</Event>", 1},
	{"<\0E\0v\0e\0n\0t\0", "<\0/\0E\0v\0e\0n\0t\0>\0", 2},
};
#define OPEN_LENGTH 6
#define CLOSE_LENGTH 8

/* At "<Event", not "<Events"; false when there is none. */
static bool seek_element(struct span *text, const struct markup *markup)
{
	size_t length = OPEN_LENGTH * markup->width;
	while (span_find(text, markup->open, length)) {
		unsigned char after = span_first(*text);
		if (span_empty(*text) || after == '>' || after == ' ' || after == '\t' ||
			after == '\r' || after == '\n') {
			text->at -= length;
			return true;
		}
	}
	return false;
}

static bool find_element(struct span buffer, struct log_record *out)
{
	size_t size = span_length(buffer), keep = 2 * OPEN_LENGTH - 1; /* may begin a tag */
	struct span text = buffer;
	const struct markup *markup = &markups[0];
	if (!seek_element(&text, markup) && !seek_element(&text, ++markup)) {
		out->start = 0;
		out->next = size > keep ? size - keep : 0;
		return false;
	}
	out->start = out->next = (size_t)(text.at - buffer.at);
	if (!span_find(&text, markup->close, CLOSE_LENGTH * markup->width))
		return false;
	out->next = (size_t)(text.at - buffer.at);
	out->length = out->next - out->start;
	return true;
}

bool log_format_record(const struct log_format *format, const char *buffer, size_t length,
	bool last, struct log_record *out)
{
	struct span text = span_of(buffer, length);
	out->length = 0;
	return format->elements ? find_element(text, out) : find_line(text, last, out);
}

enum log_result log_format_read(const struct log_format *format, struct log_context *context,
	const char *line, size_t length, struct log_entry *out)
{
	struct span text = span_of(line, length);
	if (!format->elements) {
		while (!span_empty(text) && (text.end[-1] == '\r' || text.end[-1] == '\n'))
			text.end--;
		if (span_empty(text))
			return LOG_SKIPPED;
	}
	return format->read(context, text, out);
}
