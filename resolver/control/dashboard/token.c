/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The token has 256 bits, so nobody can search for it whatever the hash. It is yescrypt all the
 * same: a copy of the file in some backup stays worthless even if tokens are made otherwise one
 * day. The text is base32: letters and digits only, no two that differ by case alone.
 */
#include "resolver/control/dashboard/token.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/strbuf.h"
#include "resolver/control/dashboard/digest.h"
#include "resolver/telemetry/whole_file.h"

#define FORM "teredown dashboard token 1\n"
#define ASIDE TOKEN_FILE ".new"
#define METHOD "$y$"
#define FILE_MAX 4096
#define HASH_PART 43 /* characters behind the last '$' of a hash by yescrypt */

/* --- text --- */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

const char *token_to_text(const uint8_t octets[TOKEN_OCTETS], char out[TOKEN_TEXT_SIZE])
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t length = 0;

	for (size_t i = 0; i < TOKEN_OCTETS; i++) {
		bits = bits << 8 | octets[i];
		for (held += 8; held >= 5; held -= 5)
			out[length++] = alphabet[bits >> (held - 5) & 31];
	}
	if (held)
		out[length++] = alphabet[bits << (5 - held) & 31];
	out[length] = '\0';
	return out;
}

bool token_from_person(const char *given, char out[TOKEN_TEXT_SIZE])
{
	size_t length = 0;

	given += strspn(given, " \t\r\n");
	for (; *given && !strchr(" \t\r\n", *given); given++) {
		char c = *given >= 'A' && *given <= 'Z' ? (char)(*given - 'A' + 'a') : *given;
		if (length == TOKEN_TEXT_SIZE - 1 || !strchr(alphabet, c))
			return false;
		out[length++] = c;
	}
	out[length] = '\0';
	return length == TOKEN_TEXT_SIZE - 1 && given[strspn(given, " \t\r\n")] == '\0';
}

/* --- hash --- */

/* crypt_r needs some 32 KiB of working memory. False: no hash, or one that tells of a failure. */
static bool hash_with(const char *text, const char *setting, char out[TOKEN_HASH_SIZE])
{
	struct crypt_data *data = calloc(1, sizeof *data);
	const char *hash = data ? crypt_r(text, setting, data) : NULL;
	bool good = hash && hash[0] != '*' && strlen(hash) < TOKEN_HASH_SIZE;

	if (good)
		memcpy(out, hash, strlen(hash) + 1);
	if (data)
		explicit_bzero(data, sizeof *data);
	free(data);
	return good;
}

bool token_hash(const char *text, const uint8_t salt[TOKEN_OCTETS], char out[TOKEN_HASH_SIZE])
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	return crypt_gensalt_rn(
		       METHOD, 0, (const char *)salt, TOKEN_OCTETS, setting, sizeof setting) &&
	       hash_with(text, setting, out);
}

bool token_matches(const char *text, const char *hash)
{
	char made[TOKEN_HASH_SIZE];

	if (!hash_with(text, hash, made))
		return false;
	size_t length = strlen(hash);
	return strlen(made) == length && digest_equal(made, hash, length);
}

/* --- file --- */

static int open_folder(const char *folder)
{
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The line behind the first, which is all there is. */
static enum td_error take_hash(const char *text, size_t size, char hash[TOKEN_HASH_SIZE])
{
	size_t head = strlen(FORM);

	if (size < head + 2 || memcmp(text, FORM, head) != 0 || text[size - 1] != '\n')
		return TD_MALFORMED;
	text += head;
	size -= head + 1;
	if (size >= TOKEN_HASH_SIZE || strncmp(text, METHOD, strlen(METHOD)) != 0)
		return TD_MALFORMED;
	for (size_t i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return TD_MALFORMED;
	memcpy(hash, text, size);
	hash[size] = '\0';
	bool whole = strlen(strrchr(hash, '$') + 1) == HASH_PART;
	return whole && crypt_checksalt(hash) == CRYPT_SALT_OK ? TD_OK : TD_MALFORMED;
}

enum td_error token_file_read(const char *folder, char hash[TOKEN_HASH_SIZE])
{
	int dir = open_folder(folder);
	uint8_t *octets = NULL;
	size_t size = 0;

	if (dir < 0)
		return errno == ENOENT ? TD_NOT_FOUND : TD_IO;
	enum td_error error = whole_file_read(dir, TOKEN_FILE, FILE_MAX, &octets, &size);
	int why = errno;
	if (error == TD_OK)
		error = take_hash((const char *)octets, size, hash);
	else if (error == TD_FULL)
		error = TD_MALFORMED;
	free(octets);
	close(dir);
	errno = why;
	return error;
}

bool token_file_write(const char *folder, const char *hash)
{
	struct strbuf text;
	int dir = open_folder(folder);

	if (dir < 0)
		return false;
	strbuf_init(&text);
	strbuf_append_text(&text, FORM);
	strbuf_append_text(&text, hash);
	strbuf_append_char(&text, '\n');
	errno = ENOMEM;
	bool good =
		!text.failed && whole_file_replace(dir, TOKEN_FILE, ASIDE, text.data, text.length);
	int error = errno;
	strbuf_deinit(&text);
	close(dir);
	errno = error;
	return good;
}
