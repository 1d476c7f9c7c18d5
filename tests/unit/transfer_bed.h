/* SPDX-License-Identifier: BSD-3-Clause */
/* For the tests of zones that follow their primaries: a clock and a network of the test's own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolver/transfer.h"
#include "tests/unit/zone_answer.h"

#define WALL_S INT64_C(1700000000)

struct bed {
	struct transfer *transfer;
	struct transfer_settings settings;
	struct now now;
	struct transfer_status status;
	char log[2048]; /* what was done: "call 1 ask SOA …" */
	uint16_t id;    /* of the question asked last */
	uint16_t qtype;
	bool no_changes, refuse_commit, refuse_record, refuse_connect;
	unsigned random; /* the part of what spreads times, in percent */
	struct zone_answer answer;
};

extern const struct zone_soa at_5;

/* What was done since the last call. */
#define assert_done(bed, words)                         \
	do {                                            \
		assert_string_equal((bed)->log, words); \
		(bed)->log[0] = '\0';                   \
	} while (0)

#define assert_state(bed, expected) assert_int_equal(status_of(bed)->state, expected)

struct bed *bed_of(unsigned primaries, const struct zone_soa *have, int64_t checked_s);

void pass(struct bed *bed, int64_t us);

const struct transfer_status *status_of(struct bed *bed);

void give_octets(struct bed *bed, const void *octets, size_t size);

/* The answer, as messages divided by '|'. */
void give(struct bed *bed, const char *messages);

/* The same with this rcode. */
void give_rcode(struct bed *bed, uint8_t rcode);

void connected(struct bed *bed);

void lost(struct bed *bed);

void installed(struct bed *bed, const char *why);

int64_t due_s(const struct bed *bed);

/* A zone that is current, by its first look. */
struct bed *current(unsigned primaries);

struct endpoint endpoint_of(uint8_t number);

/* For cmocka_run_group_tests: the last bed is given back. */
int end_transfer(void **state);
