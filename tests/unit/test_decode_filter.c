/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter of `teredown decode`: what it takes for an address, that nothing else is changed, and
 * that it does not matter where the text is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/control/decode_filter.h"

#define TEREDO "2001:0:4137:9e76:2c3d:63bf:3fff:fdd2"
#define TEREDO_SAYS " [Teredo: server 65.55.158.118, client 192.0.2.45 port 40000, flags 0x2c3d]"

static const struct {
	const char *text, *says;
} rows[] = {
	{"", ""},
	{TEREDO, TEREDO TEREDO_SAYS},
	{TEREDO "\n", TEREDO TEREDO_SAYS "\n"},
	{"SRC=2001:0000:4137:9e76:2c3d:63bf:3fff:fdd2 DST=x\n",
		"SRC=2001:0000:4137:9e76:2c3d:63bf:3fff:fdd2" TEREDO_SAYS " DST=x\n"},
	{"SRC=2001:0:4137:9E76:2C3D:63BF:3FFF:FDD2\n",
		"SRC=2001:0:4137:9E76:2C3D:63BF:3FFF:FDD2" TEREDO_SAYS "\n"},
	{"[" TEREDO "]:53, " TEREDO ".", "[" TEREDO TEREDO_SAYS "]:53, " TEREDO TEREDO_SAYS "."},
	{"from host:" TEREDO ": refused", "from host:" TEREDO TEREDO_SAYS ": refused"},
	{"2002:c000:204::1/48 2002:c000:204::",
		"2002:c000:204::1 [6to4: 192.0.2.4]/48 2002:c000:204:: [6to4: 192.0.2.4]"},
	{"fe80::5efe:192.0.2.4%eth0", "fe80::5efe:192.0.2.4 [ISATAP: 192.0.2.4]%eth0"},
	{"fe80::200:5EFE:c000:204,", "fe80::200:5EFE:c000:204 [ISATAP: 192.0.2.4],"},
	{"2001::1", "2001::1 [Teredo: server 0.0.0.0, client 255.255.255.254 port 65535, flags "
		    "0x0000]"},
	/* no addresses of tunnels */
	{"2001:db8::1 2003::1 fe80::1 ::1 65.55.158.118", NULL},
	{"12:34:56 02:00:5e:fe:00:01 5efe: a:b:c", NULL},
	{"x" TEREDO " _" TEREDO " " TEREDO "x " TEREDO "_", NULL},
	{TEREDO ":1 1:" TEREDO " 2001:0:5efe:", NULL},
	{"2001:0:4137:9e76:2c3d:63bf:3fff:fdd22 2001:0:12345::", NULL},
	{"2001: 2002:: 2002:c000:204 :5efe: 5efe::5efe::5efe", "2001: 2002:: [6to4: 0.0.0.0] "
							       "2002:c000:204 :5efe: "
							       "5efe::5efe::5efe"},
	{"\033[31m\r\200\377 " TEREDO "\377", "\033[31m\r\200\377 " TEREDO TEREDO_SAYS "\377"},
	{"::::::::2001:0::::::", NULL},
	{"2001:0::1................................................................ ", NULL},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	 ":" TEREDO " " TEREDO,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"a"
		"a:" TEREDO " " TEREDO TEREDO_SAYS},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Pieces are copies exactly as long as told, for the sanitizer. */
static void feed(struct decode_filter *filter, const char *data, size_t size, struct strbuf *out)
{
	char *copy = malloc(size + 1);

	assert_non_null(copy);
	memcpy(copy, data, size);
	if (size)
		decode_filter_feed(filter, copy, size, out);
	free(copy);
}

static void check(
	enum decode_form form, const char *text, size_t cut, size_t second, const char *expected)
{
	struct decode_filter filter;
	struct strbuf out;
	size_t size = strlen(text);

	strbuf_init(&out);
	decode_filter_init(&filter, form);
	feed(&filter, text, cut, &out);
	feed(&filter, text + cut, second - cut, &out);
	feed(&filter, text + second, size - second, &out);
	decode_filter_feed(&filter, NULL, 0, &out);
	assert_string_equal(out.data ? out.data : "", expected);
	strbuf_deinit(&out);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const char *text = rows[i].text;
		size_t size = strlen(text);
		check(DECODE_PLAIN, text, 0, size, rows[i].says ? rows[i].says : text);
	}
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const char *text = rows[i].text;
		size_t size = strlen(text);
		for (size_t cut = 0; cut <= size; cut++)
			for (size_t second = cut; second <= size; second++)
				check(DECODE_PLAIN, text, cut, second,
					rows[i].says ? rows[i].says : text);
	}
}

/* A byte at a time, NUL among them. */
static void test_bytes(void **state)
{
	static const char text[] = "a\0" TEREDO "\0b" TEREDO "\0";
	static const char expected[] = "a\0" TEREDO TEREDO_SAYS "\0b" TEREDO "\0";
	struct decode_filter filter;
	struct strbuf out;

	(void)state;
	strbuf_init(&out);
	decode_filter_init(&filter, DECODE_PLAIN);
	for (size_t i = 0; i < sizeof(text); i++)
		feed(&filter, text + i, 1, &out);
	decode_filter_feed(&filter, NULL, 0, &out);
	assert_int_equal(out.length, sizeof(expected));
	assert_memory_equal(out.data, expected, sizeof(expected));
	assert_int_equal(filter.found, 1);
	strbuf_deinit(&out);
}

static void test_forms(void **state)
{
	static const char text[] = "a\033[31m\tb\200\n\n2002:c000:204::1 2002:c000:205::1\n" TEREDO;

	(void)state;
	check(DECODE_ESCAPED, text, 3, 20,
		"a\\027[31m\tb\\128\n\n2002:c000:204::1 [6to4: 192.0.2.4] 2002:c000:205::1 "
		"[6to4: 192.0.2.5]\n" TEREDO TEREDO_SAYS);
	check(DECODE_JSON, text, 3, 20,
		"{\"line\":3,\"address\":\"2002:c000:204::1\",\"known\":null,\"tunnel\":{\"kind\":"
		"\"6to4\",\"client\":\"192.0.2.4\"}}\n"
		"{\"line\":3,\"address\":\"2002:c000:205::1\",\"known\":null,\"tunnel\":{\"kind\":"
		"\"6to4\",\"client\":\"192.0.2.5\"}}\n"
		"{\"line\":4,\"address\":\"" TEREDO
		"\",\"known\":null,\"tunnel\":{\"kind\":\"teredo\",\"server\":\"65.55.158.118\","
		"\"client\":\"192.0.2.45\",\"port\":40000,\"flags\":11325}}\n");
}

/* A line without end holds back no more than a word. */
static void test_long_line(void **state)
{
	static char piece[65536];
	struct decode_filter filter;
	struct strbuf out;
	size_t length = 0;

	(void)state;
	strbuf_init(&out);
	decode_filter_init(&filter, DECODE_PLAIN);
	for (int i = 0; i < 64; i++) {
		memset(piece, i % 2 ? 'a' : ':', sizeof(piece));
		decode_filter_feed(&filter, piece, sizeof(piece), &out);
		assert_true(filter.held < DECODE_HELD_MAX);
		length += out.length;
		strbuf_clear(&out);
	}
	decode_filter_feed(&filter, NULL, 0, &out);
	assert_int_equal(length + out.length, 64 * sizeof(piece));
	assert_int_equal(filter.found, 0);
	strbuf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
