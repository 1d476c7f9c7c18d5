/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything is decoded in place in one copy of the target: what is decoded is never longer than
 * what was sent. libevent's evhttp_uri_parse and evhttp_parse_query_str were rejected: they decode
 * a path as a whole, let NUL and bad UTF-8 through, and keep the last of a parameter that comes
 * twice.
 */
#include "resolver/control/dashboard/target.h"

#include <string.h>

#include "lib/base/hex.h"

/* Octets of the character at text and the least code point that may take so many; 0: none begins
 * there. */
static size_t utf8_length(unsigned char first, unsigned *bits, unsigned *least)
{
	if (first < 0x80) {
		*bits = first;
		*least = 0;
		return 1;
	}
	if (first >= 0xc0 && first < 0xe0) {
		*bits = first & 0x1fu;
		*least = 0x80;
		return 2;
	}
	if (first >= 0xe0 && first < 0xf0) {
		*bits = first & 0x0fu;
		*least = 0x800;
		return 3;
	}
	*bits = first & 0x07u;
	*least = 0x10000;
	return first >= 0xf0 && first < 0xf8 ? 4 : 0;
}

/* NUL-ended text. */
static bool is_utf8(const char *text)
{
	while (*text) {
		unsigned code, least;
		size_t length = utf8_length((unsigned char)*text, &code, &least);
		if (length == 0)
			return false;
		for (size_t i = 1; i < length; i++) {
			unsigned char c = (unsigned char)text[i];
			if ((c & 0xc0) != 0x80)
				return false;
			code = code << 6 | (c & 0x3fu);
		}
		if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
		text += length;
	}
	return true;
}

/* Decodes in place; in a query a plus is a space. NULL: it will do, else why not. */
static const char *decode(char *text, bool query)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (*in != '%') {
			*out++ = (char)(query && *in == '+' ? ' ' : *in);
			continue;
		}
		int high = hex_value(in[1]), low = high < 0 ? -1 : hex_value(in[2]);
		if (low < 0)
			return "the address has a % that no two hexadecimal digits follow";
		if (high == 0 && low == 0)
			return "the address has a NUL";
		*out++ = (char)(high << 4 | low);
		in += 2;
	}
	*out = '\0';
	if ((size_t)(out - text) > API_VALUE_MAX)
		return "a part of the address is too long";
	return is_utf8(text) ? NULL : "the address is not in UTF-8";
}

static const char *add_segment(struct target *target, char *text)
{
	const char *fault = decode(text, false);

	if (fault)
		return fault;
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return "the address goes by way of . or ..";
	if (target->segment_count == TARGET_SEGMENTS_MAX)
		return "the address has too many parts";
	target->segments[target->segment_count++] = text;
	return NULL;
}

static const char *split_path(struct target *target, char *path)
{
	const char *fault = NULL;

	path++;
	if (!*path)
		return NULL;
	for (char *rest = path, *segment; !fault && (segment = strsep(&rest, "/"));)
		fault = add_segment(target, segment);
	return fault;
}

static const char *add_parameter(struct target *target, char *name)
{
	static char nothing[] = "";
	char *equals = strchr(name, '=');
	char *value = equals ? equals + 1 : nothing;

	if (equals)
		*equals = '\0';
	const char *fault = decode(name, true);
	if (!fault && equals)
		fault = decode(value, true);
	if (fault)
		return fault;
	for (size_t i = 0; i < target->parameter_count; i++)
		if (strcmp(target->parameters[i].name, name) == 0)
			return "a parameter comes twice";
	if (target->parameter_count == API_PARAMETERS_MAX)
		return "there are too many parameters";
	target->parameters[target->parameter_count++] = (struct api_parameter){name, value};
	return NULL;
}

static const char *split_query(struct target *target, char *query)
{
	const char *fault = NULL;

	for (char *rest = query, *item; !fault && (item = strsep(&rest, "&"));)
		if (*item)
			fault = add_parameter(target, item);
	return fault;
}

bool target_parse(struct target *target, const char *raw, const char **words)
{
	size_t length = strlen(raw);

	target->segment_count = target->parameter_count = 0;
	*words = "the address is too long";
	if (length > TARGET_MAX)
		return false;
	*words = "the address does not begin with /";
	if (*raw != '/')
		return false;
	memcpy(target->text, raw, length + 1);
	target->text[strcspn(target->text, "#")] = '\0';
	char *query = strchr(target->text, '?');
	if (query)
		*query++ = '\0';
	*words = split_path(target, target->text);
	if (!*words && query)
		*words = split_query(target, query);
	return *words == NULL;
}
