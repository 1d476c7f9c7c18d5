/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `teredown export`: what was asked for, and how a row is written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/redis/reader.h"

enum export_format { EXPORT_JSON, EXPORT_CSV, EXPORT_COF };

struct export_filter {
	int64_t since_ms, until_ms; /* INT64_MIN, INT64_MAX where not given */
	const char *client;         /* NULL: any */
	const char *address;        /* RFC 5952; NULL: any */
	struct name name;           /* length 0: any */
	bool below;                 /* names below it, not itself */
};

/* A moment: "2026-11-21", "2026-11-21 20:52", "2026-11-21T20:52:11Z" (local time without the Z),
 * Unix seconds, or how long ago: "90s", "10m", "3h", "8d". False when it is none. */
bool export_time(const char *text, int64_t now_ms, int64_t *out_ms);

bool export_wants_name(const struct export_filter *filter, const char *name);
/* Whether the span of the pair and that of the filter overlap, and the rest. */
bool export_wants_pair(const struct export_filter *filter, const struct reader_pair *pair);
bool export_wants_record(const struct export_filter *filter, const struct reader_record *record);

/* A field of CSV as all our tables have it: escaped, quoted where that is needed, with an apostrophe
 * before what a spreadsheet would take for a formula. A comma stands before all but the first. */
void export_csv_text(struct strbuf *out, bool first, const char *text);

/* The line before all rows; nothing for formats without one. */
void export_pairs_header(struct strbuf *out, enum export_format format);
void export_records_header(struct strbuf *out, enum export_format format);

/* JSON or CSV. */
void export_pair(struct strbuf *out, enum export_format format, const struct reader_pair *pair);
void export_record(
	struct strbuf *out, enum export_format format, const struct reader_record *record);

/*
 * Passive DNS, Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof): an object a line for
 * each resource record, that is, each owner that told this address; the pairs of one address are
 * sorted in place. No client is in it unless with_clients: then an object for each pair. sensor may
 * be NULL. Returns how many pairs say no record, because a bound of the store took their names.
 */
size_t export_cof(struct strbuf *out, struct reader_pair *rows, size_t count, const char *sensor,
	bool with_clients);
