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

/* A word of a fixed list as it stands in a line, in quotes. Copied as 16 octets, used by its
 * length. */
struct record_word {
	char text[15];
	uint8_t length; /* 0: it did not fit */
};

#define RECORD_WORD_TYPES 128 /* types with a word of their own: 0 to HTTPS and some more */
#define RECORD_WORD_RCODES 16
#define RECORD_WORD_SOURCES 6
#define RECORD_WORD_ACTIONS 3

struct record_words {
	struct record_word types[RECORD_WORD_TYPES];
	struct record_word rcodes[RECORD_WORD_RCODES];
	struct record_word sources[RECORD_WORD_SOURCES];
	struct record_word actions[RECORD_WORD_ACTIONS];
};

/* Of a name in JSON: an octet can become an escaped backslash and an escaped quote, two quotes. */
#define RECORD_NAME_MAX (12 * NAME_WIRE_MAX + 2)

/* A name of the reply, remembered by its place: what follows mostly points there. */
struct record_name {
	size_t offset; /* in the reply; 0: none */
	size_t length; /* of the text; 0: not written yet */
	char json[RECORD_NAME_MAX];
};

struct record_writer {
	struct strbuf resolver; /* `","resolver":"gw1","txn":`, ready to append */
	const struct zone_ids *zones;
	uint64_t last_txn; /* running number of the line written last */
	int64_t second;    /* of the timestamp in `time` */
	char time[20];     /* "2026-11-21T20:52:11." */
	struct record_words words;

	size_t lists_at; /* of the line written last: where its lists begin in out's data */

	/* Of the line being written. One walk over the reply fills both lists. */
	struct record_name question, last;
	struct name last_wire; /* what `last` is written from */
	struct strbuf addresses, answers;
	struct strbuf scratch;
};

void record_writer_init(
	struct record_writer *writer, const char *resolver_name, const struct zone_ids *zones);
void record_writer_deinit(struct record_writer *writer);

/* Appends the line, newline included, and counts `txn` up. */
void record_writer_append(
	struct record_writer *writer, const struct record *record, struct strbuf *out);
