/* SPDX-License-Identifier: BSD-3-Clause */
/* A key is looked for at the beginning of words only, so what stands behind another key is never
 * taken for one, but for text behind the last key, which may hold blanks and is read by
 * attribute_rest. */
#include "resolver/control/attributes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *attribute_rest(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (; *text; text += strcspn(text, " "), text += *text == ' ')
		if (strncmp(text, key, length) == 0 && text[length] == '=')
			return text + length + 1;
	return text;
}

void attribute_split(const char *text, char parts[][ATTRIBUTE_PART_SIZE], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(text, " ");
		snprintf(parts[i], ATTRIBUTE_PART_SIZE, "%.*s", (int)length, text);
		text += length + (text[length] == ' ');
	}
}

const char *attribute_word(const char *text, const char *key, char *out, size_t size)
{
	const char *word = attribute_rest(text, key);

	snprintf(out, size, "%.*s", (int)strcspn(word, " "), word);
	return out;
}

int64_t attribute_number(const char *text, const char *key)
{
	char word[24];

	return strtoll(attribute_word(text, key, word, sizeof(word)), NULL, 10);
}
