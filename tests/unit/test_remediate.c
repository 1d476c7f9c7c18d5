/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown remediate` and `verify` over a redis-server filled by hand: which hosts a script names,
 * that no name and no client of the network gets out of its quotation, marks, and each verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/control/remediate/remediate.h"
#include "tests/unit/redis_server.h"

#define P "teredown:{gw1}:"
#define MINUTE_MS INT64_C(60000)

static const char *const ways[] = {
	"--powershell", "--netsh", "--registry", "--gpo", "--intune", "--linux", "--firewall"};

/* Each would do something if it stood in a script as it is. */
static const char *const hostile[] = {
	"'; Remove-Item -Recurse C:\\ #",
	"\xe2\x80\x99; Stop-Computer; \xe2\x80\x98", /* what PowerShell takes for quotes, too */
	"$(touch /tmp/owned)",
	"`touch /tmp/owned`",
	"pc1\nStop-Computer",
	"pc1\r\ndel c:",
	"pc1 & del c:",
	"pc1|more",
	"%COMSPEC%",
	"pc1\"",
	"@evil",
	"-oProxyCommand=reboot",
	"--",
	"*",
	"pc1;reboot",
	"pc1#",
	"pc 1",
	"..",
	"pc..1",
	".pc1",
	"pc1.",
	"",
	"localhost",
	"LOCALHOST.localdomain",
	"www.localhost",
	"192.0.2.99",
	"10.1",
	"2130706433",
	"0x7f000001",
	"pc.0x7f",
	"::1",
	"\\\\pc1\\share",
	"p\xc3\xa7",
};
#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

/* --- words --- */

static void hosts_are_plain(void **state)
{
	char text[300];

	(void)state;
	for (size_t i = 0; i < HOSTILE; i++)
		if (remedy_is_host(hostile[i]))
			fail_msg("taken for a host: %s", hostile[i]);
	assert_true(remedy_is_host("pc-17"));
	assert_true(remedy_is_host("PC_17.corp.example"));
	assert_true(remedy_is_host("3com.example"));
	assert_true(remedy_is_host("localhosted.example"));
	memset(text, 'a', sizeof(text));
	text[64] = '\0';
	assert_false(remedy_is_host(text));
	text[63] = '\0';
	assert_true(remedy_is_host(text));
	for (size_t i = 0; i < 254; i++)
		text[i] = i % 60 == 59 ? '.' : 'a';
	text[254] = '\0';
	assert_false(remedy_is_host(text));
	text[253] = '\0';
	assert_true(remedy_is_host(text));
}

static void quotations(void **state)
{
	struct strbuf out;

	(void)state;
	strbuf_init(&out);
	remedy_quote_shell(&out, "a'b\n\xe2\x80\x99$`\"\\");
	assert_string_equal(out.data, "'a'\\''b????$`\"\\'");
	strbuf_clear(&out);
	remedy_quote_powershell(&out, "a'b\n\xe2\x80\x99$`\"\\");
	assert_string_equal(out.data, "'a''b????$`\"\\'");
	strbuf_deinit(&out);
}

/* --- a network in Redis --- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void put_hit(const char *client, int hits, int64_t last_ms)
{
	put("ZADD " P "watch:teredo %d %b", hits, client, strlen(client));
	put("ZADD " P "watch:teredo:last %lld %b", (long long)last_ms, client, strlen(client));
}

static void put_name(const char *client, const char *name)
{
	put("HSET " P "client:%b name %b last_seen %lld", client, strlen(client), name,
		strlen(name), (long long)now_ms());
}

static void fill(void)
{
	if (!redis)
		skip();
	put("FLUSHALL");
	put("SADD teredown:resolvers gw1");
	put("HSET " P "meta schema 2 recording_since 1700000000000");
	put_hit("192.0.2.1", 900, now_ms() - 1000);
	put_name("192.0.2.1", "pc-17.corp.example.");
	put_hit("192.0.2.2", 800, now_ms() - 1000);
	put_hit("2001:db8::1", 700, now_ms() - 1000);
	put_name("2001:db8::1", "pc-17.corp.example");
	put_hit("02:00:5e:10:00:01", 600, now_ms() - 1000);
	put_hit("192.0.2.9", 500, now_ms() - 1000);
	put("HSET " P "client:192.0.2.9 forwarder many");
	put_hit("*other", 400, now_ms() - 1000);
	put_hit("127.0.0.1", 300, now_ms() - 1000);
}

static void assert_said(const char *part)
{
	if (!strstr(said, part))
		fail_msg("\"%s\" is not in: %s", part, said);
}

static void assert_not_said(const char *part)
{
	if (strstr(said, part))
		fail_msg("\"%s\" is in: %s", part, said);
}

static void the_list(void **state)
{
	(void)state;
	fill();
	assert_int_equal(RUN("remediate"), CLI_OK);
	assert_said("6 hosts asked for tunnels (resolver gw1)");
	assert_said("pc-17.corp.example.");
	assert_said("looks like a forwarder");
	assert_said("Set-NetTeredoConfiguration -Type Disabled");
	assert_said("DirectAccess");
	assert_not_said("*other");
	assert_int_equal(RUN("remediate", "--json"), CLI_OK);
	assert_said("\"client\":\"192.0.2.1\",\"name\":\"pc-17.corp.example.\",\"host\":"
		    "\"pc-17.corp.example\"");
	assert_said("\"client\":\"02:00:5e:10:00:01\",\"name\":null,\"host\":null");
	put("FLUSHALL");
	assert_int_equal(RUN("remediate"), CLI_NOTHING);
	assert_int_equal(RUN("remediate", "--powershell"), CLI_NOTHING);
	assert_int_equal(RUN("remediate", "--gpo"), CLI_OK);
}

static void scripts_name_hosts(void **state)
{
	(void)state;
	fill();
	assert_int_equal(RUN("remediate", "--powershell"), CLI_OK);
	assert_said("\t\t'pc-17.corp.example' #  192.0.2.1, 900 hits, last 20");
	assert_said("\t\t'192.0.2.2' #  192.0.2.2, 800 hits");
	assert_not_said("'2001:db8::1'"); /* the same host again */
	assert_not_said("'192.0.2.9'");
	assert_not_said("'127.0.0.1'");
	assert_said("# Not here: 1 that look like forwarders");
	assert_said("# Not here: 2 that have neither a usable name nor an address");
	assert_int_equal(RUN("remediate", "--powershell", "--client", "192.0.2.9"), CLI_OK);
	assert_said("\t\t'192.0.2.9' #");
	assert_not_said("pc-17");
	assert_int_equal(RUN("remediate", "--linux", "--client", "PC-17.corp.example"), CLI_OK);
	assert_said("set -- \\\n\t\t'pc-17.corp.example'\nfi");
	assert_int_equal(RUN("remediate", "--netsh"), CLI_OK);
	assert_said("winrs -r:192.0.2.2 netsh interface teredo set state type=disabled || set "
		    "failed=1\r\n");
	assert_int_equal(RUN("remediate", "--registry"), CLI_OK);
	assert_said("Windows Registry Editor Version 5.00\r\n");
	assert_said(
		"[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\Windows\\TCPIP\\v6Transition]"
		"\r\n\"Teredo_State\"=\"Disabled\"\r\n");
	assert_int_equal(RUN("remediate", "--registry", "--undo"), CLI_OK);
	assert_said("\"Teredo_State\"=-\r\n");
	assert_int_equal(RUN("remediate", "--intune"), CLI_OK);
	assert_said("./Device/Vendor/MSFT/Policy/Config/ADMX_tcpip/Teredo_State");
	assert_int_equal(RUN("remediate", "--gpo"), CLI_OK);
	assert_said("-ValueName Teredo_State -Type String -Value Disabled");
	assert_int_equal(RUN("remediate", "--firewall", "--client", "192.0.2.1"), CLI_OK);
	assert_said("elements = { 192.0.2.1 }");
	assert_said("meta l4proto 41 counter drop");
	assert_int_equal(RUN("remediate", "--firewall"), CLI_OK);
	assert_not_said("elements");
	assert_int_equal(RUN("remediate", "--powershell", "--client", "192.0.2.77"), CLI_NOTHING);
	assert_said("192.0.2.77 was not seen asking for tunnels");
}

/* Who asks for servers of miredo, and for none of Windows, is no matter for PowerShell. */
static void linux_hosts(void **state)
{
	(void)state;
	fill();
	put("ZADD " P "client:192.0.2.2:names 5 teredo-debian.remlab.net.");
	put("ZADD " P "client:192.0.2.1:names 5 teredo.remlab.net. 1 win10.ipv6.microsoft.com.");
	assert_int_equal(RUN("remediate", "--powershell", "--mark"), CLI_OK);
	assert_said("\t\t'pc-17.corp.example' #");
	assert_not_said("'192.0.2.2'");
	assert_said("# Not here: 1 that ask for servers of miredo");
	assert_said("2 clients are marked"); /* one host with two addresses */
	assert_int_equal(RUN("remediate", "--linux"), CLI_OK);
	assert_said("'192.0.2.2'");
	assert_int_equal(RUN("remediate", "--powershell", "--client", "192.0.2.2"), CLI_OK);
	assert_said("\t\t'192.0.2.2' #");
	assert_int_equal(RUN("remediate"), CLI_OK);
	assert_said("miredo");
}

/* As a name, and as a client, of any way: it does not get into the text at all. */
static void hostile_names(void **state)
{
	(void)state;
	fill();
	put("FLUSHALL");
	put("HSET " P "meta schema 2 recording_since 1700000000000");
	for (size_t i = 0; i < HOSTILE; i++) {
		char client[32];
		snprintf(client, sizeof(client), "198.51.100.%zu", i + 1);
		put_hit(client, 5, now_ms());
		put_name(client, hostile[i]);
		if (*hostile[i] && *hostile[i] != '*' && hostile[i][0] != '1' &&
			hostile[i][0] != ':')
			put_hit(hostile[i], 7, now_ms());
	}
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		for (int undo = 0; undo < 2; undo++) {
			if (undo)
				assert_int_equal(RUN("remediate", ways[w], "--undo"), CLI_OK);
			else
				assert_int_equal(RUN("remediate", ways[w]), CLI_OK);
			assert_not_said("Remove-Item");
			assert_not_said("Stop-Computer");
			assert_not_said("owned");
			assert_not_said("reboot");
			assert_not_said("evil");
			assert_not_said("del c:");
			assert_not_said("COMSPEC");
			assert_not_said("|more");
			assert_not_said("'localhost");
			assert_not_said("2130706433");
			assert_not_said("192.0.2.99");
			assert_not_said("share");
			for (const char *c = said; *c; c++)
				if ((unsigned char)*c >= 0x7f ||
					((unsigned char)*c < 0x20 && !strchr("\n\r\t", *c)))
					fail_msg("octet %d in the text of %s", *c, ways[w]);
		}
	}
	assert_int_equal(RUN("remediate", "--powershell"), CLI_OK);
	assert_said("\t\t'198.51.100.1' #");
	/* A resolver's name is no more to be believed. */
	put("ZADD teredown:{x'$(reboot)}:watch:teredo 5 192.0.2.1");
	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		assert_int_equal(RUN("remediate", ways[w], "--resolver", "x'$(reboot)"), CLI_OK);
		assert_not_said("reboot");
	}
}

static void usage(void **state)
{
	(void)state;
	if (!redis)
		skip();
	assert_int_equal(RUN("remediate", "x"), CLI_USAGE);
	assert_int_equal(RUN("remediate", "--netsh", "--gpo"), CLI_USAGE);
	assert_int_equal(RUN("remediate", "--undo"), CLI_USAGE);
	assert_int_equal(RUN("remediate", "--mark", "--fleet"), CLI_USAGE);
	assert_int_equal(RUN("verify", "x"), CLI_USAGE);
}

/* --- marks and verdicts --- */

static int64_t marks(void)
{
	redisReply *reply = redisCommand(redis, "HLEN " P "remediated");
	int64_t count = reply->integer;

	freeReplyObject(reply);
	return count;
}

static void marking(void **state)
{
	(void)state;
	fill();
	assert_int_equal(RUN("verify"), CLI_NOTHING);
	assert_said("nobody was marked");
	assert_int_equal(RUN("remediate", "--powershell", "--mark"), CLI_OK);
	assert_said("3 clients are marked as remediated"); /* a host with two addresses, another */
	assert_int_equal(marks(), 3);
	redisReply *reply = redisCommand(redis, "HGET " P "remediated 192.0.2.1");
	assert_int_equal(reply->type, REDIS_REPLY_STRING);
	assert_non_null(strstr(reply->str, "\"method\":\"powershell\",\"zones\":[\"teredo\""));
	freeReplyObject(reply);
	assert_int_equal(RUN("remediate", "--mark", "--client", "192.0.2.9"), CLI_OK);
	assert_int_equal(marks(), 4);
	assert_int_equal(RUN("remediate", "--mark", "--undo", "--client", "192.0.2.9"), CLI_OK);
	assert_said("1 clients are no longer marked");
	assert_int_equal(marks(), 3);
	/* Quiet for long enough to be forgotten, and marked all the same. */
	put("DEL " P "watch:teredo " P "watch:teredo:last");
	assert_int_equal(RUN("remediate", "--mark", "--undo", "--json"), CLI_OK);
	assert_said("\"marked\":3");
	assert_int_equal(marks(), 0);
}

static void put_mark(const char *client, int64_t at_ms)
{
	put("HSET " P "remediated %s {\"at\":%lld,\"by\":\"root\",\"method\":\"netsh\",\"zones\":["
	    "\"teredo\"]}",
		client, (long long)at_ms);
}

static void put_record(const char *client, const char *policy, const char *action)
{
	put("XADD " P
	    "transactions * ts 1 json {\"client\":\"%s\",\"policy\":\"%s\",\"action\":\"%s"
	    "\"}",
		client, policy, action);
}

static void assert_verdict(const char *client, const char *state_word, int code)
{
	char part[96];

	assert_int_equal(RUN("verify", "--json", "--client", client), code);
	snprintf(part, sizeof(part), "\"state\":\"%s\"", state_word);
	assert_said(part);
	assert_int_equal(RUN("verify", "--client", client), code);
}

static void verdicts(void **state)
{
	int64_t now = now_ms();

	(void)state;
	fill();
	put_mark("192.0.2.1", now - 60 * MINUTE_MS);
	put_hit("192.0.2.1", 5, now - 90 * MINUTE_MS);
	assert_verdict("192.0.2.1", "silent", CLI_OK);
	assert_said("silent since");
	assert_said("All 1 are quiet");
	put_hit("192.0.2.1", 5, now - 30 * MINUTE_MS); /* after the mark, and stopped since */
	assert_verdict("192.0.2.1", "silent", CLI_OK);

	put_mark("192.0.2.2", now - 60 * MINUTE_MS);
	put_hit("192.0.2.2", 5, now - MINUTE_MS);
	assert_verdict("192.0.2.2", "answered", CLI_UNMET);
	assert_said("asking and answered, last 1 min ago");
	put_record("192.0.2.2", "teredo", "watch");
	put_record("192.0.2.2", "teredo", "block");
	put_record("192.0.2.2", "ads", "watch"); /* no tunnel */
	put_record("192.0.2.3", "teredo", "watch");
	assert_verdict("192.0.2.2", "blocked", CLI_UNMET);
	assert_said("blocked but still asking");
	put_record("192.0.2.2", "teredo", "watch");
	assert_verdict("192.0.2.2", "answered", CLI_UNMET);

	/* Of two resolvers that it asked the later one tells, in whichever order they are read. */
	static const char *const blocking[] = {"gw1", "gw2"};
	for (size_t i = 0; i < 2; i++) {
		put("SADD teredown:resolvers gw2");
		put("DEL " P "transactions teredown:{gw2}:transactions");
		put("XADD teredown:{%s}:transactions * ts 1 json "
		    "{\"ts\":\"2026-11-22T06:00:00.5Z\",\"client\":"
		    "\"192.0.2.2\",\"policy\":\"teredo\",\"action\":\"block\"}",
			blocking[i]);
		put("XADD teredown:{%s}:transactions * ts 1 json "
		    "{\"ts\":\"2026-11-22T06:00:09.5Z\",\"client\":"
		    "\"192.0.2.2\",\"policy\":\"teredo\",\"action\":\"watch\"}",
			blocking[1 - i]);
		RUN("verify", "--fleet", "--json", "--client", "192.0.2.2");
		assert_said("\"state\":\"answered\"");
	}
	put("SREM teredown:resolvers gw2");

	/* Without records the hour's counters say it. */
	put("DEL " P "transactions");
	time_t seconds = (time_t)((now - MINUTE_MS) / 1000);
	char hour[16];
	struct tm parts;
	strftime(hour, sizeof(hour), "%Y%m%d%H", gmtime_r(&seconds, &parts));
	put("ZADD " P "hour:%s:blocked 3 192.0.2.2", hour);
	assert_verdict("192.0.2.2", "blocked", CLI_UNMET);

	/* A mark from just now: what came before it does not count. */
	put_mark("192.0.2.2", now);
	assert_verdict("192.0.2.2", "silent", CLI_OK);
	assert_int_equal(RUN("verify"), CLI_OK);
	assert_int_equal(RUN("verify", "--client", "192.0.2.77"), CLI_NOTHING);
}

static void event_logs(void **state)
{
	int64_t now = now_ms();

	(void)state;
	fill();
	put_mark("192.0.2.1", now - 60 * MINUTE_MS);
	put_hit("192.0.2.1", 5, now - 90 * MINUTE_MS);
	put("HSET " P
	    "eventlog PC-17 {\"at\":%lld,\"state\":\"active\",\"event\":4100,\"text\":\"q\"}",
		(long long)(now - 120 * MINUTE_MS));
	assert_verdict("192.0.2.1", "silent", CLI_OK); /* from before the mark */
	put("HSET " P "eventlog PC-17 "
	    "{\"at\":%lld,\"state\":\"active\",\"event\":4100,\"text\":\"up\\u001b\"}",
		(long long)(now - MINUTE_MS));
	assert_verdict("192.0.2.1", "active", CLI_UNMET);
	assert_said("event log says active: up\\027");
	put("HSET " P "eventlog PC-17 {\"at\":%lld,\"state\":\"inactive\",\"event\":4100}",
		(long long)(now - MINUTE_MS));
	assert_verdict("192.0.2.1", "silent", CLI_OK);
	put("DEL " P "eventlog");
	put("HSET " P "eventlog pc-17.other.example {\"at\":%lld,\"state\":\"active\"}",
		(long long)now);
	assert_verdict("192.0.2.1", "silent", CLI_OK); /* another domain's */
	put("HSET " P "eventlog 192.0.2.1 {\"at\":%lld,\"state\":\"active\"}", (long long)now);
	assert_verdict("192.0.2.1", "active", CLI_UNMET);
}

/* What is no mark and no log is passed over. */
static void broken_values(void **state)
{
	(void)state;
	fill();
	put("HSET " P "remediated 192.0.2.1 nonsense 192.0.2.2 {\"at\":{}} \x01\xff {\"at\":1}");
	put("HSET " P
	    "eventlog 192.0.2.1 [[[ x {\"state\":\"active\",\"at\":99999999999999999999}");
	assert_int_equal(RUN("verify"), CLI_UNMET);
	assert_said("\\001\\255");
	assert_int_equal(RUN("verify", "--json"), CLI_UNMET);
	assert_int_equal(RUN("remediate"), CLI_OK);
}

static void events(void **state)
{
	(void)state;
	fill();
	assert_int_equal(RUN("tail", "--events", "--once"), CLI_NOTHING);
	assert_said("No event has been recorded so far");
	put("XADD " P "events * ts 1 json %s",
		"{\"ts\":\"2026-11-21T20:52:11.123Z\",\"kind\":\"remediated-back\",\"client\":"
		"\"192.0.2.1\",\"text\":\"192.0.2.1\\u001b asks again\"}");
	put("XADD " P "events * ts 1 json %s", "no\x1bjson");
	assert_int_equal(RUN("tail", "--events", "--once"), CLI_OK);
	assert_said(".123  remediated-back  192.0.2.1\\027 asks again\n");
	assert_said("no\\027json\n");
	assert_int_equal(RUN("tail", "--events", "--once", "--json"), CLI_OK);
	assert_said("\"kind\":\"remediated-back\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_plain),
		cmocka_unit_test(quotations),
		cmocka_unit_test(the_list),
		cmocka_unit_test(scripts_name_hosts),
		cmocka_unit_test(linux_hosts),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(usage),
		cmocka_unit_test(marking),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(event_logs),
		cmocka_unit_test(broken_values),
		cmocka_unit_test(events),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
