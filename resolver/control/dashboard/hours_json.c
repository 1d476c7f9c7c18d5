/* SPDX-License-Identifier: BSD-3-Clause */
/* An hour without a query has its row like the others: gaps would make a line lie. */
#include "resolver/control/dashboard/hours_json.h"

#include "resolver/control/output.h"

#define HOUR_MS INT64_C(3600000)

void hours_json(struct strbuf *out, struct reader_span span, const struct reader_total *rows,
	int64_t now_ms)
{
	static const enum client_counter shown[] = {COUNTER_queries, COUNTER_watched,
		COUNTER_blocked, COUNTER_cached, COUNTER_forwarded, COUNTER_nxdomain,
		COUNTER_servfail};

	strbuf_append_char(out, '[');
	for (size_t i = 0; i < span.count; i++) {
		int64_t hour = span.first + (int64_t)i;
		output_json_next(out);
		strbuf_append_char(out, '{');
		output_json_time(out, "hour", hour * HOUR_MS);
		for (size_t c = 0; c < sizeof(shown) / sizeof(shown[0]); c++)
			strbuf_json_u64(
				out, client_counter_name(shown[c]), rows[i].counters[shown[c]]);
		if (hour == now_ms / HOUR_MS)
			strbuf_json_bool(out, "partial", true);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}
