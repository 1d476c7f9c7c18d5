/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The form is that of Unbound's and Knot Resolver's files: bare hexadecimal lines, so that one file
 * can be given to servers of several makers. A line is read into memory that is cleared.
 */
#include "resolver/cookie_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hex.h"

#define LINE_MAX_SIZE 256

static bool read_secret(const char *text, struct hash_seed *out)
{
	uint8_t octets[COOKIE_SECRET_SIZE];

	if (strlen(text) != 2 * sizeof octets)
		return false;
	for (size_t i = 0; i < sizeof octets; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		octets[i] = (uint8_t)(high << 4 | low);
	}
	*out = cookie_secret(octets);
	explicit_bzero(octets, sizeof octets);
	return true;
}

static bool read_lines(FILE *file, struct cookie_secrets *out, char *line, char *why, size_t size)
{
	for (unsigned number = 1; fgets(line, LINE_MAX_SIZE, file); number++) {
		line[strcspn(line, " \t\r\n")] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (out->count == COOKIE_SECRETS_MAX) {
			snprintf(why, size, "line %u is one secret too many, expected at most %d",
				number, COOKIE_SECRETS_MAX);
			return false;
		}
		if (!read_secret(line, &out->secrets[out->count])) {
			snprintf(why, size, "line %u is no secret, expected %d hexadecimal digits",
				number, 2 * COOKIE_SECRET_SIZE);
			return false;
		}
		out->count++;
	}
	if (out->count == 0)
		snprintf(why, size,
			"there is no secret in it, expected a line of %d hexadecimal digits",
			2 * COOKIE_SECRET_SIZE);
	return out->count > 0;
}

bool cookie_file_read(const char *path, struct cookie_secrets *out, char *why, size_t size)
{
	struct cookie_secrets secrets = {0};
	char line[LINE_MAX_SIZE];
	FILE *file = fopen(path, "re");

	if (!file) {
		snprintf(why, size, "cannot be opened: %s", strerror(errno));
		return false;
	}
	setvbuf(file, NULL, _IONBF, 0); /* leaves no copy behind */
	bool good = read_lines(file, &secrets, line, why, size);
	fclose(file);
	if (good)
		*out = secrets;
	explicit_bzero(line, sizeof line);
	explicit_bzero(&secrets, sizeof secrets);
	return good;
}
