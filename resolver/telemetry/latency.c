/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounds are fixed, so histograms of several workers, resolvers and versions add up without a loss.
 * Rejected: exponents of two with sub-buckets (HDR), which is finer and gives Prometheus hundreds
 * of series; and a search by binary halving, as all but a few answers end in the first ten bounds
 * and a batch is one search for all of its replies.
 */
#include "resolver/telemetry/latency.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 19 /* of a number in a text: no more than fit */

const uint32_t latency_bounds_us[LATENCY_BOUNDS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000,
	5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000};

const char *latency_class_name(enum latency_class class)
{
	static const char *const names[] = {
		[LATENCY_CACHED] = "cached", [LATENCY_FORWARDED] = "forwarded"};

	return names[class];
}

const char *latency_figure_name(enum latency_class class)
{
	static const char *const names[] = {
		[LATENCY_CACHED] = "latency_cached", [LATENCY_FORWARDED] = "latency_forwarded"};

	return names[class];
}

void latency_add(struct latency *latency, int64_t took_us, uint64_t answers)
{
	unsigned bucket = 0;

	if (took_us < 0)
		took_us = 0;
	while (bucket < LATENCY_BOUNDS && took_us > latency_bounds_us[bucket])
		bucket++;
	latency->counts[bucket] += answers;
	latency->sum_us += (uint64_t)took_us * answers;
}

void latency_merge(struct latency *sum, const struct latency *other)
{
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		sum->counts[i] += other->counts[i];
	sum->sum_us += other->sum_us;
}

uint64_t latency_count(const struct latency *latency)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		count += latency->counts[i];
	return count;
}

uint64_t latency_quantile_us(const struct latency *latency, unsigned permille)
{
	double rank = (double)latency_count(latency) * permille / 1000, below = 0;

	if (rank == 0)
		return 0;
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		double count = (double)latency->counts[i];
		double from = i ? latency_bounds_us[i - 1] : 0, to = latency_bounds_us[i];
		if (count > 0 && below + count >= rank)
			return (uint64_t)(from + (to - from) * (rank - below) / count + 0.5);
		below += count;
	}
	return latency_bounds_us[LATENCY_BOUNDS - 1];
}

const char *latency_to_text(const struct latency *latency, char out[LATENCY_TEXT_MAX])
{
	int used = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		used += snprintf(out + used, (size_t)(LATENCY_TEXT_MAX - used), "%" PRIu64 " ",
			latency->counts[i]);
	snprintf(out + used, (size_t)(LATENCY_TEXT_MAX - used), "%" PRIu64, latency->sum_us);
	return out;
}

/* The number at *text, behind which *text is then, past a blank. */
static bool take_number(const char **text, uint64_t *out)
{
	size_t digits = strspn(*text, "0123456789");

	if (digits == 0 || digits > DIGITS_MAX)
		return false;
	*out = strtoull(*text, NULL, 10);
	*text += digits;
	*text += **text == ' ';
	return true;
}

bool latency_from_text(struct latency *out, const char *text)
{
	bool good = true;

	for (unsigned i = 0; good && i < LATENCY_BUCKETS; i++)
		good = take_number(&text, &out->counts[i]);
	good = good && take_number(&text, &out->sum_us) && *text == '\0';
	if (!good)
		*out = (struct latency){.sum_us = 0};
	return good;
}

void latency_to_json(struct strbuf *out, const char *key, const struct latency *latency)
{
	static const struct {
		const char *name;
		unsigned permille;
	} shown[] = {{"p50_us", 500}, {"p90_us", 900}, {"p99_us", 990}};
	uint64_t count = latency_count(latency);

	strbuf_json_key(out, key);
	strbuf_append_char(out, '{');
	strbuf_json_u64(out, "count", count);
	strbuf_json_u64(out, "sum_us", latency->sum_us);
	for (unsigned i = 0; i < sizeof shown / sizeof shown[0]; i++) {
		if (count) {
			strbuf_json_u64(out, shown[i].name,
				latency_quantile_us(latency, shown[i].permille));
		} else {
			strbuf_json_key(out, shown[i].name);
			strbuf_append_text(out, "null");
		}
	}
	strbuf_json_key(out, "counts");
	strbuf_append_char(out, '[');
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		strbuf_printf(out, "%s%" PRIu64, i ? "," : "", latency->counts[i]);
	strbuf_append_text(out, "]}");
}
