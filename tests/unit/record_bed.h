/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of records: a ring, a writer of lines for resolver "gw1" whose one zone is
 * "teredo", and a transaction with a reply that the test composes. A helper that fails fails the
 * test.
 */
#pragma once

#include "lib/dns/compose.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/sinks/record_json.h"

#define WHEN INT64_C(1795294331123456) /* 2026-11-21T20:52:11.123456Z */

struct bed {
	struct ring ring;
	struct zone_ids zones;
	struct record_writer writer;
	struct strbuf out;
	uint8_t reply[4096];
	struct compose compose;
	struct name qname;
	struct transaction transaction;
};

/* Of each test; *state is the bed. */
int setup(void **state);
int teardown(void **state);

struct name name_of(const char *text);

/* A question of 192.0.2.7 that is answered from the cache, and the beginning of its reply. */
void begin(struct bed *bed, const struct name *qname, uint16_t qtype, uint16_t flags);
void add_address(struct bed *bed, const char *owner, const char *text);

/* The transaction through the ring; its line, which lives in bed->out. */
const char *finish(struct bed *bed);
