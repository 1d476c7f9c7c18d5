/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A writer of one screen: there is no library for it in Debian, and the format is lines. Numbers
 * are written as integers, or as seconds with six digits, so nothing is lost to a double here.
 *
 * A label's value has to be UTF-8, and what Redis or a network says need not be: bytes outside
 * printable ASCII become \ddd first, as everywhere people read them, and then backslash and quote
 * are escaped as the format asks.
 */
#include "resolver/control/dashboard/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "resolver/control/output.h"

#define LABELS_MAX 5

static const char *const type_words[] = {
	[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

void metrics_family(struct strbuf *out, const char *name, enum metric_type type, const char *help)
{
	strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_words[type]);
}

static void append_value(struct strbuf *out, const char *value)
{
	struct strbuf shown;

	strbuf_init(&shown);
	output_text(&shown, value);
	for (size_t i = 0; i < shown.length; i++) {
		if (shown.data[i] == '\\' || shown.data[i] == '"')
			strbuf_append_char(out, '\\');
		strbuf_append_char(out, shown.data[i]);
	}
	out->failed = out->failed || shown.failed;
	strbuf_deinit(&shown);
}

static void append_labels(struct strbuf *out, const struct metric_label *labels, size_t count)
{
	char before = '{';

	for (size_t i = 0; i < count; i++) {
		if (!labels[i].value)
			continue;
		strbuf_printf(out, "%c%s=\"", before, labels[i].name);
		append_value(out, labels[i].value);
		strbuf_append_char(out, '"');
		before = ',';
	}
	strbuf_append_text(out, before == ',' ? "} " : " ");
}

void metrics_sample(struct strbuf *out, const char *name, const struct metric_label *labels,
	size_t count, uint64_t value)
{
	strbuf_append_text(out, name);
	append_labels(out, labels, count);
	strbuf_append_u64(out, value);
	strbuf_append_char(out, '\n');
}

void metrics_sample_us(struct strbuf *out, const char *name, const struct metric_label *labels,
	size_t count, uint64_t microseconds)
{
	strbuf_append_text(out, name);
	append_labels(out, labels, count);
	strbuf_printf(
		out, "%" PRIu64 ".%06" PRIu64 "\n", microseconds / 1000000, microseconds % 1000000);
}

void metrics_histogram(struct strbuf *out, const char *name, const struct metric_label *labels,
	size_t count, const struct latency *latency)
{
	struct metric_label all[LABELS_MAX];
	char bound[32], full[96];
	uint64_t below = 0;

	memcpy(all, labels, count * sizeof(*labels));
	all[count] = (struct metric_label){"le", bound};
	snprintf(full, sizeof(full), "%s_bucket", name);
	for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
		if (i < LATENCY_BOUNDS)
			snprintf(bound, sizeof(bound), "%g", latency_bounds_us[i] / 1e6);
		else
			snprintf(bound, sizeof(bound), "+Inf");
		below += latency->counts[i];
		metrics_sample(out, full, all, count + 1, below);
	}
	snprintf(full, sizeof(full), "%s_sum", name);
	metrics_sample_us(out, full, labels, count, latency->sum_us);
	snprintf(full, sizeof(full), "%s_count", name);
	metrics_sample(out, full, labels, count, below);
}
