/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Totals of the hours over all clients: what a graph of days and the sums of a day are made of. As
 * in reader.h: one thread, TD_IO, TD_REFUSED, TD_NOMEM, TD_TOO_LONG, and what does not fit the
 * schema is passed over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/redis/reader_hours.h"

struct reader_total {
	bool known; /* Redis has something of this hour; else all are 0 */
	uint64_t counters[CLIENT_COUNTER_COUNT];
};

/*
 * Sets rows[hour], span.count of them: from the hash of each hour, which is exact at any moment,
 * and where retention has taken it from the entry in the stream of closed hours.
 */
enum td_error reader_totals(
	struct reader *reader, struct reader_span span, struct reader_total *rows);
