/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of the control protocol on one line and back: a value can contain anything but NUL and
 * never forges a line. */
#include "resolver/control/protocol.h"

#include <string.h>

static const char plain[] = "\t\n\r\\";
static const char letters[] = "tnr\\";

bool protocol_is_word(const char *text, size_t size)
{
	size_t length = 0;

	while (length < size && text[length] > ' ' && text[length] <= '~')
		length++;
	return length > 0 && length < size && text[length] == '\0';
}

void protocol_escape(struct strbuf *out, const char *value)
{
	while (*value) {
		size_t clean = strcspn(value, plain);
		strbuf_append(out, value, clean);
		value += clean;
		if (!*value)
			return;
		strbuf_append_char(out, '\\');
		strbuf_append_char(out, letters[strchr(plain, *value) - plain]);
		value++;
	}
}

void protocol_unescape(char *value)
{
	char *out = value;

	for (const char *in = value; *in; in++) {
		const char *letter = in[0] == '\\' && in[1] ? strchr(letters, in[1]) : NULL;
		if (letter)
			in++;
		*out++ = letter ? plain[letter - letters] : *in;
	}
	*out = '\0';
}
