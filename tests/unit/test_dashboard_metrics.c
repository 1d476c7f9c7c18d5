/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text for Prometheus out of collected facts: hostile labels, what is said when Redis or the
 * daemon is away, which source a figure has, and that families are not torn apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "resolver/control/dashboard/metrics.h"
#include "resolver/control/dashboard/metrics_text.h"

#define ZEROES "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"

static struct strbuf out;

static const char *written(const struct metrics_facts *facts)
{
	strbuf_deinit(&out);
	strbuf_init(&out);
	metrics_write(&out, facts);
	assert_false(out.failed);
	return out.data;
}

/* True when a line of the text is this. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, length) == 0 && at[length] == '\n')
			return true;
		if (!*at)
			break;
	}
	return false;
}

static void labels_are_escaped(void **state)
{
	const struct metric_label labels[] = {{"client", "a\"b\\c\nd\xff\xc3\xa4"}, {"none", NULL}};
	(void)state;

	strbuf_init(&out);
	metrics_sample(&out, "m", labels, 2, 7);
	assert_string_equal(out.data, "m{client=\"a\\\"b\\\\c\\\\010d\\\\255\\\\195\\\\164\"} 7\n");
	strbuf_clear(&out);
	metrics_sample(&out, "m", labels + 1, 1, UINT64_MAX);
	assert_string_equal(out.data, "m 18446744073709551615\n");
	strbuf_clear(&out);
	metrics_sample_us(&out, "m", NULL, 0, 1700000000000001);
	assert_string_equal(out.data, "m 1700000000.000001\n");
}

static void a_histogram_is_cumulative(void **state)
{
	const struct metric_label labels[] = {{"class", "cached"}};
	struct latency latency = {.sum_us = 0};
	(void)state;

	latency_add(&latency, 1, 2);
	latency_add(&latency, 15, 3);
	latency_add(&latency, 20000000, 1);
	strbuf_deinit(&out);
	strbuf_init(&out);
	metrics_histogram(&out, "h", labels, 1, &latency);
	assert_true(has_line(out.data, "h_bucket{class=\"cached\",le=\"1e-06\"} 2"));
	assert_true(has_line(out.data, "h_bucket{class=\"cached\",le=\"1e-05\"} 2"));
	assert_true(has_line(out.data, "h_bucket{class=\"cached\",le=\"2e-05\"} 5"));
	assert_true(has_line(out.data, "h_bucket{class=\"cached\",le=\"0.001\"} 5"));
	assert_true(has_line(out.data, "h_bucket{class=\"cached\",le=\"10\"} 5"));
	assert_true(has_line(out.data, "h_bucket{class=\"cached\",le=\"+Inf\"} 6"));
	assert_true(has_line(out.data, "h_sum{class=\"cached\"} 20.000047"));
	assert_true(has_line(out.data, "h_count{class=\"cached\"} 6"));
}

static void nothing_is_there(void **state)
{
	struct metrics_zone zones[1] = {{.name = "teredo", .kind = "tunnel"}};
	struct metrics_resolver ours = {.name = "gw1", .zones = zones, .zone_count = 1};
	const struct metrics_facts facts = {
		.redis_on = true, .resolvers = &ours, .resolver_count = 1, .missing = 1};
	const char *text = written(&facts);
	(void)state;

	assert_true(has_line(text, "teredown_redis_up 0"));
	assert_true(has_line(text, "teredown_daemon_up{resolver=\"gw1\"} 0"));
	assert_true(has_line(text, "teredown_resolvers_unreadable 1"));
	/* What is not known is not said to be 0. */
	assert_null(strstr(text, "teredown_queries_total{"));
	assert_null(strstr(text, "teredown_events_total{"));
	assert_null(strstr(text, "teredown_answered_total{"));
	assert_null(strstr(text, "teredown_zone_hits_total{"));
	assert_null(strstr(text, "_bucket{"));
}

static struct reader_field meta[] = {{"gauge_answered", "90"}, {"gauge_received", "100"},
	{"gauge_dropped_rate", "10"}, {"memory_max", "64000000"}, {"pressure", "1"},
	{"last_batch_at", "1700000000123"}, {"version", "9\"9"}, {"gauge_cache_hits", "-3"},
	{"gauge_cache_misses", "many"}, {"gauge_latency_cached", "0 2 1 " ZEROES " 9"},
	{"gauge_latency_forwarded", "1 2 3"},
	{"gauge_upstreams_state", "9.9.9.9:53=ok [2001:db8::1]:53=backoff broken"}};
static struct reader_field totals[] = {{"cached", "70"}, {"event_new-client", "2"},
	{"event_clock", "1"}};
static struct reader_rank top[] = {{"192.0.2.7", 60}, {"*other", 5}, {"192.0.2.8", 20}};
static struct reader_rank last[] = {{"192.0.2.8", 1700000000500}, {"*other", 1700000000400}};
static struct reader_client_row told[] = {
	{.client = "192.0.2.8", .told_ms = 1700000000000, .name = "a\"b"}, {.client = "192.0.2.9"}};

static void redis_alone_speaks(void **state)
{
	struct metrics_zone zones[1] = {{.name = "teredo",
		.kind = "tunnel",
		.has_hits = true,
		.hits = 100,
		.top = {top, 3, 3},
		.last = {last, 2, 2}}};
	struct metrics_resolver elsewhere = {.name = "gw2",
		.up = true,
		.has_redis = true,
		.meta = {meta, sizeof meta / sizeof meta[0]},
		.totals = {totals, sizeof totals / sizeof totals[0]},
		.zones = zones,
		.zone_count = 1,
		.told = told,
		.told_count = 2};
	const struct metrics_facts facts = {
		.redis_on = true, .redis_up = true, .resolvers = &elsewhere, .resolver_count = 1};
	const char *text = written(&facts);
	(void)state;

	assert_true(has_line(text, "teredown_answered_total{resolver=\"gw2\"} 90"));
	assert_true(has_line(text, "teredown_dropped_total{resolver=\"gw2\",reason=\"rate\"} 10"));
	assert_true(has_line(text, "teredown_queries_total{resolver=\"gw2\",source=\"cache\"} 70"));
	assert_true(has_line(text, "teredown_queries_total{resolver=\"gw2\",source=\"policy\"} 0"));
	assert_true(
		has_line(text, "teredown_events_total{resolver=\"gw2\",kind=\"new-client\"} 2"));
	assert_true(has_line(
		text, "teredown_events_total{resolver=\"gw2\",kind=\"remediated-back\"} 0"));
	assert_true(
		has_line(text, "teredown_events_total{resolver=\"gw2\",kind=\"forwarder\"} 0"));
	assert_true(has_line(text, "teredown_events_total{resolver=\"gw2\",kind=\"clock\"} 1"));
	assert_true(has_line(
		text, "teredown_last_batch_timestamp_seconds{resolver=\"gw2\"} 1700000000.123000"));
	assert_true(has_line(text, "teredown_daemon_info{resolver=\"gw2\",version=\"9\\\"9\"} 1"));
	assert_null(strstr(text, "teredown_cache_hits_total{"));
	assert_null(strstr(text, "teredown_cache_misses_total{"));
	assert_true(has_line(text,
		"teredown_upstream_info{resolver=\"gw2\",server=\"9.9.9.9:53\",state=\"ok\"} 1"));
	assert_true(has_line(text, "teredown_upstream_info{resolver=\"gw2\",server=\"[2001:db8::1]:"
				   "53\",state=\"backoff\"} 1"));
	assert_null(strstr(text, "broken"));
	assert_true(has_line(text,
		"teredown_answer_duration_seconds_count{resolver=\"gw2\",class=\"cached\"} 3"));
	assert_null(strstr(text, "class=\"forwarded\""));
	assert_true(has_line(text,
		"teredown_client_hits{resolver=\"gw2\",zone=\"teredo\",client=\"192.0.2.7\"} 60"));
	assert_true(has_line(text,
		"teredown_client_hits{resolver=\"gw2\",zone=\"teredo\",client=\"*other\"} 20"));
	assert_true(has_line(text, "teredown_client_last_hit_timestamp_seconds{resolver=\"gw2\","
				   "zone=\"teredo\",client=\"192.0.2.8\"} 1700000000.500000"));
	assert_null(strstr(text, "1700000000.400000"));
	assert_true(has_line(text, "teredown_client_told_teredo_timestamp_seconds{resolver=\"gw2\","
				   "client=\"192.0.2.8\",name=\"a\\\"b\"} 1700000000.000000"));
	assert_null(strstr(text, "client=\"192.0.2.9\""));
}

static void the_daemon_goes_before_its_gauges(void **state)
{
	struct control_line lines[] = {{"answered", "95"}, {"redis", "away"},
		{"batches_waiting", "3"}, {"version", "1.0"},
		{"upstream", "192.0.2.53:53 state=slow srtt_us=1500 sent=4 answered=3 timeouts=1"}};
	const struct control_answer status = {
		.words = "", .lines = lines, .count = sizeof lines / sizeof lines[0]};
	struct metrics_zone zones[1] = {
		{.name = "teredo", .kind = "tunnel", .mode = "block", .rules = 4}};
	struct metrics_resolver ours = {.name = "gw1",
		.up = true,
		.has_redis = true,
		.meta = {meta, sizeof meta / sizeof meta[0]},
		.status = &status,
		.zones = zones,
		.zone_count = 1};
	const struct metrics_facts facts = {
		.redis_on = true, .resolvers = &ours, .resolver_count = 1};
	const char *text = written(&facts);
	(void)state;

	assert_true(has_line(text, "teredown_answered_total{resolver=\"gw1\"} 95"));
	assert_true(has_line(text, "teredown_received_total{resolver=\"gw1\"} 100"));
	assert_true(has_line(text, "teredown_batches_waiting{resolver=\"gw1\"} 3"));
	assert_true(has_line(text, "teredown_redis_connected{resolver=\"gw1\"} 0"));
	assert_true(has_line(text, "teredown_upstream_info{resolver=\"gw1\",server=\"192.0.2.53:"
				   "53\",state=\"slow\"} 1"));
	assert_true(has_line(text,
		"teredown_upstream_timeouts_total{resolver=\"gw1\",server=\"192.0.2.53:53\"} 1"));
	assert_true(has_line(text, "teredown_upstream_round_trip_seconds{resolver=\"gw1\",server="
				   "\"192.0.2.53:53\"} 0.001500"));
	assert_null(strstr(text, "9.9.9.9"));
	assert_true(has_line(text, "teredown_zone_info{resolver=\"gw1\",zone=\"teredo\",kind="
				   "\"tunnel\",mode=\"block\"} 1"));
	assert_true(has_line(text, "teredown_zone_rules{resolver=\"gw1\",zone=\"teredo\"} 4"));
}

/* Prometheus takes a family once: all of its samples, of all resolvers, in one piece. */
static void families_are_whole(void **state)
{
	struct metrics_resolver two[2] = {
		{.name = "gw1", .has_redis = true, .meta = {meta, sizeof meta / sizeof meta[0]}},
		{.name = "gw2", .has_redis = true, .meta = {meta, sizeof meta / sizeof meta[0]}}};
	const struct metrics_facts facts = {
		.redis_on = true, .redis_up = true, .resolvers = two, .resolver_count = 2};
	const char *text = written(&facts);
	char family[128], again[160];
	unsigned families = 0;
	(void)state;

	for (const char *at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
		assert_int_equal(sscanf(at, "# TYPE %127s", family), 1);
		snprintf(again, sizeof(again), "# TYPE %s ", family);
		assert_null(strstr(at + 1, again));
		families++;
	}
	assert_true(families > 50);
	assert_true(has_line(text, "teredown_answered_total{resolver=\"gw2\"} 90"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(a_histogram_is_cumulative),
		cmocka_unit_test(nothing_is_there),
		cmocka_unit_test(redis_alone_speaks),
		cmocka_unit_test(the_daemon_goes_before_its_gauges),
		cmocka_unit_test(families_are_whole),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	strbuf_deinit(&out);
	return failed;
}
