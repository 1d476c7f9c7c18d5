/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records to a syslog daemon, one datagram each: over a unix socket in the form that libc's
 * syslog(3) gives them, over UDP as RFC 5424 and 5426 say. A daemon that is slow, gone or
 * restarted is never waited for: messages wait in a bounded queue, and what finds no room is
 * counted. Collector thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "resolver/telemetry/sinks/sink_target.h"

struct event_base;
struct syslog_sink;

#define SYSLOG_MESSAGE_MAX ((size_t)8192) /* octets; what rsyslog takes without being told */
#define SYSLOG_QUEUE_MAX ((size_t)2 << 20)

/* NULL: out of memory. A daemon that is not there is logged and tried again. */
struct syslog_sink *syslog_sink_new(struct event_base *base, const struct syslog_target *target,
	const char *resolver_name, const struct now *now);
void syslog_sink_free(struct syslog_sink **sink);

/*
 * A record's JSON line, which ends with a newline. A message that would be longer than
 * SYSLOG_MESSAGE_MAX ends where the line's lists begin, marked `"cut":true`.
 */
void syslog_sink_append(struct syslog_sink *sink, const char *line, size_t length, size_t lists,
	const struct now *now);

/* Sends what waits as far as the socket takes it; connects again when it is time. */
void syslog_sink_flush(struct syslog_sink *sink, const struct now *now);

struct syslog_sink_status {
	const char *state; /* "writing", "slow", "away" */
	size_t waiting;
	uint64_t written, dropped;
};
void syslog_sink_status(const struct syslog_sink *sink, struct syslog_sink_status *out);
