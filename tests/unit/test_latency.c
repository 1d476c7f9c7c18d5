/* SPDX-License-Identifier: BSD-3-Clause */
/* Histograms of latency: where a time is counted, what percentiles say, and what is no such text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "resolver/telemetry/latency.h"

static void a_bound_belongs_to_its_bucket(void **state)
{
	struct latency latency = {.sum_us = 0};
	(void)state;

	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		latency_add(&latency, latency_bounds_us[i], 1);
		latency_add(&latency, (int64_t)latency_bounds_us[i] + 1, 10);
		assert_true(i == 0 || latency_bounds_us[i] > latency_bounds_us[i - 1]);
	}
	/* 2 is 1 + 1 as well. */
	assert_int_equal(latency.counts[0], 1);
	assert_int_equal(latency.counts[1], 11);
	for (unsigned i = 2; i < LATENCY_BOUNDS; i++)
		assert_int_equal(latency.counts[i], 11);
	assert_int_equal(latency.counts[LATENCY_BOUNDS], 10);
	assert_int_equal(latency_count(&latency), 11 * LATENCY_BOUNDS);
}

static void nothing_took_less_than_nothing(void **state)
{
	struct latency latency = {.sum_us = 0};
	(void)state;

	latency_add(&latency, -5, 3);
	assert_int_equal(latency.counts[0], 3);
	assert_int_equal(latency.sum_us, 0);
	latency_add(&latency, INT64_C(3600000000), 2);
	assert_int_equal(latency.counts[LATENCY_BOUNDS], 2);
	assert_int_equal(latency.sum_us, UINT64_C(7200000000));
}

static void percentiles_lie_within_their_bucket(void **state)
{
	struct latency latency = {.sum_us = 0}, other = {.sum_us = 0};
	(void)state;

	assert_int_equal(latency_quantile_us(&latency, 500), 0);
	latency_add(&latency, 15, 100); /* between 10 and 20 */
	assert_int_equal(latency_quantile_us(&latency, 500), 15);
	assert_int_equal(latency_quantile_us(&latency, 1000), 20);
	latency_add(&other, 1500, 10); /* between 1,000 and 2,000 */
	latency_merge(&latency, &other);
	assert_int_equal(latency_count(&latency), 110);
	assert_int_equal(latency.sum_us, 16500);
	assert_int_equal(latency_quantile_us(&latency, 909), 20);
	assert_in_range(latency_quantile_us(&latency, 990), 1001, 2000);
	latency_add(&latency, 60000000, 1000);
	assert_int_equal(latency_quantile_us(&latency, 990), 10000000);
}

static void a_text_says_it_all(void **state)
{
	struct latency latency = {.sum_us = 0}, back;
	char text[LATENCY_TEXT_MAX];
	(void)state;

	assert_true(latency_from_text(&back, latency_to_text(&latency, text)));
	assert_string_equal(text, "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		latency.counts[i] = UINT64_C(1000000000000000000) + i;
	latency.sum_us = UINT64_C(9999999999999999999);
	assert_true(latency_from_text(&back, latency_to_text(&latency, text)));
	assert_memory_equal(&latency, &back, sizeof latency);
}

static void what_is_no_histogram_is_refused(void **state)
{
	static const char *const texts[] = {"", " ", "1", "x",
		"0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", /* one too few */
		"0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
		"0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 -1",
		"0 0 0 0 0 0 0 0 0 0  0 0 0 0 0 0 0 0 0 0 0 0 0 0",
		"99999999999999999999 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
		"1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"};
	const struct latency empty = {.sum_us = 0};
	struct latency latency;
	(void)state;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_false(latency_from_text(&latency, texts[i]));
		assert_memory_equal(&latency, &empty, sizeof empty);
	}
}

static void json_has_percentiles_or_null(void **state)
{
	struct latency latency = {.sum_us = 0};
	struct strbuf out;
	(void)state;

	strbuf_init(&out);
	latency_to_json(&out, "cached", &latency);
	assert_non_null(strstr(out.data, "\"count\":0,\"sum_us\":0,\"p50_us\":null,"));
	strbuf_clear(&out);
	latency_add(&latency, 15, 4);
	latency_to_json(&out, "cached", &latency);
	assert_string_equal(out.data,
		"\"cached\":{\"count\":4,\"sum_us\":60,\"p50_us\":15,\"p90_us\":19,\"p99_us\":20,"
		"\"counts\":[0,0,0,0,4,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}");
	strbuf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bound_belongs_to_its_bucket),
		cmocka_unit_test(nothing_took_less_than_nothing),
		cmocka_unit_test(percentiles_lie_within_their_bucket),
		cmocka_unit_test(a_text_says_it_all),
		cmocka_unit_test(what_is_no_histogram_is_refused),
		cmocka_unit_test(json_has_percentiles_or_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
