/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis in the configuration: its forms, and where its passwords come from. None of them is printed
 * or repeated in a message.
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

static void test_password_is_not_printed(void **state)
{
	(void)state;
	struct options *o = load_good(
		NO_RESOLV_CONF "redis = \"redis://alice:s3cret%40x@redis.example:6380/2\"\n");
	assert_string_equal(o->redis, "redis://alice:s3cret%40x@redis.example:6380/2");
	char *url = options_redis_url(o), *text = printed(o);
	assert_string_equal(url, o->redis);
	assert_null(strstr(text, "s3cret"));
	assert_non_null(strstr(text, "\nredis = \"redis://alice:***@redis.example:6380/2\" # the "
				     "password is not shown\n"));
	free(url);
	options_free(o);
	/* What was printed can be read. */
	o = load_good(text);
	assert_string_equal(o->redis, "redis://alice:***@redis.example:6380/2");
	free(text);
	options_free(o);
}

static void test_password_file(void **state)
{
	(void)state;
	static const char *const urls[] = {"redis://h", "redis://bob@[::1]:6380/3",
		"sentinel://name@a,b", "cluster://a,b", "unix:/run/redis.sock"};
	char folder[2048], text[4096], line[2200];
	assert_non_null(getcwd(folder, sizeof(folder)));
	write_file("password", "p@s/s %\nsecond line\n");
	snprintf(line, sizeof(line), "redis-password-file = \"%s/password\"\n", folder);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		snprintf(text, sizeof(text), NO_RESOLV_CONF "redis = \"%s\"\n%s", urls[i], line);
		struct options *o = load_good(text);
		assert_string_equal(o->redis, urls[i]);
		assert_string_equal(options_redis_access(o).password, "p@s/s %");
		char *shown = printed(o);
		assert_non_null(strstr(shown, urls[i]));
		assert_non_null(strstr(shown, line));
		assert_null(strstr(shown, "p@s"));
		assert_round_trip(o);
		free(shown);
		options_free(o);
	}
	snprintf(text, sizeof(text), NO_RESOLV_CONF "redis = \"redis://a:b@h\"\n%s", line);
	expect_faults(text,
		"t.conf:2: redis-password-file: goes with a Redis of your own whose URL has no "
		"password, expected e.g. redis = \"redis://[USER@]HOST\"\n");
}

static void test_bad_password_files(void **state)
{
	(void)state;
	static const char *const contents[] = {"", "\n", "a\001b\n"};
	char folder[1024], text[4096], long_line[700];
	assert_non_null(getcwd(folder, sizeof(folder)));
	snprintf(text, sizeof(text),
		NO_RESOLV_CONF "redis = \"redis://h\"\nredis-password-file = \"%s/password\"\n",
		folder);
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		write_file("password", contents[i]);
		assert_null(load(text));
		assert_ptr_equal(strstr(said, "t.conf:2: redis-password-file: "), said);
	}
	memset(long_line, 'x', sizeof(long_line) - 1);
	long_line[sizeof(long_line) - 1] = '\0';
	write_file("password", long_line);
	assert_null(load(text));
	assert_non_null(strstr(said, "is no password, expected 1 to 511 printable bytes"));
	assert_null(strstr(said, "xxx"));
	long_line[511] = '\0';
	write_file("password", long_line);
	options_free(load_good(text));
}

static void test_password_of_the_environment(void **state)
{
	(void)state;
	setenv("TEREDOWN_REDIS_PASSWORD", "hunter2", 1);
	setenv("TEREDOWN_REDIS_SENTINEL_PASSWORD", "other", 1);
	struct options *o = load_good(NO_RESOLV_CONF "redis = \"redis://h\" redis-user = u");
	assert_string_equal(options_redis_access(o).password, "hunter2");
	assert_null(options_redis_access(o).sentinel_password);
	char *text = printed(o);
	assert_null(strstr(text, "hunter2"));
	free(text);
	options_free(o);
	o = load_good(NO_RESOLV_CONF "redis = \"sentinel://n@h\" redis-tls = off");
	assert_string_equal(options_redis_access(o).password, "hunter2");
	assert_string_equal(options_redis_access(o).sentinel_password, "other");
	options_free(o);
	o = load_good(NO_RESOLV_CONF "redis = \"redis://:mine@h\"");
	assert_null(options_redis_access(o).password);
	options_free(o);
	o = load_good(NO_RESOLV_CONF);
	assert_null(options_redis_access(o).password);
	options_free(o);
	unsetenv("TEREDOWN_REDIS_PASSWORD");
	unsetenv("TEREDOWN_REDIS_SENTINEL_PASSWORD");
}

/* A user of its own: of the daemon's passwords only that of the sentinels is read, where there are any. */
static void test_password_of_the_dashboard(void **state)
{
	(void)state;
	char folder[2048], text[8192], why[512];
	assert_non_null(getcwd(folder, sizeof(folder)));
	write_file("page", "seen\n");
	write_file("sentinel", "watched\n");
	snprintf(text, sizeof(text),
		NO_RESOLV_CONF "redis = \"sentinel://n@h\" redis-password-file = \"%s/none\" "
			       "redis-sentinel-password-file = \"%s/sentinel\" dashboard-redis-user = page "
			       "dashboard-redis-password-file = \"%s/page\"",
		folder, folder, folder);
	write_file("t.conf", text);
	struct options *o = options_load_without_passwords("t.conf");
	assert_non_null(o);
	assert_true(options_read_dashboard_password(o, why, sizeof(why)));
	assert_string_equal(options_redis_access(o).user, "page");
	assert_string_equal(options_redis_access(o).password, "seen");
	assert_string_equal(options_redis_access(o).sentinel_password, "watched");
	options_free(o);
	assert_int_equal(unlink("sentinel"), 0);
	o = options_load_without_passwords("t.conf");
	assert_non_null(o);
	assert_false(options_read_dashboard_password(o, why, sizeof(why)));
	assert_non_null(strstr(why, "redis-sentinel-password-file"));
	options_free(o);
	assert_int_equal(unlink("page"), 0);
}

/* Whatever is wrong with the URL, no message repeats a part of it. */
static void test_password_is_in_no_message(void **state)
{
	(void)state;
	static const char *const values[] = {"\"redis://u:hunter2@h:99999\"",
		"\"redis://u:hunter2/x@h\"", "\"redis://u:hunter2@h@i\"",
		"\"redis://u:hunter2%4@h\"", "\"redis://u:hunter2@\"", "\"redis://u:hunter2@h/x\"",
		"\"redis://u:hunter2@[::1\"", "\"redis://hunter2@h\"", "\"rediss://u:hunter2@\"",
		"\"valkey://u:hunter2@h\"", "\"redis://u:hunter2\\x01@h\"", "redis://u:x hunter2@h",
		"redis://u:x#hunter2@h\nhunter2@h", "\"redis://u:x\\9hunter2@h\"",
		"\"redis://u:hunter2@h", "redis://u:x,hunter2@h", "redis://u:x=hunter2@h",
		"redis://u:x{hunter2@h", "redis://u:x\"hunter2@h\""};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text), NO_RESOLV_CONF "\nredis = %s\n", values[i]);
		struct options *o = load(text);
		if (o)
			fail_msg("read without a fault: %s", values[i]);
		assert_true(said[0] != '\0');
		if (strstr(said, "hunter2"))
			fail_msg("for %s: %s", values[i], said);
	}
}

static void test_redis_forms(void **state)
{
	(void)state;
	static const char *const good[] = {"off", "unix:/run/r.sock", "redis://h",
		"redis://192.0.2.1:6379", "redis://[::1]", "redis://[2001:db8::1]:1/0",
		"redis://h.example:65535/15", "redis://:p@h", "redis://u:p@h/", "redis://h_1-x/7",
		"sentinel://n@h,[::1]:2", "cluster://u:p@h,i:3"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), NO_RESOLV_CONF "redis = \"%s\"\n", good[i]);
		struct options *o = load_good(text);
		char *url = options_redis_url(o);
		assert_string_equal(url, good[i]);
		free(url);
		options_free(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_password_is_not_printed),
		cmocka_unit_test(test_password_file),
		cmocka_unit_test(test_bad_password_files),
		cmocka_unit_test(test_password_of_the_environment),
		cmocka_unit_test(test_password_of_the_dashboard),
		cmocka_unit_test(test_password_is_in_no_message),
		cmocka_unit_test(test_redis_forms),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
