/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text format of Prometheus (version 0.0.4): families of samples with labels. A family is begun
 * once and all of its samples follow; whoever writes sees to that. Names of metrics and labels are
 * ours; values of labels come from anywhere and are escaped here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "resolver/telemetry/latency.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_label {
	const char *name;
	const char *value; /* NULL: left out */
};

/* The lines before the samples; help is a sentence of ours. */
void metrics_family(struct strbuf *out, const char *name, enum metric_type type, const char *help);

void metrics_sample(struct strbuf *out, const char *name, const struct metric_label *labels,
	size_t count, uint64_t value);
/* A time or a span, told in seconds. */
void metrics_sample_us(struct strbuf *out, const char *name, const struct metric_label *labels,
	size_t count, uint64_t microseconds);

/* name_bucket for each bound and +Inf, name_sum, name_count, in seconds. At most 4 labels. */
void metrics_histogram(struct strbuf *out, const char *name, const struct metric_label *labels,
	size_t count, const struct latency *latency);
