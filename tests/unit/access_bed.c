/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/access_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/teredown-access-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	*state = fixture;
	return 0;
}

int teardown(void **state)
{
	static const char *const names[] = {TOKEN_FILE, TOKEN_FILE ".new", CHANGES_FILE,
		CHANGES_FILE ".1", CHANGES_STRANGERS_FILE, CHANGES_STRANGERS_FILE ".1"};
	struct fixture *fixture = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture);
	return 0;
}

const char *path_of(const struct fixture *fixture, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
	return path;
}

void write_file(const struct fixture *fixture, const char *name, const char *text)
{
	FILE *file = fopen(path_of(fixture, name), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

struct access *open_access(const struct fixture *fixture, bool secure, char *made)
{
	const struct access_config config = {
		.state_dir = fixture->folder, .secure = secure, .makes = true};
	char words[256];
	struct access *access = access_new(&config, made, words, sizeof(words));

	assert_non_null(access);
	assert_string_equal(words, "");
	return access;
}

int status_of(struct access *access, enum access_rule rule, const struct access_facts *facts)
{
	struct access_refusal refusal;

	return access_admits(access, rule, facts, &refusal) ? 200 : refusal.status;
}
