/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long answers took, as a histogram with fixed bounds in steps of 1, 2, 5: one a worker and a
 * class, merged for `status`, the gauges and Prometheus. Two classes, by what a client had to wait
 * for:
 *
 *   cached     told at once, out of what this resolver knew: the cache, a rule, a name of its own,
 * an error in the query forwarded  told after waiting for an upstream server, whatever it was told
 * then: the reply, an expired answer in its place, a rule's answer because of it, SERVFAIL because
 * none came
 *
 * Every answer is in exactly one of them, so the counts of both sum up to `answered`. A time is
 * that from the read of the query's receive batch to the moment its reply was given to the system;
 * over UDP all replies of a batch leave by one call and have the same. Pure arithmetic on plain
 * values, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/strbuf.h"

/* 1 us to 10 s, and all that took longer. */
#define LATENCY_BOUNDS 22
#define LATENCY_BUCKETS (LATENCY_BOUNDS + 1)

/* Upper bounds in microseconds, inclusive; ascending. */
extern const uint32_t latency_bounds_us[LATENCY_BOUNDS];

enum latency_class { LATENCY_CACHED, LATENCY_FORWARDED };
#define LATENCY_CLASSES 2

struct latency {
	uint64_t counts[LATENCY_BUCKETS]; /* answers of each bucket by itself, not cumulative */
	uint64_t sum_us;
};

/* "cached", "forwarded"; static storage. */
const char *latency_class_name(enum latency_class class);
/* "latency_cached", "latency_forwarded": the line of `status`, and the gauge without its "gauge_".
 * Static storage. */
const char *latency_figure_name(enum latency_class class);

/* `answers` of them took so long; less than nothing counts as nothing. */
void latency_add(struct latency *latency, int64_t took_us, uint64_t answers);
void latency_merge(struct latency *sum, const struct latency *other);
uint64_t latency_count(const struct latency *latency);

/*
 * The time within which so many of a thousand answers were given, spread evenly within the bucket
 * where it lies, as Prometheus does; in the last bucket it is the largest bound. 0 without an
 * answer.
 */
uint64_t latency_quantile_us(const struct latency *latency, unsigned permille);

/* Decimal numbers with one blank between them: the counts, then the sum in microseconds. */
#define LATENCY_TEXT_MAX 512
const char *latency_to_text(const struct latency *latency, char out[LATENCY_TEXT_MAX]);
/* False, and out is empty, when the text is anything else; it may come from Redis, hostile. */
bool latency_from_text(struct latency *out, const char *text);

/* A member of an object: "key":{"count","sum_us","p50_us","p90_us","p99_us","counts":[…]}, the
 * times null without an answer. */
void latency_to_json(struct strbuf *out, const char *key, const struct latency *latency);
