/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time series: what Redis keeps by the hour. Hours are UTC, counted from 1970. Each question names
 * its hours, so that what comes back is bounded whatever a key holds. As in reader.h: one thread,
 * TD_IO, TD_REFUSED, TD_NOMEM, TD_TOO_LONG, and rows that do not fit the schema are passed over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/redis/reader.h"

#define READER_HOURS_MAX ((size_t)90000) /* of one question: more than the longest retention */
#define READER_HOUR_ROWS_MAX 10000       /* of one hour; the store keeps fewer */

/* first, first + 1, … */
struct reader_span {
	int64_t first;
	size_t count;
};

/* Where the counts of an address come from: the daemon itself, and logs that were ingested. */
#define HOUR_SOURCES(X)          \
	X(DNS, "dns")            \
	X(DROP, "firewall-drop") \
	X(PASS, "firewall-pass") \
	X(PROXY, "proxy")        \
	X(EVENTLOG, "eventlog")

enum reader_source {
#define X(name, text) SOURCE_##name,
	HOUR_SOURCES(X)
#undef X
		SOURCE_COUNT
};

/* "dns", "firewall-drop", … */
const char *reader_source_name(enum reader_source source);

/* Sets counts[hour * SOURCE_COUNT + source], span.count * SOURCE_COUNT of them. */
enum td_error reader_timeline(
	struct reader *reader, const char *address, struct reader_span span, uint64_t *counts);

/* Sets counts[hour] to what a client has in each hour's set; counter is "queries", "watched" or
 * "blocked". */
enum td_error reader_hour_client(struct reader *reader, const char *counter, const char *client,
	struct reader_span span, uint64_t *counts);

enum reader_hour_set {
	READER_HOUR_WATCHED_NAMES, /* "<client> <name>": watched and blocked answers */
	READER_HOUR_DROPS, /* "<client> <address> <kind>": packets that a firewall dropped */
};

/* hour counts from span.first; member is valid during the call only. An error it returns ends the
 * reading, and is returned. */
typedef enum td_error reader_hour_fn(
	void *context, size_t hour, const char *member, uint64_t count);

/* What changes with the watched names of an hour: its watched and blocked answers, how many rows
 * there are, and what a bound or `teredown forget` put under "*other". */
struct reader_hour_stamp {
	uint64_t answers, rows, other;
};
enum td_error reader_hour_stamps(
	struct reader *reader, struct reader_span span, struct reader_hour_stamp *out);

/* Every member of these hours, the largest of an hour first. *cut: an hour holds more than
 * READER_HOUR_ROWS_MAX. */
enum td_error reader_hour_rows(struct reader *reader, enum reader_hour_set set,
	struct reader_span span, reader_hour_fn *visit, void *context, bool *cut);
