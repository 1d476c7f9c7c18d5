/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the wall clock right? It steps when somebody sets it, and a machine without a clock of its own
 * begins in the past. Counts belong to hours, so what was timed by the wrong clock and has not been
 * sent is moved (tally_shift, pending_shift), and while the clock cannot be right nothing is frozen
 * for a while. Arithmetic only; the caller reads the clocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

#define CLOCK_STEP_US (2 * US_PER_S)           /* less is a clock that is being slewed, or noise */
#define CLOCK_UNSET_US (1704067200 * US_PER_S) /* 2024-01-01: before this program was written */
#define CLOCK_WAIT_US (600 * US_PER_S)         /* for a clock that is not set */

struct clock_watch {
	int64_t offset_us;      /* wall minus monotonic, at the last look */
	int64_t slept_us;       /* time that the monotonic clock has not seen, at the last look */
	int64_t last_sleep_us;  /* how long the machine slept last, 0: it has not yet */
	int64_t awake_us;       /* wall minus monotonic before that */
	int64_t began_us;       /* monotonic */
	uint64_t steps;         /* ever */
};

/* slept_us: CLOCK_BOOTTIME minus CLOCK_MONOTONIC. */
void clock_watch_init(struct clock_watch *watch, const struct now *now, int64_t slept_us);

/* How far the wall clock stepped since the last look; 0: it did not. */
int64_t clock_watch_look(struct clock_watch *watch, const struct now *now, int64_t slept_us);

/* How far times must be moved that were taken when wall minus monotonic was offset_us: since the look
 * before, or since the last sleep, through which a worker may have held them. */
int64_t clock_watch_shift(const struct clock_watch *watch, int64_t offset_us);

/* True while the clock is not set and it is worth waiting for. */
bool clock_watch_must_wait(const struct clock_watch *watch, const struct now *now);

/* wall minus the clock that does not stop while the machine sleeps: to be compared by the next
 * process of the same boot of the machine. */
int64_t clock_watch_offset(const struct clock_watch *watch);

/* Shift for times taken under another such offset. */
int64_t clock_watch_shift_from(const struct clock_watch *watch, int64_t boottime_offset_us);
