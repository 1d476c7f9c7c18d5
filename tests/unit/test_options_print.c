/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options as text: what -p prints can be read again and is whole; the sample and the manual page
 * follow the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/options_file.h"

/* --- printing --- */

static const char everything[] =
	"resolv-conf = \"\"\n"
	"resolver-name = \"gw-1.example\"\n"
	"state-dir = \"/tmp/a b\\\\c\\\"d\\${HOME}\"\n"
	"zone-dir = \"/z\"\n"
	"user = root\n"
	"workers = 7\n"
	"cache-size = 1537K\n"
	"listen = { \"192.0.2.1:5300\", \"fe80::1%3\", \"[2001:db8::1]:53\" }\n"
	"allow = { \"0.0.0.0/0\", \"2001:db8::/32\" }\n"
	"upstream = { \"9.9.9.9\", \"[2620:fe::fe]:5353\" }\n"
	"upstream-timeout = 1500ms\n"
	"tcp-clients-max = 9\n"
	"redis = \"unix:/run/redis.sock\"\n"
	"redis-memory = 1000M clients-max = 5000 names-max = 7000\n"
	"query-log = all query-log-file = \"-\"\n"
	"retention = 1d pair-retention = 3650d\n"
	"mode = block block-ttl = 61s log-level = debug\n"
	"zone \"mine\" { file = \"sub/mine.rpz\" mode = block }\n"
	"zone \"teredo\" { mode = watch }\n"
	"zone \"lab\" { file = \"/l/x\" format = patterns }\n"
	"zone \"bypass\" { file = \"/b.rpz\" mode = watch }\n"
	"hosts = { \"/etc/hosts\", \"/h 2\" } hosts-ttl = 2h\n"
	"group \"kids\" { clients = { \"192.0.2.0/24\", \"02:00:5e:10:00:01\" } zone \"lab\" { mode = block } }\n"
	"forward \"corp.example\" { upstream = { \"10.0.0.53\", \"10.0.0.54:5353\" } }\n"
	"forward \"10.1.0.0/17\" { upstream = { } }\n";

static void test_round_trip(void **state)
{
	(void)state;
	struct options *o = load_good(everything);
	assert_string_equal(o->state_dir, "/tmp/a b\\c\"d${HOME}");
	assert_int_equal(o->listen[1].scope_id, 3);
	assert_round_trip(o);
	options_free(o);
	o = load_good(NO_RESOLV_CONF "allow = {}");
	assert_round_trip(o);
	options_free(o);
	write_file("resolv.conf", "nameserver 192.0.2.53\n");
	char text[4096], folder[2048];
	assert_non_null(getcwd(folder, sizeof(folder)));
	snprintf(text, sizeof(text), "resolv-conf = \"%s/resolv.conf\"\n", folder);
	o = load_good(text);
	assert_true(o->upstream_from_resolv_conf);
	assert_round_trip(o);
	options_free(o);
}

static unsigned occurrences(const char *text, const char *what)
{
	unsigned count = 0;
	for (; *text; text++)
		count += strncmp(text, what, strlen(what)) == 0;
	return count;
}

/* Every option appears once in what -p prints. */
static void test_print_is_whole(void **state)
{
	(void)state;
	struct options *o = load_good(everything);
	char *text = printed(o), start[80];
	for (size_t i = 0; i < option_row_count; i++) {
		snprintf(start, sizeof(start), "%s%s = ", i ? "\n" : "", option_rows[i].name);
		assert_int_equal(occurrences(text, start), 1);
	}
	assert_non_null(strstr(text, "\ncache-size = 1537K\n"));
	assert_non_null(strstr(text, "\nblock-ttl = 61s\n"));
	assert_non_null(strstr(text,
		"\nlisten = { \"192.0.2.1:5300\", \"[fe80::1%3]:53\", \"[2001:db8::1]:53\" }\n"));
	free(text);
	options_free(o);
}

/* --- documents --- */

static char *produced(void (*print)(FILE *))
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	print(out);
	fclose(out);
	return text;
}

static char source_folder[2048];

static void read_document(const char *name, char *out, size_t size)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/doc/%s", source_folder, name);
	read_file(path, out, size);
}

/* When one of these fails: make update-doc. */
static void test_sample_is_current(void **state)
{
	(void)state;
	static char document[65536];
	char *text = produced(options_print_sample);
	read_document("teredown.conf.sample", document, sizeof(document));
	assert_string_equal(text, document);
	free(text);
}

static void test_manual_is_current(void **state)
{
	(void)state;
	static char document[65536];
	char *text = produced(options_print_manual);
	read_document("teredown.conf.5", document, sizeof(document));
	char *begin = strstr(document, "\n.\\\" BEGIN OPTIONS");
	assert_non_null(begin);
	begin = strchr(begin + 1, '\n') + 1;
	char *end = strstr(begin, ".\\\" END OPTIONS");
	assert_non_null(end);
	*end = '\0';
	assert_string_equal(text, begin);
	free(text);
}

/* Every option of the sample can be uncommented as it stands; as it is, it says nothing. */
static void test_sample_is_readable(void **state)
{
	(void)state;
	static char uncommented[65536];
	char *text = produced(options_print_sample), *out = uncommented;
	write_file("t.conf", text);
	unsigned count = 0;
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		bool option = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';
		count += option && strncmp(line, "#zone \"", 7) != 0 &&
			 strncmp(line, "#group \"", 8) != 0 &&
			 strncmp(line, "#forward \"", 10) != 0;
		out += snprintf(out, sizeof(uncommented) - (size_t)(out - uncommented), "%.*s\n",
			(int)strcspn(line + option, "\n"), line + option);
	}
	assert_int_equal(count, option_row_count);
	struct options *o = load_good(uncommented);
	assert_int_equal(o->upstream_count, 3);
	assert_int_equal(o->zone_count, 9);
	assert_int_equal(o->group_count, 2);
	assert_int_equal(o->forward_count, 3);
	options_free(o);
	free(text);
}

static int enter_folder_with_sources(void **state)
{
	const char *source = getenv("TEREDOWN_SOURCE");
	if (!source || source[0] != '/') {
		fputs("TEREDOWN_SOURCE must name the folder of the sources: run this with make "
		      "check\n",
			stderr);
		return -1;
	}
	snprintf(source_folder, sizeof(source_folder), "%s", source);
	return enter_folder(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_print_is_whole),
		cmocka_unit_test(test_sample_is_current),
		cmocka_unit_test(test_manual_is_current),
		cmocka_unit_test(test_sample_is_readable),
	};
	return cmocka_run_group_tests(tests, enter_folder_with_sources, leave_folder);
}
