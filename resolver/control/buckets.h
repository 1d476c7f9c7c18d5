/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of a timeline: the hours of UTC that Redis keeps, put together to hours, parts of days and
 * days of local time. A day has as many hours as it has: 23 or 25 where clocks are changed.
 *
 * An hour is never divided. Where the zone is off by half an hour, an hour of UTC lies across a
 * full hour of local time; it goes to where most of it is (the later one of two halves), and
 * `uneven` says so. Rows of one hour begin when the hours of UTC do, at half past.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/redis/reader_hours.h"

struct bucket_span {
	unsigned hours; /* 1, 2, 3, 4, 6, 8, 12; 0: days */
	unsigned days;
};

struct buckets {
	struct bucket_span span;
	struct reader_span hours; /* all of them */
	size_t *starts;           /* of each bucket in hours; starts[count] is hours.count */
	uint32_t *of_hour;        /* the bucket of each hour */
	size_t count;
	bool uneven; /* an hour of UTC does not begin at a full hour here */
};

/* "1h", "6h", "1d", "7d"; 24h is 1d. False when it is none of those that divide a day, or 1 to 31
 * days. */
bool bucket_span_from_text(struct bucket_span *out, const char *text);

/*
 * The buckets from since to until, Unix ms; the first is taken back to where it begins, several
 * days a bucket to where the first day begins. Arrays are the arena's. TD_INVALID: nothing between
 * them, or more than READER_HOURS_MAX hours, or years that cannot be told. By TZ.
 */
enum td_error buckets_make(struct buckets *out, struct arena *arena, struct bucket_span span,
	int64_t since_ms, int64_t until_ms);

/* Unix ms, of what is counted in it. */
int64_t bucket_from_ms(const struct buckets *buckets, size_t bucket);
int64_t bucket_to_ms(const struct buckets *buckets, size_t bucket);

/* "2026-11-21 05:00", "2026-11-21 Sat"; where two in a row would be the same, with the zone:
 * "2026-10-25 02:00 CEST". Local time. */
#define BUCKET_LABEL_MAX 40
void bucket_label(const struct buckets *buckets, size_t bucket, char out[BUCKET_LABEL_MAX]);
/* Where it begins, RFC 3339 with the offset: "2026-10-25T02:00:00+02:00". */
void bucket_time(const struct buckets *buckets, size_t bucket, char out[BUCKET_LABEL_MAX]);
