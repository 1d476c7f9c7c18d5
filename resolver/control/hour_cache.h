/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watched names of hours (READER_HOUR_WATCHED_NAMES), kept by a process that asks for them
 * again and again: a week is up to 336,000 rows, of which hardly any changes from one question to
 * the next. Each hour is kept with what Redis says of it in three figures (reader_hour_stamps) and
 * is read again when one of them differs, so that counts which come late and clients that were
 * forgotten show at once. Bounded in octets; what was used longest ago goes.
 *
 * Any thread; a reader is of the thread that calls.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "resolver/telemetry/redis/reader_hours.h"

struct hour_cache;

struct hour_cache *hour_cache_new(size_t bytes_max); /* NULL: out of memory */
void hour_cache_free(struct hour_cache **cache);     /* a NULL inside is fine */

/* As reader_hour_rows of READER_HOUR_WATCHED_NAMES; resolver is the reader's. What it visits is
 * a member of hour_cache_member. */
enum td_error hour_cache_rows(struct hour_cache *cache, struct reader *reader, const char *resolver,
	struct reader_span span, reader_hour_fn *visit, void *context, bool *cut);

/* The number of a text that hour_cache_rows visits, at least 1: another text has never had it. */
uint64_t hour_cache_member(const char *member);

/* Hours that were read from Redis and such that were not, since it was made; octets held. */
struct hour_cache_figures {
	uint64_t read, kept;
	size_t bytes, hours;
};
struct hour_cache_figures hour_cache_figures(struct hour_cache *cache);
