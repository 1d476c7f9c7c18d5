/* SPDX-License-Identifier: BSD-3-Clause */
/* The sockets and clocks of `teredown probe`, around the machine of probe.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/control/probe.h"

/* Called now and then while it runs: for a line of progress. */
typedef void probe_tick(void *context, const struct probe *probe);

enum probe_end { PROBE_ENDED, PROBE_INTERRUPTED, PROBE_BROKEN };

/*
 * Runs it to its end, or until SIGINT or SIGTERM (both are as before afterwards). BROKEN: there is
 * no socket to be had, errno tells why. Blocks; one at a time.
 */
enum probe_end probe_run(struct probe *probe, probe_tick *tick, void *context);

/* Microseconds of the monotonic clock. */
int64_t probe_clock_us(void);

/* The address that what is sent to destination carries when it leaves here; no packet is sent.
 * False: there is no way to it. */
bool probe_source(const struct endpoint *destination, struct address *out);
