/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentences of `teredown who`, and the periods in them, from facts made here: singular and
 * plural, nothing known, hostile names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/control/who_period.h"
#include "resolver/control/who_story.h"
#include "resolver/control/say.h"

#define LIST(...)                                                                    \
	{                                                                            \
		.words = (const char *const[]){__VA_ARGS__},                         \
		.count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *) \
	}
#define DAY_MS INT64_C(86400000)
#define NOW (INT64_C(1763800000000))

static struct strbuf out;

static int begin(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	strbuf_init(&out);
	return 0;
}

static int end(void **state)
{
	(void)state;
	strbuf_deinit(&out);
	return 0;
}

#define SAYS(expected)                                   \
	do {                                             \
		assert_string_equal(out.data, expected); \
		strbuf_clear(&out);                      \
	} while (0)

/* --- words --- */

static void test_words(void **state)
{
	(void)state;
	say_count(&out, 0, "host");
	SAYS("no hosts");
	say_count(&out, 1, "host");
	SAYS("one host");
	say_count(&out, 12, "host");
	SAYS("twelve hosts");
	say_count(&out, 13, "host");
	SAYS("13 hosts");
	say_name(&out, "a.example.");
	SAYS("a.example");
	say_name(&out, ".");
	SAYS(".");
	say_name(&out, "a.b\\.");
	SAYS("a.b\\.");
	say_name(&out, "\033[2J.");
	SAYS("\\027[2J");
}

static void test_times(void **state)
{
	static const struct {
		int64_t ms;
		const char *span, *period;
	} rows[] = {
		{0, "less than a second", "second"},
		{1400, "one second", "second"},
		{30 * 1000, "30 seconds", "30 seconds"},
		{100 * 1000 + 400, "100 seconds", "100 seconds"},
		{121 * 1000, "two minutes", "two minutes"},
		{119 * 60000, "119 minutes", "119 minutes"},
		{2 * 3600000, "two hours", "two hours"},
		{36 * 3600000, "36 hours", "36 hours"},
		{7 * DAY_MS - 30000, "seven days", "seven days"},
		{30 * DAY_MS, "30 days", "30 days"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say_span(&out, rows[i].ms);
		SAYS(rows[i].span);
		say_period(&out, rows[i].ms);
		SAYS(rows[i].period);
	}
}

static void test_ratios(void **state)
{
	(void)state;
	say_ratio(&out, 181440, 20160);
	SAYS("nine drops for each lookup");
	say_ratio(&out, 1, 1);
	SAYS("one drop for each lookup");
	say_ratio(&out, 43, 10);
	SAYS("4.3 drops for each lookup");
	say_ratio(&out, 1000000, 1);
	SAYS("1000000 drops for each lookup");
	say_ratio(&out, 10, 25);
	SAYS("one drop for 2.5 lookups");
	say_ratio(&out, 1, 120);
	SAYS("one drop for 120 lookups");
}

/* --- periods --- */

static void test_period_from_times(void **state)
{
	int64_t times[400];
	size_t count = 0;

	(void)state;
	for (int i = 0; i < 100; i++) { /* every 30 s, both types at once, and a night's pause */
		int64_t at = NOW + (i < 50 ? 0 : 8 * 3600000) + i * 30000;
		times[count++] = at;
		times[count++] = at + 3;
	}
	struct period period = period_from_times(times, count);
	assert_int_equal(period.source, PERIOD_TIMES);
	assert_int_equal(period.ms, 30000);
	assert_int_equal(period.low_ms, 30000);
	assert_int_equal(period.high_ms, 30000);
	assert_int_equal(period.evidence, 99);
	for (size_t i = 0; i < 5; i++)
		times[i] = NOW + (int64_t)i * 30000;
	assert_int_equal(period_from_times(times, 5).source, PERIOD_UNKNOWN);
	for (size_t i = 0; i < 100; i++) /* all within a second */
		times[i] = NOW + (int64_t)i;
	assert_int_equal(period_from_times(times, 100).source, PERIOD_UNKNOWN);
	assert_int_equal(period_from_times(times, 0).source, PERIOD_UNKNOWN);
}

static void test_period_from_counts(void **state)
{
	uint64_t hours[] = {120, 119, 3, 121, 120};
	struct period hourly = period_from_hours(hours, 5);
	struct period mean = period_from_mean(NOW, NOW + 600000, 21);
	struct period unknown = {.source = PERIOD_UNKNOWN};

	(void)state;
	assert_int_equal(hourly.source, PERIOD_HOURLY);
	assert_int_equal(hourly.ms, 30000);
	assert_int_equal(hourly.evidence, 5);
	assert_int_equal(period_from_hours(hours, 1).source, PERIOD_UNKNOWN);
	assert_int_equal(mean.source, PERIOD_MEAN);
	assert_int_equal(mean.ms, 30000);
	assert_int_equal(period_from_mean(NOW, NOW + 90000, 5).source, PERIOD_UNKNOWN);
	assert_int_equal(period_from_mean(NOW, NOW + 900, 6).source, PERIOD_UNKNOWN);
	assert_int_equal(period_from_mean(NOW, NOW, 6).source, PERIOD_UNKNOWN);
	assert_int_equal(period_from_mean(0, NOW, 6).source, PERIOD_UNKNOWN);
	assert_int_equal(period_from_mean(NOW, NOW + 5, UINT64_MAX).source, PERIOD_UNKNOWN);
	assert_int_equal(period_better(mean, hourly).source, PERIOD_HOURLY);
	assert_int_equal(period_better(hourly, mean).source, PERIOD_HOURLY);
	assert_int_equal(period_better(hourly, unknown).source, PERIOD_HOURLY);
	/* Five minutes at a time of day say less than five hours. */
	struct period times = {PERIOD_TIMES, 1000, 1000, 1000, 300, 300000};
	assert_int_equal(period_better(times, hourly).source, PERIOD_HOURLY);
	assert_int_equal(period_better(mean, times).source, PERIOD_TIMES);
	times.covered_ms = 3600000;
	assert_int_equal(period_better(times, hourly).source, PERIOD_TIMES);
}

/* --- the paragraph --- */

static const struct who_rule watched = {.name = "teredo.ipv6.microsoft.com.",
	.verdict = VERDICT_WATCH,
	.zone = "teredo",
	.mode = "watch",
	.action = "nxdomain",
	.rule = "teredo.ipv6.microsoft.com."};

static const char *const story_names[] = {"teredo.ipv6.microsoft.com."};
static const char *const story_hosts[] = {"192.168.1.20", "192.168.1.21", "192.168.1.22"};

/* The story of the issue. */
static struct who_facts story(void)
{
	return (struct who_facts){.kind = WHO_ADDRESS,
		.subject = "65.55.158.118",
		.names = {.words = story_names, .count = 1},
		.hosts = {.words = story_hosts, .count = 3},
		.lookups = 60480,
		.first_ms = NOW - 7 * DAY_MS,
		.last_ms = NOW - 180000,
		.now_ms = NOW,
		.often = {PERIOD_TIMES, 30000, 29000, 31000, 4000, DAY_MS},
		.seldom = {PERIOD_TIMES, 31000, 29000, 31000, 4000, DAY_MS},
		.logs = {.dropped = 181440, .lookups = 20160},
		.sources = {[WHO_LOG_FIREWALL] = {.files = 1}, [WHO_LOG_PROXY] = {.files = 1}},
		.rules = &watched,
		.rule_count = 1};
}

static void tell(const struct who_facts *facts)
{
	who_tell(facts, &out);
}

static void test_story(void **state)
{
	struct who_facts facts = story();

	(void)state;
	tell(&facts);
	SAYS("65.55.158.118: teredo.ipv6.microsoft.com, and only that name. Asked by three hosts "
	     "(192.168.1.20, 192.168.1.21 and 192.168.1.22), each about every 30 seconds, for "
	     "seven days (60480 answers, 2025-11-15 08:26:40 to 2025-11-22 08:23:40, 3 min ago). "
	     "Nine drops for each lookup (181440 packets dropped, 20160 lookups in the same "
	     "hours), no proxy hits. The name is watched now: answered truthfully and recorded "
	     "(rule teredo.ipv6.microsoft.com. of zone teredo).\n");
}

static bool says(const struct who_facts *facts, const char *part)
{
	tell(facts);
	bool found = out.data && strstr(out.data, part);
	if (!found)
		print_message("\"%s\" is not in: %s\n", part, out.data ? out.data : "");
	strbuf_clear(&out);
	return found;
}

static void test_singular(void **state)
{
	struct who_facts facts = story();
	struct who_list one = LIST("192.168.1.20");

	(void)state;
	facts.hosts = one;
	facts.lookups = 1;
	facts.first_ms = facts.last_ms;
	facts.often = facts.seldom = (struct period){.source = PERIOD_UNKNOWN};
	facts.logs = (struct who_logs){.dropped = 1, .passed = 1, .proxied = 1, .lookups = 1};
	tell(&facts);
	SAYS("65.55.158.118: teredo.ipv6.microsoft.com, and only that name. Asked by one host "
	     "(192.168.1.20) (1 answer, 2025-11-22 08:23:40, 3 min ago). One drop for each lookup "
	     "(1 packet dropped, 1 lookup in the same hours), 1 packet let through, 1 proxy hit. "
	     "The name is watched now: answered truthfully and recorded (rule "
	     "teredo.ipv6.microsoft.com. of zone teredo).\n");
}

static void test_plural(void **state)
{
	struct who_facts facts = story();
	struct who_list names = LIST("a.", "b.", "c.", "d.", "e."), two = LIST("a.", "b.");
	struct who_rule rules[3] = {watched, watched, {.verdict = VERDICT_NONE}};

	(void)state;
	facts.names = names;
	facts.rules = rules;
	facts.rule_count = 3;
	facts.seldom.ms = 300000;
	assert_true(says(&facts, "five names led there: a, b, c and two more. Asked"));
	assert_true(says(&facts, ", about every 30 seconds to every five minutes, depending on "
				 "the host, for seven days"));
	assert_true(says(&facts, "Of the names two are watched, one is left alone now."));
	facts.names = two;
	assert_true(says(&facts, "two names led there: a and b. Asked"));
	facts.names.cut = true;
	assert_true(says(&facts, "at least two names led there: a, b and others. Asked"));
	facts.often.source = facts.seldom.source = PERIOD_MEAN;
	assert_true(says(&facts, ", on average every 30 seconds"));
}

static void test_logs(void **state)
{
	struct who_facts facts = story();

	(void)state;
	facts.sources[WHO_LOG_PROXY].files = 0;
	assert_true(says(&facts, ", no proxy hits (no log of a proxy was read)."));
	facts.logs.lookups = 0;
	assert_true(says(&facts, "Drops without any lookup (181440 packets dropped, no lookup in "
				 "the same hours)"));
	facts.logs.dropped = 0;
	assert_true(says(&facts, " No drops in the firewall logs that were read, no proxy"));
	facts.sources[WHO_LOG_FIREWALL].files = 0;
	assert_true(says(&facts, " No log of a firewall or a proxy has been read here yet. The"));
	facts.logs.proxied = 2;
	assert_true(says(&facts, " No log of a firewall has been read, 2 proxy hits. The"));
	facts.logs = (struct who_logs){.dropped = 4, .lookups = 2, .shared = true};
	assert_true(says(&facts, "2 lookups in the same hours; other names lead there too, and "
				 "may be behind a part)"));
}

static void test_rules(void **state)
{
	struct who_facts facts = story();
	struct who_rule rule = watched;

	(void)state;
	facts.rules = &rule;
	rule.verdict = VERDICT_BLOCK;
	assert_true(says(&facts, "The name is blocked now: answered NXDOMAIN (rule teredo.ipv6"));
	rule.verdict = VERDICT_PASS;
	assert_true(says(&facts, "The name is let through now (rule teredo"));
	rule.verdict = VERDICT_NONE;
	assert_true(says(&facts, "No rule matches the name now: it is answered truthfully."));
	rule.refused = true;
	assert_true(says(&facts, "Its questions are refused now: it is not allowed to ask."));
	facts.rule_count = 0; /* the daemon does not answer */
	tell(&facts);
	assert_null(strstr(out.data, "The name is"));
	assert_null(strstr(out.data, "now"));
	strbuf_clear(&out);
}

static void test_name(void **state)
{
	struct who_facts facts = story();
	struct who_list one = LIST("65.55.158.118"), none = {.count = 0};

	(void)state;
	facts.kind = WHO_NAME;
	facts.subject = "teredo.ipv6.microsoft.com.";
	facts.names = none;
	facts.addresses = one;
	assert_true(says(&facts, "teredo.ipv6.microsoft.com was asked by three hosts ("));
	assert_true(says(&facts, "(60480 queries, 2025"));
	assert_true(says(&facts, "It led to one address: 65.55.158.118. Nine drops"));
	facts.addresses = none;
	facts.lookups = 1;
	assert_true(says(&facts, "(1 query, 2025"));
	assert_true(says(&facts, "No address was told for it. Nine"));
}

static void test_client(void **state)
{
	struct who_facts facts = story();
	struct who_list none = {.count = 0};

	(void)state;
	facts.kind = WHO_CLIENT;
	facts.subject = "192.168.1.20";
	facts.hosts = none;
	assert_true(says(&facts, "It asked for one name that a rule watches or blocks: "
				 "teredo.ipv6.microsoft.com, about every 30 seconds, for seven "
				 "days (60480 queries, "));
	tell(&facts);
	assert_null(strstr(out.data, "proxy"));
	strbuf_clear(&out);
	facts.names = none;
	facts.rule_count = 0;
	assert_true(says(&facts, "It asked for names that a rule watches or blocks (60480 "));
	facts.lookups = 0;
	assert_true(says(&facts, "It asked for no name that a rule watches or blocks. Nine"));
}

/* Nothing known gives nothing, or only what is. */
static void test_nothing(void **state)
{
	struct who_facts facts = {.kind = WHO_ADDRESS, .subject = "192.0.2.1", .now_ms = NOW};

	(void)state;
	tell(&facts);
	assert_int_equal(out.length, 0);
	facts.kind = WHO_NAME;
	tell(&facts);
	assert_int_equal(out.length, 0);
	facts.kind = WHO_ADDRESS;
	facts.logs.dropped = 12;
	tell(&facts);
	SAYS("Drops without any lookup (12 packets dropped, no lookup in the same hours), no proxy "
	     "hits (no log of a proxy was read).\n");
}

static void test_hostile(void **state)
{
	struct who_facts facts = story();
	struct who_list names = LIST("a\033[2J\nforged.", "\200\377.");
	struct who_rule rule = watched;

	(void)state;
	facts.names = facts.hosts = facts.addresses = names;
	facts.subject = "\033]0;x\007";
	strcpy(rule.rule, "\033[31m");
	strcpy(rule.zone, "\n");
	facts.rules = &rule;
	for (int kind = WHO_ADDRESS; kind <= WHO_CLIENT; kind++) {
		facts.kind = (enum who_kind)kind;
		facts.names.count = kind == WHO_ADDRESS ? 2 : 1;
		tell(&facts);
		for (size_t i = 0; i + 1 < out.length; i++)
			assert_in_range(out.data[i], 0x20, 0x7e);
		assert_int_equal(out.data[out.length - 1], '\n');
		assert_non_null(strstr(out.data, "a\\027[2J\\010forged"));
		strbuf_clear(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_ratios),
		cmocka_unit_test(test_period_from_times),
		cmocka_unit_test(test_period_from_counts),
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_singular),
		cmocka_unit_test(test_plural),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
