/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records as dnstap messages in Frame Streams, to a file, or to a reader on a unix socket or over
 * TCP. A reader that is slow or gone is never waited for: messages wait in a bounded queue, and
 * what finds no room is counted. In a build without libfstrm and protobuf-c there is none of it.
 * Collector thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/sinks/sink_target.h"

#define DNSTAP_QUEUE_MAX ((size_t)8 << 20)

struct event_base;
struct dnstap;

struct dnstap_settings {
	const struct dnstap_target *target; /* copied, as is all of this */
	unsigned messages;                  /* DNSTAP_CLIENT_QUERY and so on */
	const char *identity, *version;
	uint64_t size_max; /* octets at which a file is turned (rotate.h); 0: never */
	unsigned keep;
};

/* NULL: out of memory. A reader or a folder that is not there is logged and tried again. A file
 * that is there already is kept as an old one: two streams in one file cannot be read. */
struct dnstap *dnstap_new(
	struct event_base *base, const struct dnstap_settings *settings, const struct now *now);

/* What could not be sent is lost; dnstap_finish comes before. */
void dnstap_free(struct dnstap **dnstap);

void dnstap_record(struct dnstap *dnstap, const struct record *record, const struct now *now);

/* Sends what waits as far as it is taken; opens or connects again when it is time. */
void dnstap_flush(struct dnstap *dnstap, const struct now *now);

/* A file that was renamed gets its end, and a new one is begun. */
void dnstap_reopen(struct dnstap *dnstap, const struct now *now);

/* No more records will come: what waits is sent, and the stream gets its end. */
void dnstap_finish(struct dnstap *dnstap, const struct now *now);
bool dnstap_is_finished(const struct dnstap *dnstap);

struct dnstap_status {
	const char *state; /* "writing", "slow", "connecting", "away", of a file "failing" */
	/* Messages. Dropped: refused by the queue, or handed to a reader that went away before it
	 * had taken them, as far as the system tells. */
	uint64_t written, dropped;
};
void dnstap_status(const struct dnstap *dnstap, struct dnstap_status *out);
