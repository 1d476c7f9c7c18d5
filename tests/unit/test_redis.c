/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding Redis: addresses out of text, and the search for the right server, which is told replies
 * that hiredis reads from octets. No server, no clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "resolver/telemetry/redis/redis_address.h"
#include "resolver/telemetry/redis/redis_find.h"

static struct redis_address parsed;
static char why[256];

static bool parse(const char *text)
{
	why[0] = '\0';
	return redis_address_parse(&parsed, text, why, sizeof(why)) == TD_OK;
}

static void assert_nodes(const char *expected)
{
	char text[2048] = "", node[REDIS_NODE_TEXT_SIZE];

	for (size_t i = 0; i < parsed.node_count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			redis_node_to_text(&parsed.nodes[i], node));
	assert_string_equal(text, expected);
}

/* --- addresses --- */

static void test_forms(void **state)
{
	static const struct {
		const char *text, *nodes;
		enum redis_kind kind;
		bool tls;
	} cases[] = {
		{"unix:/run/redis.sock", "/run/redis.sock", REDIS_UNIX, false},
		{"redis://h", "h:6379", REDIS_SERVER, false},
		{"redis://localhost:1/", "localhost:1", REDIS_SERVER, false},
		{"rediss://192.0.2.1:7000", "192.0.2.1:7000", REDIS_SERVER, true},
		{"redis://[2001:db8::1]", "[2001:db8::1]:6379", REDIS_SERVER, false},
		{"REDISS://[::1]:65535", "[::1]:65535", REDIS_SERVER, true},
		{"sentinel://mymaster@a", "a:26379", REDIS_SENTINEL, false},
		{"sentinel://my-master.1@a:1,[::1]:2,192.0.2.3", "a:1 [::1]:2 192.0.2.3:26379",
			REDIS_SENTINEL, false},
		{"cluster://a,b:7001,[2001:db8::2]", "a:6379 b:7001 [2001:db8::2]:6379",
			REDIS_CLUSTER, false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!parse(cases[i].text))
			fail_msg("%s: %s", cases[i].text, why);
		assert_int_equal(parsed.kind, cases[i].kind);
		assert_int_equal(parsed.tls, cases[i].tls);
		assert_nodes(cases[i].nodes);
	}
}

static void test_users(void **state)
{
	(void)state;
	assert_true(parse("redis://us%3Aer:p%40ss%2f@192.0.2.1:7000/3"));
	assert_string_equal(parsed.login.user, "us:er");
	assert_string_equal(parsed.login.password, "p@ss/");
	assert_int_equal(parsed.database, 3);
	assert_true(parse("rediss://:secret@[2001:db8::1]"));
	assert_string_equal(parsed.login.user, "");
	assert_string_equal(parsed.login.password, "secret");
	assert_true(parse("cluster://u:p@a,b"));
	assert_string_equal(parsed.login.user, "u");
	assert_int_equal(parsed.node_count, 2);
	assert_true(parse("sentinel://name@a,b/7"));
	assert_string_equal(parsed.service, "name");
	assert_string_equal(parsed.login.user, "");
	assert_int_equal(parsed.database, 7);
}

static void test_faults(void **state)
{
	static const char *const bad[] = {"", "http://x", "unix:relative", "unix:", "redis://",
		"redis://1.2.3.4:0", "redis://1.2.3.4:70000", "redis://1.2.3.4:12x",
		"redis://1.2.3.4:", "redis://1.2.3.4/x", "redis://1.2.3.4/-1",
		"redis://1.2.3.4/65536", "redis://u:p%zz@1.2.3.4", "redis://u:p%4@1.2.3.4",
		"redis://u:p%00@1.2.3.4", "redis://u:p%0a@h", "redis://u:p%/x@h",
		"redis://u:p%@h@i", "redis://[::1", "redis://[::1]x", "redis://[1.2.3.4]",
		"redis://2001:db8::1", "redis://a b", "redis://a,b", "redis://-a", "redis://.a",
		"sentinel://a,b", "sentinel://@a", "sentinel://n:p%@a", "sentinel://n@",
		"sentinel://n@a,,b", "cluster://", "cluster://a,", "cluster://a/1",
		"cluster://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i]))
			fail_msg("taken: %s", bad[i]);
		assert_true(why[0] != '\0');
		assert_null(strstr(why, "p%"));
	}
	char longest[160] = "unix:/";
	memset(longest + 6, 'a', 106);
	assert_true(parse(longest));
	longest[112] = 'a';
	assert_false(parse(longest));
}

static void test_completed(void **state)
{
	const struct redis_access access = {.user = "u",
		.password = "p",
		.sentinel_user = "su",
		.sentinel_password = "sp",
		.tls = true};
	struct redis_address address;
	(void)state;

	assert_int_equal(
		redis_address_complete(&address, "sentinel://n@a", &access, why, sizeof(why)),
		TD_OK);
	assert_string_equal(address.login.user, "u");
	assert_string_equal(address.login.password, "p");
	assert_string_equal(address.sentinel_login.user, "su");
	assert_string_equal(address.sentinel_login.password, "sp");
	assert_true(address.tls);
	assert_int_equal(
		redis_address_complete(&address, "redis://v:q@a", &access, why, sizeof(why)),
		TD_OK);
	assert_string_equal(address.login.user, "v");
	assert_string_equal(address.login.password, "q");
	redis_address_forget(&address);
	assert_string_equal(address.login.password, "");
	assert_int_equal(
		redis_address_complete(&address, "redis://a", NULL, why, sizeof(why)), TD_OK);
	assert_false(address.tls);
}

static void test_shown(void **state)
{
	static const char *const cases[][2] = {{"redis://u:secret@h/2", "redis://u:***@h/2"},
		{"rediss://:secret@h", "rediss://:***@h"},
		{"cluster://u:secret@a,b", "cluster://u:***@a,b"}, {"redis://u@h", "redis://u@h"},
		{"redis://h", "redis://h"}, {"sentinel://n@a,b", "sentinel://n@a,b"},
		{"unix:/a:b@c", "unix:/a:b@c"}, {"redis://:x@h", "redis://:***@h"}};
	char shown[256];
	bool user, password;
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		redis_address_show(cases[i][0], shown);
		assert_string_equal(shown, cases[i][1]);
	}
	redis_address_userinfo("redis://u:p@h", &user, &password);
	assert_true(user && password);
	redis_address_userinfo("redis://:p@h", &user, &password);
	assert_true(!user && password);
	redis_address_userinfo("cluster://u@h", &user, &password);
	assert_true(user && !password);
	redis_address_userinfo("sentinel://u@h", &user, &password);
	assert_true(!user && !password);
}

/* --- the search --- */

static struct redis_find finder;

static void start(const char *url, enum find_aim aim)
{
	assert_true(parse(url));
	redis_find_init(&finder, &parsed, "teredown:{r}:applied", aim);
	redis_find_begin(&finder);
}

static void assert_target(const char *expected)
{
	char text[REDIS_NODE_TEXT_SIZE];
	const struct redis_node *target = redis_find_target(&finder);

	assert_string_equal(target ? redis_node_to_text(target, text) : "nobody", expected);
}

static void assert_question(const char *expected)
{
	const char *arguments[FIND_ARGUMENTS_MAX];
	char text[256] = "";
	size_t count = redis_find_question(&finder, arguments);

	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			arguments[i]);
	assert_string_equal(text, expected);
}

static enum find_verdict answer(const char *octets)
{
	redisReader *reader = redisReaderCreate();
	void *reply = NULL;

	assert_int_equal(redisReaderFeed(reader, octets, strlen(octets)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	enum find_verdict verdict = redis_find_answer(&finder, reply);
	freeReplyObject(reply);
	redisReaderFree(reader);
	return verdict;
}

#define NAMED(host, length, port) "*2\r\n$" length "\r\n" host "\r\n$4\r\n" port "\r\n"
#define ROLE(role, length) "*3\r\n$" length "\r\n" role "\r\n:0\r\n*0\r\n"

static void test_one_server(void **state)
{
	(void)state;
	start("redis://h", FIND_MASTER);
	for (unsigned search = 0; search < 3; search++) {
		assert_target("h:6379");
		assert_false(redis_find_is_sentinel(&finder));
		assert_question("");
		redis_find_failed(&finder, "Connection refused");
		assert_target("nobody");
		assert_string_equal(redis_find_words(&finder), "h:6379: Connection refused");
		redis_find_begin(&finder);
	}
}

static void test_sentinel_names_the_master(void **state)
{
	(void)state;
	start("sentinel://m@a,b,c", FIND_MASTER);
	assert_target("a:26379");
	assert_true(redis_find_is_sentinel(&finder));
	redis_find_failed(&finder, "Connection refused");
	assert_target("b:26379");
	assert_question("SENTINEL GET-MASTER-ADDR-BY-NAME m");
	assert_int_equal(answer(NAMED("192.0.2.1", "9", "6379")), FIND_GO);
	assert_target("192.0.2.1:6379");
	assert_false(redis_find_is_sentinel(&finder));
	assert_question("ROLE");
	assert_int_equal(answer(ROLE("master", "6")), FIND_HERE);
	/* The next search begins with the sentinel that answered. */
	redis_find_begin(&finder);
	assert_target("b:26379");
}

static void test_sentinel_is_behind(void **state)
{
	(void)state;
	start("sentinel://m@a,b", FIND_MASTER);
	assert_int_equal(answer(NAMED("::1", "3", "6379")), FIND_GO);
	assert_target("[::1]:6379");
	assert_int_equal(answer(ROLE("slave", "5")), FIND_GO);
	assert_target("b:26379");
	assert_int_equal(answer("*-1\r\n"), FIND_GO);
	assert_target("nobody");
	assert_string_equal(redis_find_words(&finder), "the sentinels know no master named m");
	redis_find_begin(&finder);
	assert_int_equal(answer(NAMED("h", "1", "6380")), FIND_GO);
	redis_find_failed(&finder, "timeout");
	assert_target("b:26379");
	assert_int_equal(answer("-NOAUTH Authentication required.\r\n"), FIND_GO);
	assert_target("nobody");
}

static void test_sentinel_answers_nonsense(void **state)
{
	static const char *const replies[] = {"+OK\r\n", ":1\r\n", "*1\r\n$1\r\nh\r\n",
		"*2\r\n:1\r\n:2\r\n", NAMED("", "0", "6379"), NAMED("a b", "3", "6379"),
		"*2\r\n$1\r\nh\r\n$5\r\n70000\r\n", "*2\r\n$1\r\nh\r\n$1\r\n0\r\n", "*0\r\n"};
	(void)state;

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		start("sentinel://m@a", FIND_MASTER);
		assert_int_equal(answer(replies[i]), FIND_GO);
		assert_target("nobody");
	}
}

static void test_sentinel_is_only_heard(void **state)
{
	char text[REDIS_NODE_TEXT_SIZE];
	(void)state;

	start("sentinel://m@a,b", FIND_NAME);
	assert_int_equal(answer(NAMED("h", "1", "6380")), FIND_HERE);
	assert_string_equal(redis_node_to_text(redis_find_named(&finder), text), "h:6380");
}

static const char slots[] = "*2\r\n"
			    "*4\r\n:0\r\n:8000\r\n*3\r\n$1\r\na\r\n:6379\r\n$2\r\nid\r\n*3\r\n$"
			    "1\r\nx\r\n:6379\r\n$2\r\nid\r\n"
			    "*3\r\n:8001\r\n:16383\r\n*3\r\n$1\r\nc\r\n:7000\r\n$2\r\nid\r\n";

static void test_cluster_moved(void **state)
{
	(void)state;
	start("cluster://a,b", FIND_MASTER);
	assert_target("a:6379");
	assert_question("EXISTS teredown:{r}:applied");
	assert_int_equal(answer("-MOVED 42 c:7000\r\n"), FIND_GO);
	assert_target("c:7000");
	assert_question("EXISTS teredown:{r}:applied");
	assert_int_equal(answer(":1\r\n"), FIND_ASK);
	assert_question("CLUSTER SLOTS");
	assert_int_equal(answer(slots), FIND_HERE);
	assert_target("c:7000");

	/* The next search begins with the owner; when it is gone, with the nodes that are known,
	 * the new ones too. */
	redis_find_begin(&finder);
	assert_target("c:7000");
	redis_find_failed(&finder, "Connection refused");
	assert_target("a:6379");
	redis_find_failed(&finder, "Connection refused");
	assert_target("b:6379");
	redis_find_failed(&finder, "Connection refused");
	assert_target("c:7000");
	redis_find_failed(&finder, "Connection refused");
	assert_target("x:6379");
	assert_int_equal(answer("-MOVED 42 :6380\r\n"), FIND_GO);
	assert_target("x:6380");
	assert_int_equal(answer(":0\r\n"), FIND_ASK);
	assert_int_equal(answer("-NOPERM no\r\n"), FIND_HERE);
}

static void test_cluster_v6(void **state)
{
	(void)state;
	start("cluster://a", FIND_MASTER);
	assert_int_equal(answer("-MOVED 42 2001:db8::1:6380\r\n"), FIND_GO);
	assert_target("[2001:db8::1]:6380");
}

static void test_cluster_points_in_circles(void **state)
{
	(void)state;
	start("cluster://a,b", FIND_MASTER);
	for (unsigned i = 0; i <= FIND_REDIRECTIONS_MAX; i++)
		assert_int_equal(
			answer(i % 2 ? "-MOVED 42 a:6379\r\n" : "-MOVED 42 b:6379\r\n"), FIND_GO);
	assert_target("nobody");
	assert_string_equal(
		redis_find_words(&finder), "the nodes of the cluster point at each other");
}

static void test_cluster_not_now(void **state)
{
	(void)state;
	start("cluster://a,b", FIND_MASTER);
	assert_int_equal(answer("-CLUSTERDOWN Hash slot not served\r\n"), FIND_GO);
	assert_target("b:6379");
	assert_int_equal(answer("-ASK 42 c:1\r\n"), FIND_GO);
	assert_target("nobody");
	assert_string_equal(redis_find_words(&finder), "the slot is on its way to another node");
	redis_find_begin(&finder);
	assert_int_equal(answer("-MOVED nonsense\r\n"), FIND_GO);
	assert_int_equal(answer("-MOVED 1 a:0\r\n"), FIND_GO);
	assert_target("nobody");
}

/* Nodes that a cluster names without end. */
static void test_cluster_is_bounded(void **state)
{
	char text[64];
	(void)state;

	start("cluster://a", FIND_MASTER);
	for (unsigned i = 0; i < 1000; i++) {
		redis_find_begin(&finder);
		snprintf(text, sizeof(text), "-MOVED 1 n%u:1\r\n", i);
		answer(text);
	}
	assert_int_equal(finder.count, FIND_NODES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_completed),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_one_server),
		cmocka_unit_test(test_sentinel_names_the_master),
		cmocka_unit_test(test_sentinel_is_behind),
		cmocka_unit_test(test_sentinel_answers_nonsense),
		cmocka_unit_test(test_sentinel_is_only_heard),
		cmocka_unit_test(test_cluster_moved),
		cmocka_unit_test(test_cluster_v6),
		cmocka_unit_test(test_cluster_points_in_circles),
		cmocka_unit_test(test_cluster_not_now),
		cmocka_unit_test(test_cluster_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
