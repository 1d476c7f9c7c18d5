/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown drops`, `teredown timeline` and the time series below them, over a real redis-server
 * that is filled by hand after the schema. The core of it is the story: three clients, a name, nine
 * drops for each lookup, a second name at the same address whose client has no part in it. Where
 * redis-server is not installed the tests are skipped, and say so.
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

#include "resolver/control/fleet_hours.h"
#include "resolver/control/json_view.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define SERVER "65.55.158.118"
#define MICROSOFT "teredo.ipv6.microsoft.com."
#define NOW_HOUR 497090 /* 2026-09-16 02:00 UTC */
#define UNTIL "2026-09-16T03:00:00Z"
#define SINCE "2026-09-16T00:00:00Z" /* three hours */

static const char *const clients[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};

static void add_count(
	int resolver, const char *address, int64_t hour, const char *source, int count)
{
	char words[16];

	hour_words(hour, words);
	put("HINCRBY teredown:{gw%d}:timeline:%s %s:%s %d", resolver, address, words, source,
		count);
}

/* Each blank of the member is a part of it. */
static void add_member(int resolver, const char *set, int64_t hour, const char *member, int count)
{
	char words[16];

	hour_words(hour, words);
	put("ZINCRBY teredown:{gw%d}:hour:%s:%s %d %b", resolver, words, set, count, member,
		strlen(member));
}

static void add_drop(int resolver, int64_t hour, const char *client, const char *address,
	const char *kind, int count)
{
	char member[256];

	snprintf(member, sizeof(member), "%s %s %s", client, address, kind);
	add_member(resolver, "drops", hour, member, count);
	add_count(resolver, address, hour, "firewall-drop", count);
}

static void add_pair(int resolver, const char *address, const char *client, const char *name)
{
	char field[256];

	snprintf(field, sizeof(field), "%s %s", client, name);
	put("HSET teredown:{gw%d}:pair:%s %b %s", resolver, address, field, strlen(field),
		"1700000001000 1700000009000 7 x.");
	put("ZADD teredown:{gw%d}:name:%s 1700000009000 %s", resolver, name, address);
}

static void add_lookup(int resolver, int64_t hour, const char *client, const char *name, int count)
{
	char member[256];

	snprintf(member, sizeof(member), "%s %s", client, name);
	add_member(resolver, "watched-names", hour, member, count);
	add_member(resolver, "queries", hour, client, count);
	add_member(resolver, "watched", hour, client, count);
	add_count(resolver, SERVER, hour, "dns", count);
	add_pair(resolver, SERVER, client, name);
	put("HSET teredown:{gw%d}:client:%s queries %d last_seen 1700000009000", resolver, client,
		count);
}

/* An hour of the story: ten lookups and ninety drops of each client. */
static void add_story(int resolver, int64_t hour)
{
	for (int i = 0; i < 3; i++) {
		add_lookup(resolver, hour, clients[i], MICROSOFT, 10);
		add_drop(resolver, hour, clients[i], SERVER, "udp3544", 90);
	}
}

static void empty(void)
{
	if (!redis)
		skip();
	setenv("TZ", "UTC", 1);
	setenv("LC_ALL", "C", 1);
	setenv("COLUMNS", "100", 1);
	put("FLUSHALL");
	put("SADD teredown:resolvers gw1 gw2");
	put("HSET teredown:{gw1}:meta schema 2 recording_since 1700000000000");
	put("HSET teredown:{gw2}:meta schema 2 recording_since 1700000000000");
}

static void fill(void)
{
	empty();
	for (int64_t hour = NOW_HOUR - 2; hour <= NOW_HOUR; hour++)
		add_story(1, hour);
	add_drop(1, NOW_HOUR, "192.0.2.9", "203.0.113.9", "-", 12);
	add_drop(1, NOW_HOUR, "192.0.2.1", "192.88.99.1", "proto41", 5);
}

#define IS_IN(text)                                                   \
	do {                                                          \
		if (!strstr(said, text))                              \
			fail_msg("\"%s\" is not in: %s", text, said); \
	} while (0)
#define IS_NOT_IN(text)                                           \
	do {                                                      \
		if (strstr(said, text))                           \
			fail_msg("\"%s\" is in: %s", text, said); \
	} while (0)

#define TIMELINE(...) RUN("timeline", "--since", SINCE, "--until", UNTIL, __VA_ARGS__)
#define DROPS(...) RUN("drops", "--since", SINCE, "--until", UNTIL, __VA_ARGS__)

/* --- the reader --- */

static struct fleet *open_fleet(const char *resolver)
{
	char words[READER_WORDS_MAX];
	enum td_error error;
	struct fleet *fleet = fleet_open(url, NULL, resolver, TIMEOUT_MS, words, &error);

	assert_non_null(fleet);
	return fleet;
}

/* More hours than one command, and one pipeline, ask for: every count stands in its place. */
static void test_long_timeline(void **state)
{
	const struct reader_span span = {NOW_HOUR - 8999, 9000};
	uint64_t *counts = calloc(span.count, SOURCE_COUNT * sizeof(*counts));

	(void)state;
	empty();
	for (size_t h = 0; h < span.count; h += 7)
		add_count(1 + (int)(h % 2), SERVER, span.first + (int64_t)h,
			reader_source_name((enum reader_source)(h % SOURCE_COUNT)), (int)h + 1);
	struct fleet *fleet = open_fleet(NULL);
	assert_int_equal(fleet_timeline(fleet, SERVER, span, counts), TD_OK);
	for (size_t h = 0; h < span.count; h++)
		for (size_t s = 0; s < SOURCE_COUNT; s++)
			assert_int_equal(counts[h * SOURCE_COUNT + s],
				h % 7 == 0 && s == h % SOURCE_COUNT ? h + 1 : 0);
	fleet_close(&fleet);
	free(counts);
}

static void test_values_that_are_none(void **state)
{
	static const char *const values[] = {"-5", "1e3", "12x", "", "99999999999999999999", " 7"};
	const struct reader_span span = {NOW_HOUR, 1};
	uint64_t counts[SOURCE_COUNT];
	char words[16], field[32];

	(void)state;
	empty();
	hour_words(NOW_HOUR, words);
	snprintf(field, sizeof(field), "%s:dns", words);
	struct fleet *fleet = open_fleet("gw1");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		put("HSET teredown:{gw1}:timeline:" SERVER " %s %b", field, values[i],
			strlen(values[i]));
		assert_int_equal(fleet_timeline(fleet, SERVER, span, counts), TD_OK);
		assert_int_equal(counts[SOURCE_DNS], 0);
	}
	const struct reader_span wrong[] = {{-1, 2}, {INT64_MAX, 1}, {0, READER_HOURS_MAX + 1}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bool cut;
		assert_int_equal(reader_hour_rows(fleet->members[0].reader, READER_HOUR_DROPS,
					 wrong[i], NULL, NULL, &cut),
			TD_TOO_LONG);
	}
	fleet_close(&fleet);
}

struct seen {
	size_t rows;
	uint64_t sum;
	enum td_error answer;
};

static enum td_error see(void *context, size_t hour, const char *member, uint64_t count)
{
	struct seen *seen = context;

	assert_true(hour < 40);
	assert_true(*member != '\0');
	seen->rows++;
	seen->sum += count;
	return seen->answer;
}

/* A key of another type is refused, and the connection goes on; so does one whose rows nobody wants
 * any more. */
static void test_rows(void **state)
{
	const struct reader_span span = {NOW_HOUR - 39, 40};
	struct seen seen = {.answer = TD_OK};
	char words[16];
	bool cut;

	(void)state;
	empty();
	for (int h = 0; h < 40; h++)
		for (int i = 0; i < 50; i++) {
			char member[64];
			snprintf(member, sizeof(member), "192.0.2.%d 198.51.100.7 -", i);
			add_member(1, "drops", span.first + h, member, 1 + i);
		}
	struct fleet *fleet = open_fleet("gw1");
	struct reader *reader = fleet->members[0].reader;
	assert_int_equal(
		reader_hour_rows(reader, READER_HOUR_DROPS, span, see, &seen, &cut), TD_OK);
	assert_int_equal(seen.rows, 40 * 50);
	assert_int_equal(seen.sum, 40 * 50 * 51 / 2);
	assert_false(cut);
	seen = (struct seen){.answer = TD_NOMEM};
	assert_int_equal(
		reader_hour_rows(reader, READER_HOUR_DROPS, span, see, &seen, &cut), TD_NOMEM);
	assert_int_equal(seen.rows, 1);
	hour_words(NOW_HOUR - 20, words);
	put("SET teredown:{gw1}:hour:%s:drops x", words);
	assert_int_equal(
		reader_hour_rows(reader, READER_HOUR_DROPS, span, see, &seen, &cut), TD_NOMEM);
	seen = (struct seen){.answer = TD_OK};
	assert_int_equal(
		reader_hour_rows(reader, READER_HOUR_DROPS, span, see, &seen, &cut), TD_REFUSED);
	assert_int_equal(
		reader_hour_rows(reader, READER_HOUR_WATCHED_NAMES, span, see, &seen, &cut), TD_OK);
	fleet_close(&fleet);
}

static void test_too_many_rows(void **state)
{
	const struct reader_span span = {NOW_HOUR, 1};
	struct seen seen = {.answer = TD_OK};
	char words[16];
	bool cut;

	(void)state;
	empty();
	hour_words(NOW_HOUR, words);
	put("EVAL %s 1 teredown:{gw1}:hour:%s:drops",
		"for i=1,10100 do redis.call('ZADD',KEYS[1],i,'192.0.2.1 '..i..' -') end", words);
	struct fleet *fleet = open_fleet("gw1");
	assert_int_equal(reader_hour_rows(fleet->members[0].reader, READER_HOUR_DROPS, span, see,
				 &seen, &cut),
		TD_OK);
	assert_int_equal(seen.rows, READER_HOUR_ROWS_MAX);
	assert_true(cut);
	fleet_close(&fleet);
}

/* --- drops --- */

static void test_drops(void **state)
{
	(void)state;
	fill();
	assert_int_equal(DROPS("-n", "10"), CLI_OK);
	IS_IN("827 dropped packets to 3 destinations");
	IS_IN("65.55.158.118    810  97.9 %  UDP 3544          90           9.0  " MICROSOFT
	      "  192.0.2.1, 192.0.2.2, 192.0.2.3\n");
	IS_IN("203.0.113.9       12   1.5 %  -                  0             -  (no lookup here)");
	IS_IN("192.88.99.1        5   0.6 %  protocol 41        0             -  (no lookup here)");
	assert_true(strstr(said, SERVER) < strstr(said, "203.0.113.9"));
	IS_IN("a Teredo server of Microsoft");
	IS_IN("timeline 65.55.158.118");
	assert_int_equal(DROPS("-n", "1"), CLI_OK);
	IS_IN("... and 2 more destinations; -n 3 shows them.");
	assert_int_equal(DROPS("--csv"), CLI_OK);
	IS_IN("\r\n65.55.158.118,810,0.9794,810,0,90,9.0,0," MICROSOFT
	      ",192.0.2.1 192.0.2.2 192.0.2.3\r\n");
	IS_IN("\r\n203.0.113.9,12,0.0145,0,0,0,,1,,192.0.2.9\r\n");
}

/* What of the json text is at a path of keys and one index. */
static const char *at(const char *list, size_t index, const char *key)
{
	static char text[512];
	struct json_span rows, row, value;
	size_t position = 0;

	assert_true(json_find(said, strlen(said), list, &rows));
	for (size_t i = 0; i <= index; i++)
		assert_true(json_each(rows, &position, &row));
	assert_true(json_find(row.start, row.length, key, &value));
	snprintf(text, sizeof(text), "%.*s", (int)value.length, value.start);
	return text;
}

static void test_drops_json(void **state)
{
	(void)state;
	fill();
	/* Another client asked another name for the same address, and had no drop; a client had
	   drops and never asked. */
	add_pair(1, SERVER, "192.0.2.77", "www.example.com.");
	add_drop(1, NOW_HOUR, "192.0.2.50", SERVER, "-", 3);
	add_pair(1, "203.0.113.9", "192.0.2.77", "other.example.");
	add_pair(1, SERVER, "*other", "*other");
	assert_int_equal(DROPS("--json"), CLI_OK);
	assert_string_equal(at("destinations", 0, "address"), "\"65.55.158.118\"");
	assert_string_equal(at("destinations", 0, "drops"), "813");
	assert_string_equal(at("destinations", 0, "udp3544"), "810");
	assert_string_equal(at("destinations", 0, "ratio"), "9.0");
	assert_string_equal(at("destinations", 0, "hard_coded"), "false");
	assert_string_equal(
		at("destinations", 0, "names"), "[\"" MICROSOFT "\",\"www.example.com.\"]");
	IS_IN("{\"client\":\"192.0.2.1\",\"drops\":270,\"names\":[\"" MICROSOFT "\"]}");
	IS_IN("{\"client\":\"192.0.2.50\",\"drops\":3,\"names\":[]}");
	IS_NOT_IN("192.0.2.77");
	assert_string_equal(at("destinations", 1, "others_only"), "true");
	assert_string_equal(at("destinations", 1, "hard_coded"), "false");
	assert_string_equal(at("destinations", 2, "hard_coded"), "true");
	assert_string_equal(at("destinations", 2, "ratio"), "null");
}

/* What a bound took stands under *other; the timeline of the address knows better, and the sum
 * stays what it was. */
static void test_drops_beyond_a_bound(void **state)
{
	(void)state;
	fill();
	add_member(1, "drops", NOW_HOUR, "*other *other -", 100);
	add_count(1, "203.0.113.9", NOW_HOUR, "firewall-drop", 60);
	assert_int_equal(DROPS("--json"), CLI_OK);
	IS_IN("\"drops\":927,\"others\":40,");
	assert_string_equal(at("destinations", 1, "drops"), "72");
	assert_int_equal(DROPS("-n", "3"), CLI_OK);
	IS_IN("(others)");
}

/* A log of another DNS server names what nobody asked here: then it is built in nowhere. */
static void test_drops_with_history(void **state)
{
	(void)state;
	fill();
	put("HSET teredown:{gw1}:history:203.0.113.9 %b %s", "192.0.2.9 old.example.", (size_t)22,
		"1700000001000 1700000002000 5 certain");
	put("HSET teredown:{gw1}:history:192.88.99.1 %b %s", "192.0.2.1 \033[2J.", (size_t)15,
		"1700000001000 1700000002000 5 ambiguous");
	put("HSET teredown:{gw1}:history:192.88.99.1 %b %s", "192.0.2.1 b.example.", (size_t)20,
		"1700000001000 1700000002000 5 certain");
	assert_int_equal(DROPS("--json"), CLI_OK);
	assert_string_equal(at("destinations", 1, "hard_coded"), "false");
	assert_string_equal(at("destinations", 1, "logged"), "[\"old.example.\"]");
	assert_string_equal(at("destinations", 1, "names"), "[]");
	assert_string_equal(at("destinations", 1, "log_ambiguous"), "false");
	assert_string_equal(at("destinations", 2, "log_ambiguous"), "true");
	assert_int_equal(DROPS("-n", "5"), CLI_OK);
	IS_IN("(in a log: old.example.)");
	IS_IN("(in a log, ambiguous: \\027[2J., b.example.)");
	IS_NOT_IN("\033");
}

static void test_drops_of_a_fleet(void **state)
{
	(void)state;
	fill();
	add_story(2, NOW_HOUR);
	add_drop(2, NOW_HOUR, "192.0.2.9", "203.0.113.9", "-", 1000);
	assert_int_equal(DROPS("--fleet", "--json"), CLI_OK);
	assert_string_equal(at("destinations", 0, "drops"), "1080");
	assert_string_equal(at("destinations", 0, "lookups"), "120");
	assert_string_equal(at("destinations", 1, "drops"), "1012");
	assert_int_equal(DROPS("--resolver", "gw2", "--json"), CLI_OK);
	assert_string_equal(at("destinations", 0, "address"), "\"203.0.113.9\"");
}

static void test_drops_empty(void **state)
{
	(void)state;
	empty();
	assert_int_equal(RUN("drops"), CLI_NOTHING);
	IS_IN("No dropped packet is recorded since");
	IS_IN("ingest FILE");
	assert_int_equal(RUN("drops", "--json"), CLI_NOTHING);
	IS_IN("\"destinations\":[]");
	assert_int_equal(RUN("drops", "--csv"), CLI_NOTHING);
	assert_int_equal(RUN("drops", "x"), CLI_USAGE);
	assert_int_equal(RUN("drops", "--csv", "--json"), CLI_USAGE);
	assert_int_equal(RUN("drops", "--since", "never"), CLI_USAGE);
	assert_int_equal(RUN("drops", "--since", "1h", "--until", "2h"), CLI_USAGE);
	put("DEL teredown:{gw1}:meta");
	assert_int_equal(RUN("drops"), CLI_NOTHING);
	IS_IN("has not recorded anything");
}

/* --- timelines --- */

static void test_timeline_of_an_address(void **state)
{
	(void)state;
	fill();
	assert_int_equal(TIMELINE(SERVER), CLI_OK);
	IS_IN("65.55.158.118 (address), resolver gw1, a row is 1 h, times are UTC");
	IS_IN("                  dns                                       firewall-drop\n");
	IS_IN("2026-09-16 00:00  30 ####                                   270 ###");
	IS_IN("total             90                                        810\n");
	IS_IN("Drops to lookups: 9.0 (810 drops, 90 lookups).\n");
	IS_IN("Nothing of: firewall-pass, proxy, eventlog.\n");
	IS_IN("who 65.55.158.118");
	assert_int_equal(TIMELINE(SERVER, "--csv"), CLI_OK);
	assert_string_equal(said, "time,dns,firewall-drop,firewall-pass,proxy,eventlog\r\n"
				  "2026-09-16T00:00:00+00:00,30,270,0,0,0\r\n"
				  "2026-09-16T01:00:00+00:00,30,270,0,0,0\r\n"
				  "2026-09-16T02:00:00+00:00,30,270,0,0,0\r\n");
	add_count(1, SERVER, NOW_HOUR, "proxy", 1);
	add_count(1, MICROSOFT, NOW_HOUR, "proxy", 3); /* by name, as most proxies write it */
	add_count(1, "www.example.com.", NOW_HOUR, "proxy", 50);
	assert_int_equal(TIMELINE(SERVER, "--json", "--span", "1d"), CLI_OK);
	IS_IN("\"ratio\":9.0,\"series\":[{\"source\":\"dns\",\"sum\":90},{\"source\":"
	      "\"firewall-drop\",\"sum\":810},{\"source\":\"proxy\",\"sum\":4}]");
	IS_IN("\"from\":\"2026-09-16T00:00:00.000000Z\",\"to\":\"2026-09-16T03:00:00.000000Z\","
	      "\"counts\":[90,810,4]");
}

static void test_timeline_by_client_and_name(void **state)
{
	(void)state;
	fill();
	add_lookup(1, NOW_HOUR, "192.0.2.77", "www.example.com.", 2);
	add_lookup(1, NOW_HOUR, "192.0.2.78", "www.example.com.", 1);
	add_lookup(1, NOW_HOUR, "192.0.2.78", "ftp.example.com.", 1);
	add_drop(1, NOW_HOUR, "192.0.2.78", SERVER, "-", 7);
	add_drop(1, NOW_HOUR, "192.0.2.50", SERVER, "-", 3);
	assert_int_equal(TIMELINE(SERVER, "--by", "client", "--csv"), CLI_OK);
	IS_IN("time,192.0.2.1 dns,192.0.2.1 firewall-drop,192.0.2.2 dns,192.0.2.2 firewall-drop,"
	      "192.0.2.3 dns,192.0.2.3 firewall-drop,192.0.2.78 dns,192.0.2.78 firewall-drop,"
	      "192.0.2.50 firewall-drop,192.0.2.77 dns\r\n");
	IS_IN("\r\n2026-09-16T02:00:00+00:00,10,90,10,90,10,90,2,7,3,2\r\n");
	assert_int_equal(TIMELINE(SERVER, "--by", "name", "--csv"), CLI_OK);
	IS_IN("time," MICROSOFT " dns," MICROSOFT " firewall-drop,(several names) firewall-drop,"
	      "(no lookup here) firewall-drop,www.example.com. dns,ftp.example.com. dns\r\n");
	IS_IN("\r\n2026-09-16T02:00:00+00:00,30,270,7,3,3,1\r\n");
	assert_int_equal(TIMELINE(SERVER, "--by", "client"), CLI_OK);
	IS_IN("CLIENT     LOOKUPS  DROPS  DROPS/LOOKUP\n");
	IS_IN("192.0.2.1       30    270           9.0\n");
	IS_IN("(others)");
}

static void test_timeline_of_a_name(void **state)
{
	(void)state;
	fill();
	assert_int_equal(TIMELINE("TEREDO.ipv6.microsoft.com"), CLI_OK);
	IS_IN("(name)");
	IS_IN("Drops to lookups: 9.0 (810 drops, 90 lookups).\n");
	IS_NOT_IN("other names");
	add_count(1, MICROSOFT, NOW_HOUR, "proxy", 3);
	add_pair(1, SERVER, "192.0.2.77", "www.example.com.");
	assert_int_equal(TIMELINE(MICROSOFT), CLI_OK);
	IS_IN("other names");
	assert_int_equal(TIMELINE(MICROSOFT, "--by", "client", "--json"), CLI_OK);
	IS_IN("{\"group\":\"192.0.2.1\",\"source\":\"firewall-drop\",\"sum\":270}");
	IS_NOT_IN("192.0.2.77");
	assert_int_equal(TIMELINE(MICROSOFT, "--by", "name"), CLI_USAGE);
	/* A name that is not watched has no hours of its own. */
	assert_int_equal(TIMELINE("www.example.com"), CLI_OK);
	IS_IN("Only watched names are counted by the hour");
	/* Blocked: still asked, told to nobody. */
	add_member(1, "watched-names", NOW_HOUR, "192.0.2.1 " MICROSOFT, 5);
	assert_int_equal(TIMELINE(MICROSOFT, "--csv"), CLI_OK);
	IS_IN("T02:00:00+00:00,35,270,0,3,0\r\n");
}

static void test_timeline_of_a_client(void **state)
{
	(void)state;
	fill();
	add_member(1, "queries", NOW_HOUR, "192.0.2.1", 1000);
	add_member(1, "blocked", NOW_HOUR, "192.0.2.1", 15);
	add_count(1, "192.0.2.1", NOW_HOUR, "proxy", 9); /* of the address, not of the client */
	assert_int_equal(TIMELINE("192.0.2.1", "--csv"), CLI_OK);
	IS_IN("time,dns,firewall-drop,dns-watched\r\n");
	IS_IN("T02:00:00+00:00,1010,95,25\r\n");
	assert_int_equal(TIMELINE("192.0.2.1"), CLI_OK);
	IS_IN("192.0.2.1 (client)");
	IS_IN("Drops to lookups of watched names: 6.1 (275 drops, 45 lookups).");
	assert_int_equal(TIMELINE("192.0.2.1", "--by", "name", "--csv"), CLI_OK);
	IS_IN("time," MICROSOFT " dns," MICROSOFT " firewall-drop,(no lookup here) "
	      "firewall-drop\r\n");
	IS_IN("T02:00:00+00:00,10,90,5\r\n");
	assert_int_equal(TIMELINE("192.0.2.1", "--by", "client"), CLI_USAGE);
	assert_int_equal(TIMELINE("--address", "192.0.2.1", "--csv"), CLI_OK);
	IS_IN("T02:00:00+00:00,0,0,0,9,0\r\n");
}

static void test_timeline_of_a_fleet(void **state)
{
	(void)state;
	fill();
	add_story(2, NOW_HOUR);
	assert_int_equal(TIMELINE(SERVER, "--fleet", "--csv"), CLI_OK);
	IS_IN("T02:00:00+00:00,60,540,0,0,0\r\n");
	assert_int_equal(TIMELINE("192.0.2.1", "--fleet", "--csv"), CLI_OK);
	IS_IN("T02:00:00+00:00,20,185,20\r\n");
	put("SADD teredown:resolvers gw3");
	put("SET teredown:{gw3}:timeline:" SERVER " x");
	assert_int_equal(TIMELINE(SERVER, "--fleet", "--csv"), CLI_PARTIAL);
	IS_IN("T02:00:00+00:00,60,540,0,0,0\r\n");
	IS_IN("resolver gw3 cannot be read");
}

static void test_timeline_scale_and_days(void **state)
{
	(void)state;
	fill();
	setenv("LC_ALL", "C.UTF-8", 1);
	assert_int_equal(TIMELINE(SERVER, "--scale", "log", "--span", "3h"), CLI_OK);
	IS_IN("bars are logarithmic");
	IS_IN("█");
	setenv("TZ", "Asia/Kolkata", 1);
	assert_int_equal(TIMELINE(SERVER, "--span", "1d"), CLI_OK);
	IS_IN("2026-09-16 Wed");
	IS_IN("Rows are approximate");
	assert_int_equal(TIMELINE(SERVER), CLI_OK);
	IS_IN("2026-09-16 05:30");
	IS_IN("begin at 30 minutes past");
}

static void test_timeline_usage(void **state)
{
	(void)state;
	empty();
	assert_int_equal(RUN("timeline"), CLI_USAGE);
	assert_int_equal(RUN("timeline", "a", "b"), CLI_USAGE);
	assert_int_equal(RUN("timeline", "a", "--address", SERVER), CLI_USAGE);
	assert_int_equal(RUN("timeline", "--address", "a.example"), CLI_USAGE);
	assert_int_equal(RUN("timeline", "a..b"), CLI_USAGE);
	assert_int_equal(RUN("timeline", SERVER, "--span", "30m"), CLI_USAGE);
	IS_IN("Redis keeps counts by the hour");
	assert_int_equal(RUN("timeline", SERVER, "--by", "zone"), CLI_USAGE);
	assert_int_equal(RUN("timeline", SERVER, "--scale", "cubic"), CLI_USAGE);
	assert_int_equal(RUN("timeline", SERVER, "--since", "20000d"), CLI_USAGE);
	assert_int_equal(RUN("timeline", SERVER, "--since", "1h", "--until", "2h"), CLI_USAGE);
	assert_int_equal(RUN("timeline", SERVER, "--csv", "--json"), CLI_USAGE);
	assert_int_equal(RUN("timeline", SERVER), CLI_NOTHING);
	IS_IN("nothing was counted in that time");
	assert_int_equal(RUN("timeline", SERVER, "--json"), CLI_NOTHING);
	assert_int_equal(
		RUN("timeline", "win10.ipv6.microsoft.com", "--by", "client"), CLI_NOTHING);
}

/* --- hostile and much --- */

#define ESCAPE "\033[2J"

/* Nothing that Redis holds reaches the terminal raw, or breaks a row of CSV. */
static void test_hostile(void **state)
{
	(void)state;
	fill();
	add_lookup(1, NOW_HOUR, "192.0.2.1", ESCAPE "\n.", 9);
	add_lookup(1, NOW_HOUR, "\033]0;x\a", MICROSOFT, 900);
	add_lookup(1, NOW_HOUR, "=1+1", MICROSOFT, 950);
	add_member(1, "drops", NOW_HOUR, "=1+1 " SERVER " udp3544", 500);
	add_member(1, "drops", NOW_HOUR, ESCAPE " " SERVER " -", 400);
	add_member(1, "drops", NOW_HOUR, "192.0.2.1 " ESCAPE " -", 400);
	add_member(1, "drops", NOW_HOUR, "not a member at all", 400);
	add_member(1, "drops", NOW_HOUR, "", 400);
	add_member(1, "drops", NOW_HOUR, "192.0.2.1 " SERVER " - - -", 400);
	put("ZADD teredown:{gw1}:hour:2026091602:drops inf %b", "192.0.2.1 192.0.2.8 -", 21ul);
	put("ZADD teredown:{gw1}:hour:2026091602:drops -5 %b", "192.0.2.1 192.0.2.7 -", 21ul);
	put("ZADD teredown:{gw1}:hour:2026091602:drops 5 %b", "192.0.2.1 192.0.2.6\0 -", 22ul);
	assert_int_equal(DROPS("-n", "10"), CLI_OK);
	IS_NOT_IN("\033");
	IS_IN("1727 dropped packets to 3 destinations");
	IS_IN("\\027[2J");
	assert_int_equal(DROPS("--csv"), CLI_OK);
	IS_NOT_IN("\033");
	assert_int_equal(DROPS("--json"), CLI_OK);
	IS_NOT_IN("\033");
	assert_int_equal(TIMELINE(SERVER, "--by", "client"), CLI_OK);
	IS_NOT_IN("\033");
	IS_IN("\\027]0;x\\007");
	assert_int_equal(TIMELINE(SERVER, "--by", "client", "--csv"), CLI_OK);
	IS_IN(",'=1+1 dns,");
	assert_int_equal(TIMELINE(SERVER, "--by", "name"), CLI_OK);
	IS_NOT_IN("\033");
	assert_int_equal(TIMELINE("192.0.2.1", "--by", "name", "--csv"), CLI_OK);
	IS_IN("\\027[2J\\010. dns");
	IS_NOT_IN("\033");
}

/* Full sets for four days, each hour with other clients. */
static void test_much(void **state)
{
	(void)state;
	empty();
	put("EVAL %s 0 %d",
		"for h=0,95 do local key='teredown:{gw1}:hour:'..(2026090100+h%24+100*math.floor("
		"h/24)) for i=1,2000 do redis.call('ZADD',key..':drops',i,'10.'..(h%250)..'.'.."
		"math.floor(i/250)..'.'..(i%250)..' 203.0.113.'..(i%250)..' -') end end return "
		"tonumber(ARGV[1])",
		1);
	assert_int_equal(RUN("drops", "--since", "2026-09-01T00:00:00Z", "--until",
				 "2026-09-05T00:00:00Z", "--json", "-n", "3"),
		CLI_OK);
	IS_IN("\"drops\":192096000,\"others\":0,\"destination_count\":250,");
	assert_int_equal(RUN("timeline", "203.0.113.7", "--since", "2026-09-01T00:00:00Z",
				 "--until", "2026-09-05T00:00:00Z", "--by", "client"),
		CLI_OK);
	IS_IN("(others)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_timeline),
		cmocka_unit_test(test_values_that_are_none),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_too_many_rows),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_drops_json),
		cmocka_unit_test(test_drops_beyond_a_bound),
		cmocka_unit_test(test_drops_with_history),
		cmocka_unit_test(test_drops_of_a_fleet),
		cmocka_unit_test(test_drops_empty),
		cmocka_unit_test(test_timeline_of_an_address),
		cmocka_unit_test(test_timeline_by_client_and_name),
		cmocka_unit_test(test_timeline_of_a_name),
		cmocka_unit_test(test_timeline_of_a_client),
		cmocka_unit_test(test_timeline_of_a_fleet),
		cmocka_unit_test(test_timeline_scale_and_days),
		cmocka_unit_test(test_timeline_usage),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_much),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
