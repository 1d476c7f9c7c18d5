/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time as it is passed around. Code in lib/ and policy/ never reads a clock: a loop reads both
 * clocks once a turn and hands them down, so that tests drive the same code with a clock of their own.
 */
#pragma once

#include <stdint.h>

struct now {
	int64_t mono_us; /* CLOCK_MONOTONIC, microseconds: deadlines, TTL ageing, durations */
	int64_t wall_us; /* CLOCK_REALTIME, microseconds since 1970: records and hours, nothing else */
};

#define US_PER_MS INT64_C(1000)
#define US_PER_S  INT64_C(1000000)
