/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wall clock is compared with the monotonic one. That one stands still while the machine sleeps
 * on Linux, so a sleep looks like a step: what the boot-time clock saw of it is taken off. The
 * newest clock is taken for the right one, because whoever set it knew better than nobody.
 */
#include "resolver/telemetry/clock_watch.h"

static int64_t unless_small(int64_t shift_us)
{
	return shift_us > CLOCK_STEP_US || shift_us < -CLOCK_STEP_US ? shift_us : 0;
}

void clock_watch_init(struct clock_watch *watch, const struct now *now, int64_t slept_us)
{
	*watch = (struct clock_watch){.offset_us = now->wall_us - now->mono_us,
		.slept_us = slept_us,
		.began_us = now->mono_us};
}

int64_t clock_watch_look(struct clock_watch *watch, const struct now *now, int64_t slept_us)
{
	int64_t offset_us = now->wall_us - now->mono_us;
	int64_t slept_since_us = slept_us - watch->slept_us;
	int64_t step_us = unless_small(offset_us - watch->offset_us - slept_since_us);

	if (unless_small(slept_since_us)) {
		watch->last_sleep_us = slept_since_us;
		watch->awake_us = watch->offset_us;
	}
	watch->offset_us = offset_us;
	watch->slept_us = slept_us;
	watch->steps += step_us != 0;
	return step_us;
}

int64_t clock_watch_shift(const struct clock_watch *watch, int64_t offset_us)
{
	int64_t shift_us = unless_small(watch->offset_us - offset_us);

	if (watch->last_sleep_us && unless_small(offset_us - watch->awake_us) == 0)
		shift_us = unless_small(shift_us - watch->last_sleep_us);
	return shift_us;
}

bool clock_watch_must_wait(const struct clock_watch *watch, const struct now *now)
{
	return now->wall_us < CLOCK_UNSET_US && now->mono_us - watch->began_us < CLOCK_WAIT_US;
}

int64_t clock_watch_offset(const struct clock_watch *watch)
{
	return watch->offset_us - watch->slept_us;
}

int64_t clock_watch_shift_from(const struct clock_watch *watch, int64_t boottime_offset_us)
{
	return unless_small(clock_watch_offset(watch) - boottime_offset_us);
}
