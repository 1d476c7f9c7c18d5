/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of a file that is not right, with its line and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/options_file.h"

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
	{"query-log-size = 10",
		"t.conf:1: query-log-size: \"10\" is out of range, "
		"expected 0, or a size such as 64M from 64K to 1024G, in bytes\n"},
	{"query-log-size = 65535",
		"t.conf:1: query-log-size: \"65535\" is out of range, "
		"expected 0, or a size such as 64M from 64K to 1024G, in bytes\n"},
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
	{"query-log-file = q.log",
		"t.conf:1: query-log-file: is not an absolute path, expected "
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
	{"upstream = { \"9.9.9.9\",\n\"tls://9.9.9.9\" }",
		"t.conf:2: upstream: \"tls://9.9.9.9\" names nobody whose certificate is to be "
		"checked, so anybody could answer; expected tls://ADDRESS#NAME, such as "
		"tls://9.9.9.9#dns.quad9.net, or tls://ADDRESS#pin-sha256=BASE64\n"},
	{"upstream = { \"127.0.0.1#5353\" }",
		"t.conf:1: upstream: \"127.0.0.1#5353\" has a # though no certificate is checked "
		"without TLS, expected tls:// before it, or a port behind a colon: "
		"ADDRESS:PORT\n"},
	{"upstream = { \"tcp://192.0.2.1\", \"192.0.2.1\", \"tcp://192.0.2.1:53\" }",
		"t.conf:1: upstream: \"tcp://192.0.2.1:53\" is in the list twice, expected each "
		"entry once\n"},
	{"upstream = { \"tcp://127.0.0.1\" }",
		"t.conf:1: upstream: tcp://127.0.0.1:53 is an address this resolver listens on, so "
		"it would ask itself; expected another server: name the provider's or a public "
		"one, such as 9.9.9.9\n"},
	{"tls-ca-file = \"ca.pem\"",
		"t.conf:1: tls-ca-file: is not an absolute path, expected one that begins with /\n"},
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
	{"redis = \"sentinel://h:1,h:2\"",
		"t.conf:1: redis: the master's name is missing, expected "
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
	{"\nforward \".\" { upstream = { \"192.0.2.1\" } }",
		"t.conf:2: forward \".\": this is no domain and no network, expected one such as "
		"corp.example, 10.1.0.0/16 or 2001:db8::/32 (for all names: the option upstream)\n"},
	{"\nforward \"10.0.0.1/8\" { upstream = { } }",
		"t.conf:2: forward \"10.0.0.1/8\": this is no domain and no network, expected one "
		"such as corp.example, 10.1.0.0/16 or 2001:db8::/32 (for all names: the option "
		"upstream)\n"},
	{"\nforward \"10.0.0.0/8\" { upstream = { } }\nforward \"10.IN-addr.arpa.\" { upstream = { "
	 "\"192.0.2.1\" } }",
		"t.conf:3: forward \"10.IN-addr.arpa.\": section \"10.0.0.0/8\" is for the same "
		"names, expected each zone once\n"},
	{"\nforward \"a\" { upstream = { } }\nforward \"a\" { upstream = { } }",
		"t.conf:3: forward \"a\": given again, expected once (first on line 2)\n"},
	{"\nforward \"a\" {\nupstream = { }\nupstream = { \"192.0.2.1\" } }",
		"t.conf:4: forward \"a\": upstream: given again, expected once (first on line 3)\n"},
	{"\nforward \"a\" { }",
		"t.conf:2: forward \"a\": no server is named, expected upstream = { \"ADDRESS\" }, or "
		"upstream = { } for names that are never forwarded\n"},
	{"\nforward \"a\" { upstream = { \"127.0.0.1\",\n\"nobody\" } }",
		"t.conf:2: forward \"a\": upstream: 127.0.0.1:53 is an address this resolver listens "
		"on, so it would ask itself; expected another server: name the provider's or a "
		"public one, such as 9.9.9.9\n"
		"t.conf:3: forward \"a\": upstream: \"nobody\" is not an address, expected one such "
		"as 192.0.2.1, 192.0.2.1:53, [2001:db8::1]:53, tcp://192.0.2.1 or "
		"tls://192.0.2.1#dns.example\n"},
	{"\nforward \"a\" { mode = block upstream = { } colour = red }",
		"t.conf:2: mode: unknown option, expected one of teredown.conf(5)\n"
		"t.conf:2: colour: unknown option, expected one of teredown.conf(5)\n"},
	/* zones */
	{"\nzone \"ads\" {\n}",
		"t.conf:2: zone \"ads\": no file is named, expected file = \"PATH\" or primary = \"ADDRESS\"\n"},
	{"\nzone \"Ads!\" { file = x }", "t.conf:2: zone \"Ads!\": this is not a zone's name, "
					 "expected 1 to 31 of a to z, 0 to 9 and -\n"},
	{"\nzone \"\" { file = x }", "t.conf:2: zone \"\": this is not a zone's name, expected 1 "
				     "to 31 of a to z, 0 to 9 and -\n"},
	{"\nzone \"abcdefghijklmnopqrstuvwxyz123456\" { file = x }",
		"t.conf:2: zone \"abcdefghijklmnopqrstuvwxyz123456\": this is not a zone's name, "
		"expected 1 to 31 of a to "
		"z, 0 to 9 and -\n"},
	{"\nzone \"ads\" { file = x\n format = host\n mode = blok }",
		"t.conf:3: zone \"ads\": format: \"host\" is not known, expected rpz, patterns, "
		"hosts, domains, wildcards, dnsmasq or adblock\n"
		"t.conf:4: zone \"ads\": mode: \"blok\" is not known, expected ignore, watch or "
		"block\n"},
	{"zone \"ads\" { file = \"\" }", "t.conf:1: zone \"ads\": file: this is not the path of a "
					 "file, expected 1 to 1024 printable bytes\n"},
	{"zone \"ads\" { file = a\nfile = b }",
		"t.conf:2: zone \"ads\": file: given again, expected once (first on line 1)\n"},
	{"zone \"ads\" { file = { a, \"\" } }",
		"t.conf:1: zone \"ads\": file: this is not the path of a file, expected 1 to 1024 "
		"printable bytes\n"},
	{"zone \"ads\" { file = { a, b }\nfile = { c, d } }",
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_unreadable_files),
		cmocka_unit_test(test_lines_behind_comments),
		cmocka_unit_test(test_many_faults),
	};
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
