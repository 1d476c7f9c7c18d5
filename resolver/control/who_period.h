/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often a client asks for a name again, and how certain that is. The best source wins: times in
 * the stream of transactions, then counts of whole hours, then the count from first to last. What
 * lies within a second of the one before is the same try (two types, a repetition).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum period_source {
	PERIOD_UNKNOWN,
	PERIOD_MEAN,   /* first to last, by the count: pauses are in it */
	PERIOD_HOURLY, /* the middle one of the hours in which it asked */
	PERIOD_TIMES,  /* the middle one of measured intervals */
};

struct period {
	enum period_source source;
	int64_t ms;              /* 0 for unknown */
	int64_t low_ms, high_ms; /* nine of ten intervals, or hours, lie between; 0 for others */
	size_t evidence;         /* intervals, hours, or tries behind it */
	int64_t covered_ms;      /* the time that they lie in */
};

#define PERIOD_TIMES_MIN 5 /* intervals */
#define PERIOD_HOURS_MIN 2
#define PERIOD_COUNT_MIN 6

/* "times", "hours", "mean", "unknown": for JSON. */
const char *period_source_name(enum period_source source);

/* Of Unix ms of one client's questions of one type, in any order; they are sorted in place. */
struct period period_from_times(int64_t *times, size_t count);
/* Of the counts of whole hours with at least one question each, in any order; sorted in place. */
struct period period_from_hours(uint64_t *counts, size_t count);
struct period period_from_mean(int64_t first_ms, int64_t last_ms, uint64_t count);

/* The one that is more certain, unless it rests on less than an hour, and the other on ten times as
 * much. */
struct period period_better(struct period a, struct period b);
