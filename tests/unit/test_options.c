/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration: each test writes t.conf into a folder of its own and reads it back through
 * options_load, with what is said on stderr kept in `said`. /etc/resolv.conf is never looked at:
 * the files begin with an option against it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/options_private.h"

#define NO_RESOLV_CONF "resolv-conf = \"\" "

static char said[65536];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void read_file(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t length = fread(out, 1, size - 1, file);
	out[length] = '\0';
	assert_true(feof(file));
	fclose(file);
}

/* options_load with its stderr in `said`. */
static struct options *load_path(const char *path)
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

static struct options *load(const char *text)
{
	write_file("t.conf", text);
	return load_path("t.conf");
}

static struct options *load_good(const char *text)
{
	struct options *options = load(text);
	if (!options)
		fail_msg("%s\nfor: %s", said, text);
	assert_string_equal(said, "");
	return options;
}

static void expect_faults(const char *text, const char *expected)
{
	struct options *options = load(text);
	if (options || strcmp(said, expected) != 0)
		fail_msg("for:\n%s\nsaid:\n%sexpected:\n%s", text, said, expected);
}

/* The file is text behind the option against resolv.conf, on the same first line. */
static void expect_fault(const char *text, const char *expected)
{
	char whole[8192];
	snprintf(whole, sizeof(whole), NO_RESOLV_CONF "%s", text);
	expect_faults(whole, expected);
}

static char *printed(const struct options *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	options_print(options, out);
	fclose(out);
	return text;
}

static const struct option_row *row_of(const char *name)
{
	for (size_t i = 0; i < option_row_count; i++) {
		if (strcmp(option_rows[i].name, name) == 0)
			return &option_rows[i];
	}
	fail_msg("no option %s", name);
	return NULL;
}

static void assert_endpoint(const struct endpoint *endpoint, const char *text)
{
	char out[ENDPOINT_TEXT_MAX];
	assert_string_equal(endpoint_to_text(endpoint, out), text);
}

static void assert_prefix(const struct prefix *prefix, const char *address, unsigned length)
{
	char out[ADDRESS_TEXT_MAX];
	assert_string_equal(address_to_text(&prefix->address, out), address);
	assert_int_equal(prefix->length, length);
}

/* --- defaults --- */

static void test_defaults(void **state)
{
	(void)state;
	struct options *o = load_good(NO_RESOLV_CONF "resolver-name = gw1\n");
	assert_string_equal(o->resolver_name, "gw1");
	assert_string_equal(o->state_dir, STATEDIR);
	assert_string_equal(o->zone_dir, ZONEDIR);
	assert_string_equal(o->user, "");
	assert_in_range(o->workers, 1, 64);
	assert_true(o->cache_size == 64u << 20);
	assert_int_equal(o->listen_count, 2);
	assert_endpoint(&o->listen[0], "127.0.0.1:53");
	assert_endpoint(&o->listen[1], "[::1]:53");
	assert_int_equal(o->upstream_count, 0);
	assert_false(o->upstream_from_resolv_conf);
	assert_int_equal(o->upstream_timeout_ms, 5000);
	assert_int_equal(o->tcp_clients_max, 512);
	assert_string_equal(o->redis, "embedded");
	assert_string_equal(o->redis_password_file, "");
	assert_int_equal(o->redis_memory_mb, 256);
	assert_int_equal(o->clients_max, 100000);
	assert_int_equal(o->names_max, 100000);
	assert_int_equal(o->query_log, QUERY_LOG_WATCHED);
	assert_string_equal(o->query_log_file, "");
	assert_int_equal(o->retention_days, 8);
	assert_int_equal(o->pair_retention_days, 30);
	assert_int_equal(o->mode, MODE_WATCH);
	assert_int_equal(o->block_ttl_s, 60);
	assert_int_equal(o->log_level, 2);
	options_free(o);
}

static void test_default_allow(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		unsigned length;
	} expected[] = {{"127.0.0.0", 8}, {"::1", 128}, {"10.0.0.0", 8}, {"172.16.0.0", 12},
		{"192.168.0.0", 16}, {"169.254.0.0", 16}, {"fe80::", 10}, {"fc00::", 7}};
	struct options *o = load_good(NO_RESOLV_CONF);
	assert_int_equal(o->allow_count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < o->allow_count; i++)
		assert_prefix(&o->allow[i], expected[i].address, expected[i].length);
	options_free(o);
}

/* --- values --- */

static uint64_t value_of(const struct options *options, const struct option_row *row)
{
	const char *field = (const char *)options + row->offset;
	if (row->size == sizeof(uint64_t))
		return *(const uint64_t *)(const void *)field;
	return *(const unsigned *)(const void *)field;
}

static const char *suffix_of_scale(const struct option_row *row)
{
	if (row->type == OPTION_NUMBER)
		return "";
	if (row->type == OPTION_SIZE)
		return row->scale == 1 ? "" : "M";
	return row->scale == 1 ? "ms" : row->scale == 1000 ? "s" : "d";
}

static bool is_counted(const struct option_row *row)
{
	return row->type == OPTION_NUMBER || row->type == OPTION_SIZE ||
	       row->type == OPTION_DURATION;
}

static void test_range_ends(void **state)
{
	(void)state;
	unsigned checked = 0;
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		char text[256], expected[512], described[WHY_MAX];
		if (!is_counted(row))
			continue;
		const uint64_t ends[] = {row->min, row->max},
			       beyond[] = {row->min - 1, row->max + 1};
		for (size_t k = 0; k < 2; k++) {
			snprintf(text, sizeof(text), NO_RESOLV_CONF "\n%s = %" PRIu64 "%s\n",
				row->name, ends[k], suffix_of_scale(row));
			struct options *o = load_good(text);
			assert_true(value_of(o, row) == ends[k]);
			options_free(o);
			if (k == 0 && row->min == 0) /* nothing is below */
				continue;
			snprintf(text, sizeof(text), NO_RESOLV_CONF "\n%s = %" PRIu64 "%s\n",
				row->name, beyond[k], suffix_of_scale(row));
			option_describe(row, described);
			snprintf(expected, sizeof(expected),
				"t.conf:2: %s: \"%" PRIu64 "%s\" is out of range, expected %s\n",
				row->name, beyond[k], suffix_of_scale(row), described);
			expect_faults(text, expected);
			checked++;
		}
	}
	assert_true(checked >= 2 * 10);
}

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		for (unsigned k = 0; row->words && row->words[k]; k++) {
			char text[256];
#ifndef HAVE_TLS
			if (strcmp(row->name, "redis-tls") == 0)
				continue;
#endif
			snprintf(text, sizeof(text),
				NO_RESOLV_CONF "query-log-file = \"-\"\n"
					       "redis = \"cluster://h\"\n%s = %s\n",
				row->name, row->words[k]);
			struct options *o = load_good(text);
			assert_true(value_of(o, row) == k);
			options_free(o);
		}
	}
	/* The words stand in the order of these enums. */
	assert_string_equal(option_mode_words[MODE_IGNORE], "ignore");
	assert_string_equal(option_mode_words[MODE_WATCH], "watch");
	assert_string_equal(option_mode_words[MODE_BLOCK], "block");
	assert_string_equal(option_format_words[FORMAT_PATTERNS], "patterns");
	assert_string_equal(row_of("query-log")->words[QUERY_LOG_ALL], "all");
}

static void test_units(void **state)
{
	(void)state;
	struct options *o =
		load_good(NO_RESOLV_CONF "cache-size = 2g upstream-timeout = 400ms\n"
					 "block-ttl = 2h retention = 9 redis-memory = 1G\n");
	assert_true(o->cache_size == UINT64_C(2) << 30);
	assert_int_equal(o->upstream_timeout_ms, 400);
	assert_int_equal(o->block_ttl_s, 7200);
	assert_int_equal(o->retention_days, 9);
	assert_int_equal(o->redis_memory_mb, 1024);
	options_free(o);
	o = load_good(NO_RESOLV_CONF
		"cache-size = 1048576 upstream-timeout = 1500 pair-retention = 48h block-ttl = 90");
	assert_true(o->cache_size == 1u << 20);
	assert_int_equal(o->upstream_timeout_ms, 1500);
	assert_int_equal(o->pair_retention_days, 2);
	assert_int_equal(o->block_ttl_s, 90);
	options_free(o);
}

/* A text of the greatest length is taken, one byte more is not. */
static void test_text_lengths(void **state)
{
	(void)state;
	static const struct {
		const char *name, *start;
	} texts[] = {{"resolver-name", "g"}, {"state-dir", "/"}, {"zone-dir", "/"},
		{"query-log-file", "/"}};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char value[2048], text[4096], expected[256];
		size_t max = row_of(texts[i].name)->max;
		memset(value, 'x', max + 1);
		memcpy(value, texts[i].start, 1);
		value[max] = '\0';
		snprintf(text, sizeof(text), NO_RESOLV_CONF "\n%s = \"%s\"", texts[i].name, value);
		options_free(load_good(text));
		snprintf(text, sizeof(text), NO_RESOLV_CONF "\n%s = \"%sx\"", texts[i].name, value);
		snprintf(expected, sizeof(expected),
			"t.conf:2: %s: is too long, expected at most %zu bytes\n", texts[i].name,
			max);
		expect_faults(text, expected);
	}
	/* The longest state directory leaves room for the socket's name in sun_path. */
	assert_int_equal(row_of("state-dir")->max + strlen("/control.sock") + 1, 108);
}

/* name = { "10.0.0.0:53", "10.0.0.1:53", … } with count entries. */
static void write_list(char *out, size_t size, const char *name, const char *ending, unsigned count)
{
	size_t used = (size_t)snprintf(out, size, NO_RESOLV_CONF "\n%s = {", name);
	for (unsigned i = 0; i < count; i++)
		used += (size_t)snprintf(out + used, size - used, "%s\"10.0.%u.%u%s\"",
			i ? "," : "", i / 256, i % 256, ending);
	snprintf(out + used, size - used, "}\n");
}

static void test_list_lengths(void **state)
{
	(void)state;
	static const struct {
		const char *name, *ending, *fault;
		unsigned max;
	} lists[] = {
		{"listen", ":53", "t.conf:2: listen: has too many entries, expected at most 64\n",
			64},
		{"upstream", ":53",
			"t.conf:2: upstream: has too many entries, expected at most 16\n", 16},
		{"allow", "/32", "t.conf:2: allow: has too many entries, expected at most 1024\n",
			1024},
	};
	static char text[65536];
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		write_list(text, sizeof(text), lists[i].name, lists[i].ending, lists[i].max);
		struct options *o = load_good(text);
		assert_int_equal(option_count(o, row_of(lists[i].name)), lists[i].max);
		options_free(o);
		write_list(text, sizeof(text), lists[i].name, lists[i].ending, lists[i].max + 1);
		expect_faults(text, lists[i].fault);
	}
	expect_fault("listen = { # nothing\n}",
		"t.conf:2: listen: has too few entries, expected at least 1\n");
	struct options *o = load_good(NO_RESOLV_CONF "allow = {} upstream = { }\n");
	assert_int_equal(o->allow_count, 0);
	assert_int_equal(o->upstream_count, 0);
	options_free(o);
}

static void test_list_append(void **state)
{
	(void)state;
	struct options *o = load_good(
		NO_RESOLV_CONF "allow += { \"100.64.0.0/10\" }\nallow += { \"192.0.2.0/24\" }\n"
			       "listen = 192.0.2.1\nupstream += { \"9.9.9.9\" }\n");
	assert_int_equal(o->allow_count, 10);
	assert_prefix(&o->allow[0], "127.0.0.0", 8);
	assert_prefix(&o->allow[8], "100.64.0.0", 10);
	assert_prefix(&o->allow[9], "192.0.2.0", 24);
	assert_int_equal(o->listen_count, 1);
	assert_endpoint(&o->listen[0], "192.0.2.1:53");
	assert_int_equal(o->upstream_count, 1);
	options_free(o);
	expect_fault("allow += { \"192.0.2.0/24\" }\nallow = { \"192.0.2.0/24\" }",
		"t.conf:2: allow: given again, expected once (first on line 1)\n");
}

static void test_endpoint_forms(void **state)
{
	(void)state;
	struct options *o = load_good(
		NO_RESOLV_CONF "upstream = { \"9.9.9.9\", \"149.112.112.112:5353\",\n"
			       "\"[2620:fe::fe]:53\", \"2620:fe::9\", \"fe80::1%lo\" }\n");
	assert_int_equal(o->upstream_count, 5);
	assert_endpoint(&o->upstream[0], "9.9.9.9:53");
	assert_endpoint(&o->upstream[1], "149.112.112.112:5353");
	assert_endpoint(&o->upstream[2], "[2620:fe::fe]:53");
	assert_endpoint(&o->upstream[3], "[2620:fe::9]:53");
	assert_int_equal(o->upstream[4].scope_id, 1);
	options_free(o);
}

/* --- faults --- */

static const struct {
	const char *text, *said;
} fault_cases[] = {
	/* numbers, sizes, durations */
	{"workers = many",
		"t.conf:1: workers: \"many\" is not understood, expected a number from 1 to 64\n"},
	{"workers = -1",
		"t.conf:1: workers: \"-1\" is not understood, expected a number from 1 to 64\n"},
	{"workers = 2x",
		"t.conf:1: workers: \"2x\" is not understood, expected a number from 1 to 64\n"},
	{"workers = 99999999999999999999", "t.conf:1: workers: \"99999999999999999999\" is not "
					   "understood, expected a number from 1 to 64\n"},
	{"\n\ncache-size = 64Q", "t.conf:3: cache-size: \"64Q\" is not understood, expected a size "
				 "such as 64M from 1M to 64G, in bytes\n"},
	{"cache-size = 99999999999G", "t.conf:1: cache-size: \"99999999999G\" is not understood, "
				      "expected a size such as 64M from 1M to 64G, in bytes\n"},
	{"redis-memory = 17000K",
		"t.conf:1: redis-memory: \"17000K\" is not understood, "
		"expected a size such as 64M from 16M to 64G, in whole megabytes\n"},
	{"block-ttl = 1500ms", "t.conf:1: block-ttl: \"1500ms\" is not understood, "
			       "expected a duration from 1s to 1d, in seconds\n"},
	{"upstream-timeout = 5", "t.conf:1: upstream-timeout: \"5\" is out of range, "
				 "expected a duration from 100ms to 1m, in milliseconds\n"},
	/* words */
	{"mode = blocked",
		"t.conf:1: mode: \"blocked\" is not known, expected ignore, watch or block\n"},
	{"query-log = on",
		"t.conf:1: query-log: \"on\" is not known, expected off, watched or all\n"},
	{"log-level = loud", "t.conf:1: log-level: \"loud\" is not known, expected error, warning, "
			     "info or debug\n"},
	/* text */
	{"resolver-name = \"\"", "t.conf:1: resolver-name: is empty, expected a value\n"},
	{"resolver-name = \"gw 1\"", "t.conf:1: resolver-name: is not a name, expected letters, "
				     "digits, '.', '_' and '-'\n"},
	{"resolver-name = \"gw\\x01\"", "t.conf:1: resolver-name: has a control character in it, "
					"expected printable text\n"},
	{"user = \"no such user\"", "t.conf:1: user: there is no user \"no such user\" on this "
				    "system, expected an existing one\n"},
	{"state-dir = var",
		"t.conf:1: state-dir: is not an absolute path, expected one that begins with /\n"},
	{"zone-dir = zones",
		"t.conf:1: zone-dir: is not an absolute path, expected one that begins with /\n"},
	{"query-log-file = q.log", "t.conf:1: query-log-file: is not an absolute path, expected "
				   "one that begins with /, - for the standard output, or syslog\n"},
	{"query-log-file = \"syslog:nosuch\"",
		"t.conf:1: query-log-file: names no facility or destination of syslog, expected "
		"syslog[:FACILITY][@/PATH] or syslog[:FACILITY][@ADDRESS[:PORT]]\n"},
	{"\nquery-log = all\n",
		"t.conf:2: query-log: all writes every transaction to a file and none is named, "
		"expected query-log-file as well: add query-log-file = "
		"\"/var/log/teredown/query.log\"\n"},
	/* addresses */
	{"listen = { \"127.0.0.1:53\",\n\"localhost\" }",
		"t.conf:2: listen: \"localhost\" is not an address, expected one such as "
		"192.0.2.1, 192.0.2.1:53 or "
		"[2001:db8::1]:53\n"},
	{"listen = { \"127.0.0.1:0\" }", "t.conf:1: listen: \"127.0.0.1:0\" is not an address, "
					 "expected one such as 192.0.2.1, 192.0.2.1:53 or "
					 "[2001:db8::1]:53\n"},
	{"listen = { \"fe80::1%nosuchinterface0\" }",
		"t.conf:1: listen: \"fe80::1%nosuchinterface0\" is not an address, expected one "
		"such as 192.0.2.1, "
		"192.0.2.1:53 or [2001:db8::1]:53\n"},
	{"listen = { \"::1\",\n \"[::1]:53\" }",
		"t.conf:2: listen: \"[::1]:53\" is in the list twice, expected each entry once\n"},
	{"allow = { \"10.0.0.0/8\",\n\"192.168.1.5/16\" }",
		"t.conf:2: allow: \"192.168.1.5/16\" is not a network, expected one such as "
		"192.168.0.0/16, with no bit set "
		"behind its length\n"},
	{"allow = { \"::1\", \"::1/128\" }",
		"t.conf:1: allow: \"::1/128\" is in the list twice, expected each entry once\n"},
	{"upstream = { \"tls://1.1.1.1#cloudflare-dns.com\" }",
		"t.conf:1: upstream: DNS over TLS is not available in this build, expected ADDRESS "
		"or ADDRESS:PORT\n"},
	{"upstream = { \"9.9.9.9\",\n\n\"127.0.0.1\" }",
		"t.conf:3: upstream: 127.0.0.1:53 is an address this resolver listens on, so it "
		"would ask itself; expected "
		"another server: name the provider's or a public one, such as 9.9.9.9\n"},
	{"listen = { \"0.0.0.0:5353\" }\nupstream = { \"127.0.0.9:5353\" }",
		"t.conf:2: upstream: 127.0.0.9:5353 is an address this resolver listens on, so it "
		"would ask itself; expected "
		"another server: name the provider's or a public one, such as 9.9.9.9\n"},
	{"upstream = { \"224.0.0.251\" }",
		"t.conf:1: upstream: 224.0.0.251:53 is not the address of one server, "
		"expected one such as 9.9.9.9:53\n"},
	{"upstream = { \"::\" }", "t.conf:1: upstream: [::]:53 is not the address of one server, "
				  "expected one such as 9.9.9.9:53\n"},
	{"\nresolv-conf = \"\"",
		"t.conf:2: resolv-conf: given again, expected once (first on line 1)\n"},
	/* redis */
	{"redis = \"sentinel://h:1,h:2\"", "t.conf:1: redis: the master's name is missing, expected "
					   "sentinel://NAME@HOST,HOST\n"},
	{"redis = \"cluster://h:1,h:0\"", "t.conf:1: redis: a port is not valid, expected a number "
					  "from 1 to 65535 behind a colon\n"},
	{"redis = \"on\"",
		"t.conf:1: redis: is not known, expected \"embedded\", \"off\", unix:/PATH, "
		"redis://HOST, rediss://HOST, sentinel://NAME@HOST,HOST or cluster://HOST,HOST\n"},
	{"\nredis-tls = on redis = \"redis://h\"",
		"t.conf:2: redis-tls: expected it with sentinel:// or cluster:// only; for one "
		"server write rediss://HOST\n"},
	{"\nredis-ca-file = \"/ca\" redis = \"cluster://h\"",
		"t.conf:2: redis-ca-file: expected it with TLS: rediss://, or redis-tls = on\n"},
	{"\nredis-user = \"u\" redis = \"redis://v:p@h\"",
		"t.conf:2: redis-user: goes with a Redis of your own whose URL names no user, "
		"expected e.g. redis = \"redis://HOST\"\n"},
	{"\nredis-sentinel-user = \"u\" redis = \"cluster://h\"",
		"t.conf:2: redis-sentinel-user: expected it with redis = \"sentinel://…\" only\n"},
	{"redis = \"unix:redis.sock\"", "t.conf:1: redis: is not the path of a socket, expected "
					"unix:/PATH of at most 107 bytes\n"},
	{"redis = \"redis://alice@h\"",
		"t.conf:1: redis: names a user without a password, expected "
		"redis://user:password@host, redis-password-file, or the password in the "
		"environment as TEREDOWN_REDIS_PASSWORD\n"},
	{"\nredis-password-file = \"/nonexistent/p\" redis = \"redis://h\"",
		"t.conf:2: redis-password-file: \"/nonexistent/p\" cannot be opened: No such file "
		"or directory, expected a "
		"readable file with a password in its first line\n"},
	{"\nredis-password-file = \"/nonexistent/p\"",
		"t.conf:2: redis-password-file: goes with a Redis of your own whose URL has no "
		"password, expected e.g. redis = \"redis://[USER@]HOST\"\n"},
	/* unknown and repeated */
	{"\n\nworker = 2\n",
		"t.conf:3: worker: unknown option, expected one of teredown.conf(5)\n"},
	{"\nworkers = 2\nworkers = 2\n",
		"t.conf:3: workers: given again, expected once (first on line 2)\n"},
	{"\na = {} b += { x, y }\nc = 1\nworkers = 0",
		"t.conf:2: a: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:2: b: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:3: c: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:4: workers: \"0\" is out of range, expected a number from 1 to 64\n"},
	{"\nc = 1\nc = { 2, 3 }\n",
		"t.conf:2: c: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:3: c: unknown option, expected one of teredown.conf(5)\n"},
	{"\nview \"x\" {\n}\nworkers = 0",
		"t.conf:2: view: unknown option, expected one of teredown.conf(5)\n"},
	{"\ngroup \"gaming\" {\n clients = { \"192.0.2.1\" }\n zone \"teredo\" { mode = watch } "
	 "}\nworkers = 0",
		"t.conf:2: group \"gaming\": sections of this kind are not known in this version, "
		"expected zone\n"
		"t.conf:5: workers: \"0\" is out of range, expected a number from 1 to 64\n"},
	{"\nforward \"corp.example\" { upstream = { \"10.0.0.53\" } }",
		"t.conf:2: forward \"corp.example\": sections of this kind are not known in this "
		"version, expected zone\n"},
	/* zones */
	{"\nzone \"ads\" {\n}",
		"t.conf:2: zone \"ads\": no file is named, expected file = \"PATH\"\n"},
	{"\nzone \"Ads!\" { file = x }", "t.conf:2: zone \"Ads!\": this is not a zone's name, "
					 "expected 1 to 31 of a to z, 0 to 9 and -\n"},
	{"\nzone \"\" { file = x }", "t.conf:2: zone \"\": this is not a zone's name, expected 1 "
				     "to 31 of a to z, 0 to 9 and -\n"},
	{"\nzone \"abcdefghijklmnopqrstuvwxyz123456\" { file = x }",
		"t.conf:2: zone \"abcdefghijklmnopqrstuvwxyz123456\": this is not a zone's name, "
		"expected 1 to 31 of a to "
		"z, 0 to 9 and -\n"},
	{"\nzone \"ads\" { file = x\n format = hosts\n mode = blok }",
		"t.conf:3: zone \"ads\": format: \"hosts\" is not known, expected rpz or patterns\n"
		"t.conf:4: zone \"ads\": mode: \"blok\" is not known, expected ignore, watch or "
		"block\n"},
	{"zone \"ads\" { file = \"\" }", "t.conf:1: zone \"ads\": file: this is not the path of a "
					 "file, expected 1 to 1024 printable bytes\n"},
	{"zone \"ads\" { file = a\nfile = b }",
		"t.conf:2: zone \"ads\": file: given again, expected once (first on line 1)\n"},
	{"\nzone \"ads\" { file = x colour = red\n mode = x }",
		"t.conf:2: colour: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:3: zone \"ads\": mode: \"x\" is not known, expected ignore, watch or "
		"block\n"},
	{"\nzone \"special-use\" {\n mode = watch }",
		"t.conf:3: zone \"special-use\": mode: this zone is local data and always in "
		"force, expected no mode here\n"},
	{"\nzone \"teredo\" { }\nzone \"teredo\" { }",
		"t.conf:3: zone \"teredo\": given again, expected once\n"},
	{"\nzone \"a\" { file = x }\n\"zone=a|file\" = y\n",
		"t.conf:3: file: stands outside of a section zone \"NAME\" { … }\n"},
	/* syntax */
	{"\nworkers 2", "t.conf:2: workers: the = is missing, expected workers = VALUE\n"},
	/* What is missing may stand behind the place where reading ended. */
	{"\nquery-log = all redis = \"redis://u@h\" }\nquery-log-file = \"-\"",
		"t.conf:2: syntax: unexpected closing brace\n"},
	{"\nworkers += 2", "t.conf:2: syntax: attempt to append to non-list option 'workers'\n"},
	{"\nlisten = { \"::1\",", "t.conf:3: syntax: premature end of file\n"},
	{"\nzone \"a\" = 3", "t.conf:2: syntax: missing opening brace for section 'zone'\n"},
	{"\nworkers = 2 }", "t.conf:2: syntax: unexpected closing brace\n"},
	{"\nlisten = { \"::1\" \"::2\" }", "t.conf:2: syntax: unexpected token '::2'\n"},
	{"\nzone { }", "t.conf:2: syntax: missing title for section 'zone'\n"},
	{"\nworkers = \"2\n\n",
		"t.conf:2: syntax: the quoted string that begins here has no end\n"},
	{"\nworkers = '2", "t.conf:2: syntax: the quoted string that begins here has no end\n"},
	{"\n\n/* workers = 2\n\n", "t.conf:3: syntax: the comment that begins here has no end\n"},
	{"\n\"\" = 3", "t.conf:2: syntax: this is not understood\n"},
	{"user = \"\\999\"",
		"t.conf:1: syntax: a backslash is followed by what is no character code\n"},
	{"workers = 0\n query-log = all =",
		"t.conf:1: workers: \"0\" is out of range, expected a number from 1 to 64\n"
		"t.conf:2: syntax: unexpected token '='\n"},
};

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fault_cases) / sizeof(fault_cases[0]); i++)
		expect_fault(fault_cases[i].text, fault_cases[i].said);
}

static void test_unreadable_files(void **state)
{
	(void)state;
	assert_null(load_path("missing.conf"));
	assert_string_equal(said, "missing.conf: cannot be read: No such file or directory\n");
	assert_null(load_path("."));
	assert_string_equal(said, ".: cannot be read: Is a directory\n");
	FILE *file = fopen("t.conf", "w");
	fwrite("workers = 2\0\n", 1, 13, file);
	fclose(file);
	assert_null(load_path("t.conf"));
	assert_string_equal(said, "t.conf: is not a text, it has a NUL byte in it\n");
	file = fopen("t.conf", "w");
	for (unsigned i = 0; i < (1 << 20) + 1; i++)
		fputc('\n', file);
	fclose(file);
	assert_null(load_path("t.conf"));
	assert_string_equal(said, "t.conf: is too large, expected at most 1048576 bytes\n");
}

/* libconfuse counts comments wrongly; the lines are right all the same. */
static void test_lines_behind_comments(void **state)
{
	(void)state;
	expect_faults("#\n"
		      "/**/ // x\n"
		      "/* one \" \n"
		      "   two */ resolv-conf = \"\" # \" { }\n"
		      "redis = redis://h/1 // not part of it\r\n"
		      "user = \"# no /* comment // \\\" \"\r\n"
		      "workers = 0 #",
		"t.conf:6: user: there is no user \"# no /* comment // \" \" on this system, "
		"expected an existing one\n"
		"t.conf:7: workers: \"0\" is out of range, expected a number from 1 to 64\n");
}

/* Many faults are bounded, and a second reading in the same process starts clean. */
static void test_many_faults(void **state)
{
	(void)state;
	static char text[65536];
	size_t used = 0, lines = 0;
	for (unsigned i = 0; i < 300; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "workers = x\nq%u = 1\n", i);
	assert_null(load(text));
	for (const char *c = said; *c; c++)
		lines += *c == '\n';
	assert_in_range(lines, 33, 200);
	options_free(load_good(NO_RESOLV_CONF "\nworkers = 1\n"));
}

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
	"zone \"bypass\" { file = \"/b.rpz\" mode = watch }\n";

static void assert_same_zones(const struct options *a, const struct options *b)
{
	assert_int_equal(a->zone_count, b->zone_count);
	for (size_t i = 0; i < a->zone_count; i++) {
		const struct zone_options *x = &a->zones[i], *y = &b->zones[i];
		assert_string_equal(x->name, y->name);
		assert_string_equal(x->file, y->file);
		assert_string_equal(
			x->patterns ? x->patterns : "none", y->patterns ? y->patterns : "none");
		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->required, y->required);
		assert_int_equal(x->format, y->format);
		assert_int_equal(x->mode, y->mode);
	}
}

static void assert_round_trip(const struct options *before)
{
	char *text = printed(before);
	struct options *after = load_good(text);
	for (size_t i = 0; i < option_row_count; i++) {
		if (!option_equal(before, after, &option_rows[i]))
			fail_msg("%s differs after:\n%s", option_rows[i].name, text);
	}
	assert_same_zones(before, after);
	assert_int_equal(before->upstream_from_resolv_conf, after->upstream_from_resolv_conf);
	char *again = printed(after);
	assert_string_equal(text, again);
	free(again);
	free(text);
	options_free(after);
}

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

/* --- passwords --- */

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

/* --- resolv.conf --- */

static struct options *load_with_resolv_conf(const char *resolv_conf, const char *more)
{
	char text[4096], folder[2048];
	write_file("resolv.conf", resolv_conf);
	assert_non_null(getcwd(folder, sizeof(folder)));
	snprintf(text, sizeof(text), "resolv-conf = \"%s/resolv.conf\"\n%s", folder, more);
	return load(text);
}

static void test_resolv_conf(void **state)
{
	(void)state;
	struct options *o = load_with_resolv_conf(
		"# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch example\n"
		"nameserver 127.0.0.1\nnameserver\t192.0.2.3 # comment\n"
		"nameserver 2001:db8::3\nnameserver ::1\nnameservers 192.0.2.4\n"
		"nameserver what\nnameserver 192.0.2.3\nnameserver fe80::1%lo",
		"");
	assert_non_null(o);
	assert_true(o->upstream_from_resolv_conf);
	assert_int_equal(o->upstream_count, 3);
	assert_endpoint(&o->upstream[0], "192.0.2.3:53");
	assert_endpoint(&o->upstream[1], "[2001:db8::3]:53");
	assert_endpoint(&o->upstream[2], "[fe80::1]:53");
	assert_int_equal(o->upstream[2].scope_id, 1);
	options_free(o);
	/* On another port it is somebody else who listens there. */
	o = load_with_resolv_conf("nameserver 127.0.0.1\n", "listen = { \"127.0.0.1:5353\" }\n");
	assert_int_equal(o->upstream_count, 1);
	options_free(o);
	/* What the file says goes first, an empty list too. */
	o = load_with_resolv_conf("nameserver 192.0.2.1\n", "upstream = { \"192.0.2.9\" }\n");
	assert_int_equal(o->upstream_count, 1);
	assert_endpoint(&o->upstream[0], "192.0.2.9:53");
	assert_false(o->upstream_from_resolv_conf);
	options_free(o);
	o = load_with_resolv_conf("nameserver 192.0.2.1\n", "upstream = { }\n");
	assert_int_equal(o->upstream_count, 0);
	options_free(o);
}

static void test_resolv_conf_only_us(void **state)
{
	(void)state;
	assert_null(load_with_resolv_conf("nameserver 127.0.0.1\nnameserver ::1\n", ""));
	assert_ptr_equal(strstr(said, "t.conf: upstream: is not given, and \""), said);
	assert_non_null(strstr(said,
		"names nobody but this resolver itself, expected servers to ask: add upstream = { "
		"\"9.9.9.9\" }"));
	assert_null(
		load_with_resolv_conf("nameserver 127.0.0.53\n", "listen = { \"0.0.0.0:53\" }\n"));
	/* None at all is allowed. */
	struct options *o = load_with_resolv_conf("search example\n", "");
	assert_non_null(o);
	assert_int_equal(o->upstream_count, 0);
	options_free(o);
	expect_faults("\nresolv-conf = \"/nonexistent/r\"\n",
		"t.conf:2: resolv-conf: \"/nonexistent/r\" cannot be opened: No such file or "
		"directory, expected a readable "
		"file or \"\"\n");
}

/* --- zones --- */

static void assert_zone(const struct options *options, size_t position, const char *name,
	const char *file, const char *patterns, enum policy_mode mode)
{
	assert_in_range(position, 0, options->zone_count - 1);
	const struct zone_options *zone = &options->zones[position];
	assert_string_equal(zone->name, name);
	assert_string_equal(zone->file, file);
	if (patterns)
		assert_string_equal(zone->patterns, patterns);
	else
		assert_null(zone->patterns);
	assert_int_equal(zone->mode, mode);
}

static void test_zones_shipped(void **state)
{
	(void)state;
	struct options *o = load_good(NO_RESOLV_CONF "zone-dir = \"/z\" mode = block\n");
	static const enum policy_zone_kind kinds[] = {
		ZONE_LOCAL, ZONE_TUNNEL, ZONE_TUNNEL, ZONE_TUNNEL, ZONE_TUNNEL, ZONE_LIST};
	assert_int_equal(o->zone_count, 6);
	assert_zone(
		o, 0, "special-use", "/z/special-use.rpz", "/z/special-use.patterns", MODE_BLOCK);
	assert_zone(o, 1, "teredo", "/z/teredo.rpz", "/z/teredo.patterns", MODE_BLOCK);
	assert_zone(o, 2, "6to4", "/z/6to4.rpz", "/z/6to4.patterns", MODE_BLOCK);
	assert_zone(o, 3, "isatap", "/z/isatap.rpz", "/z/isatap.patterns", MODE_BLOCK);
	assert_zone(o, 4, "tunnel-brokers", "/z/tunnel-brokers.rpz", "/z/tunnel-brokers.patterns",
		MODE_BLOCK);
	assert_zone(o, 5, "bypass", "/z/bypass.rpz", "/z/bypass.patterns", MODE_IGNORE);
	for (size_t i = 0; i < o->zone_count; i++) {
		assert_int_equal(o->zones[i].kind, kinds[i]);
		assert_int_equal(o->zones[i].format, FORMAT_RPZ);
		assert_false(o->zones[i].required);
	}
	options_free(o);
}

static void test_zones_override(void **state)
{
	(void)state;
	struct options *o = load_good(NO_RESOLV_CONF
		"zone-dir = \"/z\"\n"
		"zone \"allowed\" { file = \"allowed.rpz\" mode = block }\n"
		"zone \"teredo\" { mode = block }\n"
		"zone \"special-use\" { file = \"/s.rpz\" }\n"
		"zone \"lab\" { mode = ignore format = patterns file = \"lab.rpz\" }\n"
		"zone \"ads\" { file = \"/etc/ads\" }\n"
		"zone \"isatap\" { file = \"own.rpz\" }\n");
	assert_int_equal(o->zone_count, 9);
	assert_zone(o, 0, "special-use", "/s.rpz", "/s.patterns", MODE_BLOCK);
	assert_zone(o, 1, "6to4", "/z/6to4.rpz", "/z/6to4.patterns", MODE_WATCH);
	assert_zone(o, 2, "tunnel-brokers", "/z/tunnel-brokers.rpz", "/z/tunnel-brokers.patterns",
		MODE_WATCH);
	assert_zone(o, 3, "bypass", "/z/bypass.rpz", "/z/bypass.patterns", MODE_IGNORE);
	assert_zone(o, 4, "allowed", "/z/allowed.rpz", "/z/allowed.patterns", MODE_BLOCK);
	assert_zone(o, 5, "teredo", "/z/teredo.rpz", "/z/teredo.patterns", MODE_BLOCK);
	assert_zone(o, 6, "lab", "/z/lab.rpz", NULL, MODE_IGNORE);
	assert_zone(o, 7, "ads", "/etc/ads", "/etc/ads.patterns", MODE_WATCH);
	assert_zone(o, 8, "isatap", "/z/own.rpz", "/z/own.patterns", MODE_WATCH);
	static const bool required[] = {true, false, false, false, true, false, true, true, true};
	for (size_t i = 0; i < o->zone_count; i++)
		assert_int_equal(o->zones[i].required, required[i]);
	assert_int_equal(o->zones[5].kind, ZONE_TUNNEL);
	assert_int_equal(o->zones[6].format, FORMAT_PATTERNS);
	assert_int_equal(o->zones[7].kind, ZONE_LIST);
	options_free(o);
}

static void test_zones_bound(void **state)
{
	(void)state;
	static char text[16384];
	size_t used = (size_t)snprintf(text, sizeof(text), NO_RESOLV_CONF "\n");
	for (unsigned i = 0; i < POLICY_ZONES_MAX - 6; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "zone \"z%u\" { file = x }\n", i);
	struct options *o = load_good(text);
	assert_int_equal(o->zone_count, POLICY_ZONES_MAX);
	options_free(o);
	snprintf(text + used, sizeof(text) - used,
		"zone \"more\" { file = x }\nzone \"most\" { file = x }\n");
	expect_faults(text, "t.conf:60: zone \"more\": this is one zone too many, expected at most "
			    "64 with the shipped ones\n"
			    "t.conf:61: zone \"most\": this is one zone too many, expected at most "
			    "64 with the shipped ones\n");
}

/* --- the rest --- */

static void assert_restart(const char *before, const char *after, const char *expected)
{
	char out[512];
	struct options *a = load_good(before), *b = load_good(after);
	options_describe_restart(a, b, out, sizeof(out));
	assert_string_equal(out, expected);
	options_free(a);
	options_free(b);
}

static void test_describe_restart(void **state)
{
	(void)state;
	const char *base =
		NO_RESOLV_CONF "resolver-name = gw1 workers = 2 redis = \"redis://u:one@h\"";
	assert_restart(base, base, "");
	assert_restart(base,
		NO_RESOLV_CONF
		"resolver-name = gw2 workers = 3 redis = \"redis://u:two@h\" query-log = off",
		"resolver-name, workers, redis, query-log");
	assert_restart(base,
		NO_RESOLV_CONF
		"resolver-name = gw1 workers = 2 redis = \"redis://u:one@h\" mode = block "
		"zone-dir = \"/z\" zone \"ads\" { file = x }",
		"");
	assert_restart(base,
		NO_RESOLV_CONF
		"resolver-name = gw1 workers = 2 redis = \"redis://u:one@h\" "
		"listen = { \"[::1]:53\", \"127.0.0.1:53\" } upstream = { \"9.9.9.9\" }",
		"listen, upstream");
}

static void test_describe_restart_bound(void **state)
{
	(void)state;
	char out[16] = "unchanged";
	struct options *a = load_good(NO_RESOLV_CONF "workers = 2 cache-size = 1M");
	struct options *b = load_good(NO_RESOLV_CONF "workers = 3 cache-size = 2M block-ttl = 2s");
	options_describe_restart(a, b, out, 0);
	assert_string_equal(out, "unchanged");
	options_describe_restart(a, b, out, 8);
	assert_string_equal(out, "workers");
	options_describe_restart(a, b, out, 7);
	assert_string_equal(out, "");
	options_free(a);
	options_free(b);
}

static void test_paths(void **state)
{
	(void)state;
	char out[108];
	struct options *o = load_good(NO_RESOLV_CONF "state-dir = \"/run/t\"");
	assert_int_equal(options_control_path(o, out, sizeof(out)), TD_OK);
	assert_string_equal(out, "/run/t/control.sock");
	assert_int_equal(options_control_path(o, out, strlen(out)), TD_TOO_LONG);
	char *url = options_redis_url(o);
	assert_string_equal(url, "unix:/run/t/redis.sock");
	free(url);
	options_free(o);
	assert_string_equal(options_default_path, SYSCONFDIR "/teredown.conf");
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
		count += option && strncmp(line, "#zone \"", 7) != 0;
		out += snprintf(out, sizeof(uncommented) - (size_t)(out - uncommented), "%.*s\n",
			(int)strcspn(line + option, "\n"), line + option);
	}
	assert_int_equal(count, option_row_count);
	struct options *o = load_good(uncommented);
	assert_int_equal(o->upstream_count, 3);
	assert_int_equal(o->zone_count, 8);
	options_free(o);
	free(text);
}

static char folder_name[] = "/tmp/test_options.XXXXXX";

static int enter_folder(void **state)
{
	(void)state;
	const char *source = getenv("TEREDOWN_SOURCE");
	if (!source || source[0] != '/') {
		fputs("TEREDOWN_SOURCE must name the folder of the sources: run this with make "
		      "check\n",
			stderr);
		return -1;
	}
	snprintf(source_folder, sizeof(source_folder), "%s", source);
	return mkdtemp(folder_name) && chdir(folder_name) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
	(void)state;
	static const char *const files[] = {"t.conf", "said", "resolv.conf", "password"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	return chdir("/") == 0 && rmdir(folder_name) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_allow),
		cmocka_unit_test(test_range_ends),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_text_lengths),
		cmocka_unit_test(test_list_lengths),
		cmocka_unit_test(test_list_append),
		cmocka_unit_test(test_endpoint_forms),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_unreadable_files),
		cmocka_unit_test(test_lines_behind_comments),
		cmocka_unit_test(test_many_faults),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_print_is_whole),
		cmocka_unit_test(test_password_is_not_printed),
		cmocka_unit_test(test_password_file),
		cmocka_unit_test(test_bad_password_files),
		cmocka_unit_test(test_password_of_the_environment),
		cmocka_unit_test(test_password_is_in_no_message),
		cmocka_unit_test(test_redis_forms),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_resolv_conf_only_us),
		cmocka_unit_test(test_zones_shipped),
		cmocka_unit_test(test_zones_override),
		cmocka_unit_test(test_zones_bound),
		cmocka_unit_test(test_describe_restart),
		cmocka_unit_test(test_describe_restart_bound),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_sample_is_current),
		cmocka_unit_test(test_manual_is_current),
		cmocka_unit_test(test_sample_is_readable),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
