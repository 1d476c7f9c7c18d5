/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/options_file.h"

char said[65536];

void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

void read_file(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(out, 1, size - 1, file);
	out[length] = '\0';
	assert_true(feof(file));
	fclose(file);
}

struct options *load_path(const char *path)
{
	fflush(stderr);
	int saved = dup(STDERR_FILENO);
	assert_non_null(freopen("said", "w", stderr));
	struct options *options = options_load(path);
	fflush(stderr);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	read_file("said", said, sizeof(said));
	return options;
}

struct options *load(const char *text)
{
	write_file("t.conf", text);
	return load_path("t.conf");
}

struct options *load_good(const char *text)
{
	struct options *options = load(text);
	if (!options)
		fail_msg("%s\nfor: %s", said, text);
	assert_string_equal(said, "");
	return options;
}

void expect_faults(const char *text, const char *expected)
{
	struct options *options = load(text);
	if (options || strcmp(said, expected) != 0)
		fail_msg("for:\n%s\nsaid:\n%sexpected:\n%s", text, said, expected);
}

void expect_fault(const char *text, const char *expected)
{
	char whole[8192];
	snprintf(whole, sizeof(whole), NO_RESOLV_CONF "%s", text);
	expect_faults(whole, expected);
}

char *printed(const struct options *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	options_print(options, out);
	fclose(out);
	return text;
}

void assert_same_zones(const struct options *a, const struct options *b)
{
	assert_int_equal(a->zone_count, b->zone_count);
	for (size_t i = 0; i < a->zone_count; i++) {
		const struct zone_options *x = &a->zones[i], *y = &b->zones[i];
		assert_string_equal(x->name, y->name);
		assert_int_equal(x->file_count, y->file_count);
		for (size_t k = 0; k < x->file_count; k++) {
			const char *of_x = x->files[k].patterns, *of_y = y->files[k].patterns;
			assert_string_equal(x->files[k].path, y->files[k].path);
			assert_string_equal(of_x ? of_x : "none", of_y ? of_y : "none");
		}
		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->required, y->required);
		assert_int_equal(x->format, y->format);
		assert_int_equal(x->mode, y->mode);
		assert_int_equal(x->reason, y->reason);
		assert_int_equal(x->override, y->override);
		assert_int_equal(x->alias.length, y->alias.length);
		assert_memory_equal(x->alias.wire, y->alias.wire, x->alias.length);
	}
}

void assert_round_trip(const struct options *before)
{
	char *text = printed(before);
	struct options *after = load_good(text);
	for (size_t i = 0; i < option_row_count; i++) {
		if (!option_equal(before, after, &option_rows[i]))
			fail_msg("%s differs after:\n%s", option_rows[i].name, text);
	}
	assert_same_zones(before, after);
	assert_int_equal(before->forward_count, after->forward_count);
	assert_int_equal(before->upstream_from_resolv_conf, after->upstream_from_resolv_conf);
	char *again = printed(after);
	assert_string_equal(text, again);
	free(again);
	free(text);
	options_free(after);
}

static char folder_name[] = "/tmp/test_options.XXXXXX";

int enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder_name) && chdir(folder_name) == 0 ? 0 : -1;
}

int leave_folder(void **state)
{
	(void)state;
	static const char *const files[] = {"t.conf", "said", "resolv.conf", "password"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	return chdir("/") == 0 && rmdir(folder_name) == 0 ? 0 : -1;
}
