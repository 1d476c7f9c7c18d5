/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the text of a file to its options: defaults, values, lists, servers of resolv.conf, zones;
 * and what of a difference needs a restart.
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
#include <ifaddrs.h>

#include "tests/unit/options_file.h"

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
					 "block-ttl = 2h retention = 9 redis-memory = 1G\n"
					 "query-log-size = 64K\n");
	assert_true(o->cache_size == UINT64_C(2) << 30);
	assert_int_equal(o->upstream_timeout_ms, 400);
	assert_int_equal(o->block_ttl_s, 7200);
	assert_int_equal(o->retention_days, 9);
	assert_int_equal(o->redis_memory_mb, 1024);
	assert_true(o->query_log_size == 64 << 10);
	options_free(o);
	o = load_good(NO_RESOLV_CONF "cache-size = 1048576 upstream-timeout = 1500\n"
				     "pair-retention = 48h block-ttl = 90 query-log-size = 0K\n");
	assert_true(o->query_log_size == 0);
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
	assert_endpoint(&o->upstream[0].endpoint, "9.9.9.9:53");
	assert_endpoint(&o->upstream[1].endpoint, "149.112.112.112:5353");
	assert_endpoint(&o->upstream[2].endpoint, "[2620:fe::fe]:53");
	assert_endpoint(&o->upstream[3].endpoint, "[2620:fe::9]:53");
	assert_int_equal(o->upstream[4].endpoint.scope_id, 1);
	options_free(o);
}

static void test_server_forms(void **state)
{
	(void)state;
	const char *text = NO_RESOLV_CONF "upstream = { \"tcp://192.0.2.1\", \"192.0.2.1\", "
					  "\"tls://192.0.2.1#dns.example\" }\n";
	if (!server_tls_is_available()) {
		expect_fault(text, "t.conf:1: upstream: tls:// cannot be used: this build has no "
				   "TLS (it was configured without OpenSSL), expected ADDRESS or "
				   "tcp://ADDRESS\n");
		return;
	}
	struct options *o = load_good(text);
	assert_int_equal(o->upstream_count, 3);
	assert_int_equal(o->upstream[0].transport, SERVER_TCP);
	assert_int_equal(o->upstream[1].transport, SERVER_UDP);
	assert_int_equal(o->upstream[2].transport, SERVER_TLS);
	assert_int_equal(o->upstream[2].endpoint.port, 853);
	assert_string_equal(o->upstream[2].name, "dns.example");
	assert_true(options_use_tls(o));
	assert_round_trip(o);
	o->upstream_count = 2;
	assert_false(options_use_tls(o));
	options_free(o);
}

/* Who asks without TLS never asks a server that is to be asked over TLS. */
static void test_plain_servers(void **state)
{
	(void)state;
	struct endpoint plain[4];
	struct options *o = load_good(NO_RESOLV_CONF "listen = { \"0.0.0.0:5353\", \"[::1]:54\" }\n"
						     "upstream = { \"192.0.2.1\", \"192.0.2.2\" }\n");
	assert_int_equal(options_plain_servers(o, plain, 4), 2);
	assert_int_equal(options_plain_servers(o, plain, 1), 1);
	o->upstream[0].transport = SERVER_TLS;
	assert_int_equal(options_plain_servers(o, plain, 4), 1);
	assert_endpoint(&plain[0], "192.0.2.2:53");
	o->upstream[1].transport = SERVER_TCP;
	assert_int_equal(options_plain_servers(o, plain, 4), 1);
	assert_endpoint(&plain[0], "127.0.0.1:5353");
	o->listen[0] = o->listen[1];
	assert_int_equal(options_plain_servers(o, plain, 4), 1);
	assert_endpoint(&plain[0], "[::1]:54");
	o->upstream_count = 0;
	assert_int_equal(options_plain_servers(o, plain, 4), 0);
	options_free(o);
	o = load_good(NO_RESOLV_CONF "listen = { \"[::]:53\" }\nupstream = { \"192.0.2.1\" }\n");
	o->upstream[0].transport = SERVER_TLS;
	assert_int_equal(options_plain_servers(o, plain, 4), 1);
	assert_endpoint(&plain[0], "[::1]:53");
	options_free(o);
}

/* --- sections forward --- */

static void test_forward(void **state)
{
	(void)state;
	struct options *o = load_good(NO_RESOLV_CONF
		"forward \"corp.example\" { upstream = { \"10.0.0.53\", \"10.0.0.54:5353\" } }\n"
		"forward \"10.1.0.0/17\" { upstream = { } }\n"
		"forward \"lan\" { upstream += { \"10.0.0.53\" } }\n");
	assert_int_equal(o->forward_count, 3);
	assert_int_equal(o->upstream_count, 0);
	assert_string_equal(o->forwards[0].title, "corp.example");
	assert_int_equal(o->forwards[0].upstream_count, 2);
	assert_endpoint(&o->forwards[0].upstream[1].endpoint, "10.0.0.54:5353");
	assert_string_equal(o->forwards[1].title, "10.1.0.0/17");
	assert_int_equal(o->forwards[1].upstream_count, 0);
	assert_int_equal(o->forwards[2].upstream_count, 1);
	assert_round_trip(o);
	options_free(o);
}

static void test_forward_bound(void **state)
{
	static char text[65536];
	char *at = text;
	(void)state;
	for (unsigned i = 0; i < 257; i++)
		at += sprintf(at, "\nforward \"z%u\" { upstream = { } }", i);
	expect_faults(text, "t.conf:258: forward \"z256\": this is one section too many, expected at "
			    "most 256\n");
}

/* Who listens on every address is every address of the machine. */
static void test_upstream_on_an_interface_of_ours(void **state)
{
	struct ifaddrs *interfaces;
	struct endpoint own = {0};
	char text[512], address[ADDRESS_TEXT_MAX];
	bool found = false;

	(void)state;
	assert_int_equal(getifaddrs(&interfaces), 0);
	for (const struct ifaddrs *at = interfaces; at && !found; at = at->ifa_next)
		found = at->ifa_addr && endpoint_from_sockaddr(&own, at->ifa_addr) &&
			own.address.family == ADDRESS_V4;
	freeifaddrs(interfaces);
	if (!found)
		skip();
	snprintf(text, sizeof(text), "listen = { \"0.0.0.0:53\" } upstream = { \"%s\" }",
		address_to_text(&own.address, address));
	assert_null(load(text));
	assert_non_null(strstr(said, "so it would ask itself"));
	snprintf(text, sizeof(text), "listen = { \"0.0.0.0:5353\" } upstream = { \"%s\" }", address);
	options_free(load_good(text));
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
	assert_endpoint(&o->upstream[0].endpoint, "192.0.2.3:53");
	assert_endpoint(&o->upstream[1].endpoint, "[2001:db8::3]:53");
	assert_endpoint(&o->upstream[2].endpoint, "[fe80::1]:53");
	assert_int_equal(o->upstream[2].endpoint.scope_id, 1);
	options_free(o);
	/* On another port it is somebody else who listens there. */
	o = load_with_resolv_conf("nameserver 127.0.0.1\n", "listen = { \"127.0.0.1:5353\" }\n");
	assert_int_equal(o->upstream_count, 1);
	options_free(o);
	/* What the file says goes first, an empty list too. */
	o = load_with_resolv_conf("nameserver 192.0.2.1\n", "upstream = { \"192.0.2.9\" }\n");
	assert_int_equal(o->upstream_count, 1);
	assert_endpoint(&o->upstream[0].endpoint, "192.0.2.9:53");
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
	assert_int_equal(zone->file_count, 1);
	assert_string_equal(zone->files[0].path, file);
	if (patterns)
		assert_string_equal(zone->files[0].patterns, patterns);
	else
		assert_null(zone->files[0].patterns);
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
		"zone \"allowed\" { file = \"allowed.rpz\" mode = block override = tcp-only }\n"
		"zone \"teredo\" { mode = block }\n"
		"zone \"special-use\" { file = \"/s.rpz\" }\n"
		"zone \"lab\" { mode = ignore format = patterns file = \"lab.rpz\" }\n"
		"zone \"ads\" { file = \"/etc/ads\" reason = censored override = \"cname Walled.Example\" }\n"
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
	assert_int_equal(o->zones[6].reason, EDE_BLOCKED);
	assert_int_equal(o->zones[7].reason, EDE_CENSORED);
	assert_int_equal(o->zones[4].override, ACTION_TCP_ONLY);
	assert_int_equal(o->zones[6].override, ACTION_NONE);
	assert_int_equal(o->zones[7].override, ACTION_LOCAL_DATA);
	assert_memory_equal(o->zones[7].alias.wire, "\6Walled\7Example", 16);
	assert_round_trip(o);
	options_free(o);
}

static void test_zones_of_several_files(void **state)
{
	(void)state;
	struct options *o = load_good(NO_RESOLV_CONF
		"zone-dir = \"/z\"\n"
		"zone \"ads\" { format = hosts file = { \"a\", \"/b\" } mode = block }\n"
		"zone \"own\" { file = c.rpz\n file += { \"d\" } }\n");
	const struct zone_options *ads = &o->zones[6], *own = &o->zones[7];

	assert_int_equal(ads->format, FORMAT_HOSTS);
	assert_int_equal(ads->file_count, 2);
	assert_string_equal(ads->files[0].path, "/z/a");
	assert_string_equal(ads->files[1].path, "/b");
	assert_null(ads->files[1].patterns);
	assert_int_equal(own->file_count, 2);
	assert_string_equal(own->files[0].patterns, "/z/c.patterns");
	assert_string_equal(own->files[1].path, "/z/d");
	assert_round_trip(o);
	options_free(o);
}

/* Every format has a word, in the order of enum zone_format. */
static void test_zone_formats(void **state)
{
	(void)state;
	for (unsigned format = 0; format < ZONE_FORMATS; format++) {
		char text[128];
		snprintf(text, sizeof(text), NO_RESOLV_CONF "zone \"a\" { file = x format = %s }",
			policy_format_name((enum zone_format)format));
		struct options *o = load_good(text);
		assert_int_equal(o->zones[6].format, format);
		options_free(o);
	}
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
		"listen = { \"[::1]:53\", \"127.0.0.1:53\" } upstream = { \"9.9.9.9\" } "
		"forward \"a\" { upstream = { } }",
		"listen");
}

static void test_event_command(void **state)
{
	(void)state;
	struct options *o = load_good("event-command = { \"/bin/tell\", \"-x\", \"-x\", \"\" }");
	assert_int_equal(o->event_command_count, 4);
	assert_string_equal(o->event_command[2], "-x");
	assert_string_equal(o->event_command[3], "");
	options_free(o);
	expect_faults("event-command = { \"tell\", \"/x\" }",
		"t.conf:1: event-command: \"tell\" is not an absolute path, expected that of a "
		"program first, then its arguments\n");
}

/* A file that the option cookie-secret-file may name; the caller removes it. */
static void write_cookie_file(char path[])
{
	static const char secret[] = "e5e973e5a6b2a43f48e7dc849e37bfcf\n";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, secret, sizeof secret - 1), sizeof secret - 1);
	close(fd);
}

/* What a reload brings into effect changes sides, whichever rows say that it does; the rest stays. */
static void test_exchange_reloadable(void **state)
{
	(void)state;
	struct options *defaults = load_good(NO_RESOLV_CONF), *was = load_good(NO_RESOLV_CONF);
	char path[] = "/tmp/td-cookies-XXXXXX", text[4096];
	write_cookie_file(path);
	snprintf(text, sizeof text,
		"resolv-conf = \"/dev/null\" "
		"trust-ad = off pass-client-subnet = { \"example.com\" } cookies = off cookie-secret-file = \"%s\" "
		"zone-dir = \"/z\" allow = { \"192.0.2.0/24\", \"::1\" } "
		"proxy-protocol = { \"192.0.2.1\" } trust-forwarder = { \"192.0.2.2\" } "
		"rate-limit = 5 rate-limit-slip = 3 rate-limit-prefix-v6 = 56 rate-limit-exempt = { \"192.0.2.3\" } "
		"rebinding-protection = on rebinding-allow = { \"corp.example\" } "
		"client-names = { \"hosts:/h\" } exclude = { \"example.com\" } mode = block "
		"event-command = { \"/bin/tell\", \"-x\", \"-x\", \"\" } block-ttl = 2s break-dnssec = off serve-stale = 0 stale-client-timeout = 2s prefetch = off zone-watch = off zone-transfer-max = 1M failure-ttl = 9s "
		"cache-size = 2M cache-save = off cache-ttl-min = 1s cache-ttl-max = 2h negative-ttl-max = 1h "
		"workers = 7 redis = \"redis://192.0.2.9\" zone \"ads\" { file = x }"
		"upstream = { \"192.0.2.53\" } upstream-timeout = 1s upstream-order = strict upstream-hedge = off hosts = { \"/h\" } hosts-ttl = 1s "
		"dashboard-listen = { \"192.0.2.1\" } dashboard-certificate = \"/c\" dashboard-key = \"/k\" "
		"dashboard-redis-user = reader dashboard-redis-password-file = \"/p\" "
		"dashboard-reading = open dashboard-metrics-clients = 7 dashboard-hosts = { \"dns.example\" } "
		"forward \"corp.example\" { upstream = { \"192.0.2.54\" } } ",
		path);
	struct options *given = load_good(text);
	unlink(path);
	size_t zones = given->zone_count;

	for (size_t i = 0; i < option_row_count; i++) {
		if (option_rows[i].reloadable && option_equal(defaults, given, &option_rows[i]))
			fail_msg("%s is to be given here", option_rows[i].name);
	}
	options_exchange_reloadable(was, given);
	for (size_t i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		if (!option_equal(row->reloadable ? given : was, defaults, row))
			fail_msg("%s", row->name);
	}
	assert_same_zones(given, defaults);
	assert_int_equal(was->zone_count, zones);
	assert_int_equal(was->forward_count, 1);
	assert_int_equal(given->forward_count, 0);
	assert_string_equal(was->zone_dir, "/z");
	assert_int_equal(was->allow_count, 2);
	assert_int_equal(was->mode, MODE_BLOCK);
	options_free(was);
	options_free(given);
	options_free(defaults);
}

static void test_describe_restart_bound(void **state)
{
	(void)state;
	char out[16] = "unchanged";
	struct options *a = load_good(NO_RESOLV_CONF "workers = 2 redis-memory = 64M");
	struct options *b = load_good(NO_RESOLV_CONF "workers = 3 redis-memory = 65M block-ttl = 2s");
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
		cmocka_unit_test(test_server_forms),
		cmocka_unit_test(test_plain_servers),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_forward_bound),
		cmocka_unit_test(test_upstream_on_an_interface_of_ours),
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_resolv_conf_only_us),
		cmocka_unit_test(test_zones_shipped),
		cmocka_unit_test(test_zones_override),
		cmocka_unit_test(test_zones_of_several_files),
		cmocka_unit_test(test_zone_formats),
		cmocka_unit_test(test_zones_bound),
		cmocka_unit_test(test_event_command),
		cmocka_unit_test(test_describe_restart),
		cmocka_unit_test(test_describe_restart_bound),
		cmocka_unit_test(test_exchange_reloadable),
		cmocka_unit_test(test_paths),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
