/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets of requests, ordinary and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/control/dashboard/target.h"

static struct target target;

static bool parse(const char *raw)
{
	const char *words = NULL;
	bool ok = target_parse(&target, raw, &words);

	assert_true(ok == (words == NULL));
	return ok;
}

static void test_paths(void **state)
{
	(void)state;
	assert_true(parse("/"));
	assert_int_equal(target.segment_count, 0);
	assert_true(parse("/clients/2001%3Adb8%3a%3A7"));
	assert_int_equal(target.segment_count, 2);
	assert_string_equal(target.segments[0], "clients");
	assert_string_equal(target.segments[1], "2001:db8::7");
	assert_true(parse("/a%2Fb/%252e%252e/+"));
	assert_string_equal(target.segments[0], "a/b");
	assert_string_equal(target.segments[1], "%2e%2e");
	assert_string_equal(target.segments[2], "+");
	assert_true(parse("/a//"));
	assert_int_equal(target.segment_count, 3);
	assert_string_equal(target.segments[2], "");
}

static void test_queries(void **state)
{
	(void)state;
	assert_true(parse("/who?q=b%C3%BCro+3&&by=&since#rest"));
	assert_int_equal(target.parameter_count, 3);
	assert_string_equal(target.parameters[0].name, "q");
	assert_string_equal(target.parameters[0].value, "b\xc3\xbcro 3");
	assert_string_equal(target.parameters[1].value, "");
	assert_string_equal(target.parameters[2].name, "since");
	assert_string_equal(target.parameters[2].value, "");
	assert_true(parse("/?a=b=c?d"));
	assert_string_equal(target.parameters[0].value, "b=c?d");
	assert_true(parse("/?"));
	assert_int_equal(target.parameter_count, 0);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"", "*", "a", "http://a/", "//..", "/..", "/a/../b",
		"/a/%2e%2E/b", "/.", "/%2e", "/%", "/%4", "/%4g", "/%zz", "/a%00b", "/?a=%00",
		"/?%00", "/%ff", "/%c0%80", "/%c0%af", "/%ed%a0%80", "/%f4%90%80%80", "/%e2%82",
		"/%f8%88%80%80%80", "/\xff", "/?a=\xc3", "/?a=1&a=2", "/?a&%61",
		"/1/2/3/4/5/6/7/8/9"};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void test_bounds(void **state)
{
	char raw[TARGET_MAX + 16] = "/";
	(void)state;

	memset(raw + 1, 'a', API_VALUE_MAX);
	assert_true(parse(raw));
	raw[1 + API_VALUE_MAX] = 'a';
	assert_false(parse(raw));
	for (size_t i = 0; i < TARGET_MAX + 1; i++)
		raw[i] = i % 900 == 0 ? '/' : 'a';
	raw[TARGET_MAX + 1] = '\0';
	assert_false(parse(raw));
	size_t used = (size_t)snprintf(raw, sizeof(raw), "/?p=1");
	for (int i = 1; i < API_PARAMETERS_MAX; i++)
		used += (size_t)snprintf(raw + used, sizeof(raw) - used, "&p%d=1", i);
	assert_true(parse(raw));
	snprintf(raw + used, sizeof(raw) - used, "&one=more");
	assert_false(parse(raw));
}

/* What is taken has no NUL, is UTF-8, and stands within the target, whatever comes. */
static void test_noise(void **state)
{
	static const char bits[] = "/%%%2e.00aAfF?&=+#\xc3\xbc\xed\xa0\xff";
	uint32_t seed = 1;
	size_t taken = 0;
	(void)state;

	for (int round = 0; round < 200000; round++) {
		char raw[48] = "/";
		size_t length = 1 + (seed >> 8) % 40;
		for (size_t i = 1; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			raw[i] = bits[(seed >> 16) % (sizeof(bits) - 1)];
		}
		raw[length] = '\0';
		if (!parse(raw))
			continue;
		taken++;
		assert_true(target.segment_count <= TARGET_SEGMENTS_MAX);
		for (size_t i = 0; i < target.segment_count; i++) {
			const char *segment = target.segments[i];
			assert_true(segment >= target.text &&
				    segment + strlen(segment) <= target.text + length);
			assert_string_not_equal(segment, "..");
			assert_null(strchr(segment, '\xff'));
		}
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
