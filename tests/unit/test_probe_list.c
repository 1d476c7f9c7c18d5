/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of hosts for `teredown probe`: as scanners write them, faulty, and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/control/probe_list.h"

static void read_text(struct probe_list *list, const char *text, size_t size)
{
	FILE *file = fmemopen((char *)text, size, "r");

	assert_non_null(file);
	probe_list_init(list);
	assert_true(probe_list_read(list, file, "findings.txt", TEREDO_PORT));
	fclose(file);
}

static void list_is_read(void **state)
{
	static const char text[] = "\xef\xbb\xbf# findings of the 12th\r\n"
				   "203.0.113.7\r\n"
				   "\r\n"
				   "203.0.113.8:3545   teredo.example.net:9 # two\n"
				   "\tvpn_1.example.net.\n"
				   "203.0.113.9";
	struct probe_list list;
	static const struct {
		const char *name;
		unsigned port, line;
	} expected[] = {{"203.0.113.7", 3544, 2}, {"203.0.113.8", 3545, 4},
		{"teredo.example.net", 9, 4}, {"vpn_1.example.net.", 3544, 5},
		{"203.0.113.9", 3544, 6}};
	(void)state;

	read_text(&list, text, sizeof(text) - 1);
	assert_int_equal(list.faults, 0);
	assert_int_equal(list.count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < list.count; i++) {
		assert_string_equal(list.hosts[i].name, expected[i].name);
		assert_int_equal(list.hosts[i].port, expected[i].port);
		assert_int_equal(list.hosts[i].line, expected[i].line);
	}
	probe_list_deinit(&list);
}

static void faulty_lines_are_named(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{"10.0.0.0/24", "findings.txt:1: \"10.0.0.0/24\" is a network"},
		{"2001:db8::1", "is an IPv6 address"},
		{"203.0.113", "is not a whole IPv4 address"},
		{"203.0.113.256", "is not a whole IPv4 address"},
		{"203.0.113.7,3544", "is neither an IPv4 address nor a name"},
		{"203.0.113.7:0", "has a port that is not a number"},
		{"203.0.113.7:65536", "has a port that is not a number"},
		{"203.0.113.7:", "has a port that is not a number"},
		{"host:-1", "has a port that is not a number"},
		{"0.0.0.0", "is not the address of a host"},
		{"224.0.0.1", "is not the address of a host"},
		{"255.255.255.255", "is not the address of a host"},
		{"[::1]:3544", "is neither an IPv4 address nor a name"},
		{":3544", "is neither an IPv4 address nor a name"},
		{"-f", "is neither an IPv4 address nor a name"},
		{"na\033[2Jme", "na\\027[2Jme"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct probe_list list;
		read_text(&list, cases[i].line, strlen(cases[i].line));
		assert_int_equal(list.count, 0);
		assert_int_equal(list.faults, 1);
		if (!strstr(list.messages.data, cases[i].words))
			fail_msg("\"%s\" is not in: %s", cases[i].words, list.messages.data);
		probe_list_deinit(&list);
	}
}

static void hostile_lists_are_bounded(void **state)
{
	struct probe_list list;
	size_t size = 300000;
	char *text = malloc(size);
	static const char binary[] = "203.0.113.7\n\0\0\0203.0.113.8\n203.0.113.9\n";
	(void)state;

	/* One line without an end; then many wrong ones. */
	assert_non_null(text);
	memset(text, 'a', size);
	memcpy(text + size - 12, "\n203.0.113.7", 12);
	read_text(&list, text, size);
	assert_int_equal(list.faults, 1);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.hosts[0].line, 2);
	probe_list_deinit(&list);

	for (size_t i = 0; i < size; i++)
		text[i] = i % 2 ? '\n' : '/';
	read_text(&list, text, size);
	assert_int_equal(list.faults, size / 2);
	assert_true(list.messages.length < 4096);
	probe_list_deinit(&list);

	read_text(&list, binary, sizeof(binary) - 1);
	assert_int_equal(list.faults, 1);
	assert_int_equal(list.count, 2);
	probe_list_deinit(&list);
	free(text);
}

static void numbers_need_no_resolver(void **state)
{
	const struct probe_host host = {.name = "203.0.113.7", .port = 99};
	struct endpoint endpoints[2];
	const char *why;
	(void)state;

	assert_int_equal(probe_list_resolve(&host, endpoints, 2, &why), 1);
	assert_int_equal(endpoints[0].port, 99);
	assert_int_equal(endpoints[0].address.octets[0], 203);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_is_read),
		cmocka_unit_test(faulty_lines_are_named),
		cmocka_unit_test(hostile_lists_are_bounded),
		cmocka_unit_test(numbers_need_no_resolver),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
