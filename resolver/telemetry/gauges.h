/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's own figures, as a fleet view wants them: what is told at one moment replaces what
 * was told before, so there is one of them on its way at most. Plain values, copied freely.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "resolver/telemetry/latency.h"

#define GAUGES_MAX 128
#define GAUGES_UPSTREAMS_SIZE 1024
#define GAUGE_TEXTS_MAX 4
#define GAUGE_TEXT_SIZE LATENCY_TEXT_MAX
/* Script.lua takes numbers of up to 15 digits. */
#define GAUGE_VALUE_MAX UINT64_C(999999999999999)

struct gauges {
	size_t count;
	struct gauge {
		const char *name; /* without the `gauge_` of its field; static storage */
		uint64_t value;
	} values[GAUGES_MAX];
	char upstreams[GAUGES_UPSTREAMS_SIZE]; /* "9.9.9.9:53=ok 192.0.2.1:53=backoff" */
	size_t text_count;
	struct gauge_text {
		const char *name; /* as above */
		char text[GAUGE_TEXT_SIZE];
	} texts[GAUGE_TEXTS_MAX]; /* what is no single number */
};

/* One beyond GAUGES_MAX is left out; a value is cut to GAUGE_VALUE_MAX. */
void gauges_add(struct gauges *gauges, const char *name, uint64_t value);

/* One beyond GAUGE_TEXTS_MAX is left out, and so is what is longer than there is room for. */
void gauges_add_text(struct gauges *gauges, const char *name, const char *text);

/* Appends to `upstreams`, as far as there is room for all of it. */
void gauges_add_upstream(struct gauges *gauges, const struct endpoint *server, const char *state);

bool gauges_equal(const struct gauges *a, const struct gauges *b);
