/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record as one line of JSON (design: "the transaction record"). Names are escaped as in
 * presentation format, then as JSON: a hostile name can forge neither a field nor a line. Needs no
 * clock and does no I/O.
 */
#pragma once

#include <stdint.h>

#include "lib/base/strbuf.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/zone_ids.h"

struct record_writer {
	struct strbuf resolver; /* `","resolver":"gw1","txn":`, ready to append */
	const struct zone_ids *zones;
	uint64_t last_txn; /* running number of the line written last */
	int64_t second;    /* of the timestamp in `time` */
	char time[20];     /* "2026-11-21T20:52:11." */
	struct strbuf scratch;
	struct strbuf
		answers; /* of the line being written: one walk over the reply fills both lists */
	struct name last_name;   /* names repeat within a reply: the last one written, */
	struct strbuf last_text; /* and its JSON */
};

void record_writer_init(
	struct record_writer *writer, const char *resolver_name, const struct zone_ids *zones);
void record_writer_deinit(struct record_writer *writer);

/* Appends the line, newline included, and counts `txn` up. */
void record_writer_append(
	struct record_writer *writer, const struct record *record, struct strbuf *out);
