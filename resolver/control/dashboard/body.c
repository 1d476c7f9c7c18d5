/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * jansson parses and refuses what is no JSON, a name twice, NUL, and text that is not UTF-8. What
 * is nested is refused before that: the parser calls itself for each level, on the stack of a
 * thread that all requests share in turns.
 */
#include "resolver/control/dashboard/body.h"

#include <jansson.h>
#include <string.h>

static bool is_nested(const char *text, size_t size)
{
	bool quoted = false;
	unsigned open = 0;

	for (size_t i = 0; i < size; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '{' || text[i] == '['))
			open++;
	}
	return open > 1;
}

static bool is_known(const char *name, const char *const names[])
{
	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void list_names(char *out, size_t size, const char *const names[])
{
	size_t used = 0;

	snprintf(out, size, "none");
	for (size_t i = 0; names[i] && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", names[i]);
}

static bool are_known(const json_t *body, struct api_reply *reply, const char *const names[])
{
	char list[256];
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)body, name, value)
	{
		if (is_known(name, names))
			continue;
		list_names(list, sizeof list, names);
		api_fail(reply, 400, "the body has a member that is not known; known: %s", list);
		return false;
	}
	return true;
}

json_t *body_read(
	const struct api_request *request, struct api_reply *reply, const char *const names[])
{
	json_error_t error;

	if (is_nested(request->body, request->body_size)) {
		api_fail(reply, 400, "the body has to be one object without another in it");
		return NULL;
	}
	json_t *body =
		json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, &error);
	if (body && json_is_object(body) && are_known(body, reply, names))
		return body;
	if (!body)
		api_fail(reply, 400, "the body is no JSON (octet %d)", error.position);
	else if (!json_is_object(body))
		api_fail(reply, 400, "the body has to be an object of JSON");
	body_free(body);
	return NULL;
}

void body_free(json_t *body)
{
	const char *name;
	json_t *value;

	if (json_is_object(body))
		json_object_foreach(body, name, value)
		{
			if (json_is_string(value))
				explicit_bzero((char *)(uintptr_t)json_string_value(value),
					json_string_length(value));
		}
	json_decref(body);
}

static const json_t *find(const json_t *body, const char *name)
{
	const json_t *value = json_object_get(body, name);

	return json_is_null(value) ? NULL : value;
}

static bool is_word(const json_t *value, size_t most)
{
	const char *text = json_string_value(value);
	size_t length = text ? json_string_length(value) : 0;

	if (length == 0 || length > most)
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	return true;
}

bool body_word(const json_t *body, struct api_reply *reply, const char *name, bool needed,
	size_t most, const char **out)
{
	const json_t *value = find(body, name);

	*out = NULL;
	if (!value && !needed)
		return true;
	if (!value)
		api_fail(reply, 400, "%s is missing", name);
	else if (!is_word(value, most))
		api_fail(reply, 400, "%s: not a text of 1 to %zu printable characters of ASCII",
			name, most);
	else
		*out = json_string_value(value);
	return *out != NULL;
}

bool body_number(
	const json_t *body, struct api_reply *reply, const char *name, int64_t most, int64_t *out)
{
	const json_t *value = find(body, name);

	*out = json_integer_value(value);
	if (!value || (json_is_integer(value) && *out >= 1 && *out <= most))
		return true;
	api_fail(reply, 400, "%s: not a whole number from 1 to %lld", name, (long long)most);
	return false;
}

bool body_flag(const json_t *body, struct api_reply *reply, const char *name, bool *out)
{
	const json_t *value = find(body, name);

	*out = json_is_true(value);
	if (!value || json_is_boolean(value))
		return true;
	api_fail(reply, 400, "%s: neither true nor false", name);
	return false;
}
