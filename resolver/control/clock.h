/* SPDX-License-Identifier: BSD-3-Clause */
/* The clocks of commands, the screen and the dashboard, in milliseconds. The daemon's are read by
 * its loops (lib/base/clock.h). */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Since 1970. */
static inline int64_t clock_wall_ms(void)
{
	return clock_read_ms(CLOCK_REALTIME);
}

/* For time that passes: nobody sets it. */
static inline int64_t clock_mono_ms(void)
{
	return clock_read_ms(CLOCK_MONOTONIC);
}
