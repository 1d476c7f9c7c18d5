/* SPDX-License-Identifier: BSD-3-Clause */
/* Totals of hours as the API tells them. */
#pragma once

#include "lib/base/strbuf.h"
#include "resolver/telemetry/redis/reader_totals.h"

/* Appends an array with a row for each hour of the span: its begin, the counters that are drawn,
 * and "partial":true for the one that now_ms (Unix ms) is in. */
void hours_json(struct strbuf *out, struct reader_span span, const struct reader_total *rows,
	int64_t now_ms);
