/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded walk over JSON. jansson would build a tree for each line and is an optional dependency;
 * `tail` needs a dozen fields of a line that the daemon itself wrote. Every step ends at the end of
 * the text, whatever it holds.
 */
#include "resolver/control/json_view.h"

#include <string.h>
#include <time.h>

#include "lib/base/hex.h"

#define DEPTH_MAX 16

/* A place in the text; at == end when there is nothing more, also after a fault. */
struct walk {
	const char *at, *end;
};

static void skip_space(struct walk *walk)
{
	while (walk->at < walk->end && (*walk->at == ' ' || *walk->at == '\t' ||
					       *walk->at == '\r' || *walk->at == '\n'))
		walk->at++;
}

static bool skip_char(struct walk *walk, char c)
{
	skip_space(walk);
	if (walk->at == walk->end || *walk->at != c)
		return false;
	walk->at++;
	return true;
}

/* Over a string with its quotes. */
static bool skip_string(struct walk *walk)
{
	if (!skip_char(walk, '"'))
		return false;
	while (walk->at < walk->end) {
		char c = *walk->at++;
		if (c == '"')
			return true;
		if (c == '\\' && walk->at < walk->end)
			walk->at++;
	}
	return false;
}

/* Over an object or array: brackets are counted, strings stepped over. */
static bool skip_nested(struct walk *walk)
{
	unsigned depth = 0;

	while (walk->at < walk->end) {
		char c = *walk->at;
		if (c == '"') {
			if (!skip_string(walk))
				return false;
			continue;
		}
		walk->at++;
		if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return false;
		} else if ((c == '}' || c == ']') && --depth == 0) {
			return true;
		}
	}
	return false;
}

static bool skip_word(struct walk *walk)
{
	const char *start = walk->at;
	while (walk->at < walk->end && (unsigned char)*walk->at > ' ' &&
		!strchr(",]}:\"{[", *walk->at))
		walk->at++;
	return walk->at > start;
}

static bool skip_value(struct walk *walk, struct json_span *value)
{
	skip_space(walk);
	if (walk->at == walk->end)
		return false;
	value->start = walk->at;
	bool ok = *walk->at == '"'                       ? skip_string(walk)
		  : *walk->at == '{' || *walk->at == '[' ? skip_nested(walk)
							 : skip_word(walk);
	value->length = (size_t)(walk->at - value->start);
	return ok;
}

/* One member of an object, with its key without the quotes. */
static bool skip_member(struct walk *walk, struct json_span *key, struct json_span *value)
{
	skip_space(walk);
	const char *name = walk->at;
	if (!skip_string(walk))
		return false;
	*key = (struct json_span){name + 1, (size_t)(walk->at - name) - 2};
	return skip_char(walk, ':') && skip_value(walk, value);
}

static bool is_key(struct json_span key, const char *text)
{
	return strlen(text) == key.length && memcmp(text, key.start, key.length) == 0;
}

bool json_find(const char *json, size_t size, const char *key, struct json_span *value)
{
	struct walk walk = {json, json + size};
	struct json_span name;

	if (!skip_char(&walk, '{'))
		return false;
	do {
		if (!skip_member(&walk, &name, value))
			return false;
		if (is_key(name, key))
			return true;
	} while (skip_char(&walk, ','));
	return false;
}

void json_find_each(const char *json, size_t size, struct json_wanted *wanted, size_t count)
{
	struct walk walk = {json, json + size};
	struct json_span name, value;
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		wanted[i].value = (struct json_span){NULL, 0};
	if (!skip_char(&walk, '{'))
		return;
	do {
		if (!skip_member(&walk, &name, &value))
			return;
		for (size_t i = 0; i < count; i++) {
			if (wanted[i].value.start || !is_key(name, wanted[i].key))
				continue;
			wanted[i].value = value;
			found++;
		}
	} while (found < count && skip_char(&walk, ','));
}

bool json_each(struct json_span array, size_t *position, struct json_span *item)
{
	if (array.length < 2 || array.start[0] != '[')
		return false;
	if (*position == 0)
		*position = 1;
	struct walk walk = {array.start + *position, array.start + array.length - 1};
	if (*position > 1 && !skip_char(&walk, ','))
		return false;
	bool found = skip_value(&walk, item);
	*position = (size_t)(walk.at - array.start);
	return found;
}

/* The byte behind a backslash; at stands on the letter and is moved to its last character. */
static char unescape(const char **at, const char *end)
{
	static const char letters[] = "bfnrt", bytes[] = "\b\f\n\r\t";
	const char *letter = strchr(letters, **at);
	unsigned value = 0;

	if (**at && letter)
		return bytes[letter - letters];
	if (**at != 'u')
		return **at;
	if (end - *at < 5)
		return '?';
	for (int i = 1; i <= 4; i++) {
		int digit = hex_value((*at)[i]);
		if (digit < 0)
			return '?';
		value = value << 4 | (unsigned)digit;
	}
	*at += 4;
	return value > 0 && value <= 0xff ? (char)value : '?';
}

const char *json_text(struct json_span value, char *out, size_t size)
{
	bool quoted = value.length >= 2 && value.start[0] == '"';
	const char *at = value.start + quoted, *end = value.start + value.length - quoted;
	size_t length = 0;

	for (; at < end && length + 1 < size; at++) {
		char c = *at;
		if (quoted && c == '\\' && at + 1 < end) {
			at++;
			c = unescape(&at, end);
		}
		out[length++] = c;
	}
	out[length] = '\0';
	return out;
}

bool json_field(const char *json, size_t size, const char *key, char *out, size_t out_size)
{
	struct json_span value;
	bool found = json_find(json, size, key, &value);

	out[0] = '\0';
	if (found)
		json_text(value, out, out_size);
	return found;
}

int64_t json_value_time(struct json_span value)
{
	struct tm parts = {.tm_isdst = 0};
	char text[40];
	const char *rest =
		strptime(json_text(value, text, sizeof(text)), "%Y-%m-%dT%H:%M:%S", &parts);

	if (!rest)
		return 0;
	int64_t ms = (int64_t)timegm(&parts) * 1000;
	if (*rest++ == '.')
		for (int weight = 100; weight > 0 && *rest >= '0' && *rest <= '9'; weight /= 10)
			ms += weight * (*rest++ - '0');
	return ms > 0 ? ms : 0;
}

int64_t json_time(const char *json, size_t size, const char *key)
{
	struct json_span value;

	return json_find(json, size, key, &value) ? json_value_time(value) : 0;
}
