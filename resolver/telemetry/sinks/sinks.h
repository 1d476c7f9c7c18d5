/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where records go beside Redis: the query log's file or a syslog daemon, and dnstap. The collector
 * gives each record once and knows nothing of lines, files or sockets. Collector thread only, after
 * sinks_init.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/sinks/dnstap.h"
#include "resolver/telemetry/sinks/querylog.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/sinks/record_json.h"
#include "resolver/telemetry/sinks/syslog_sink.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/telemetry/zone_ids.h"

struct event_base;

struct sinks {
	enum query_log level;
	struct record_writer writer;
	struct strbuf line;
	struct querylog file;
	struct syslog_sink *syslog;
	struct dnstap *dnstap;                /* NULL: off */
	char target[128], dnstap_target[128]; /* as configured */
	int64_t end_us; /* monotonic: until when slow ones are waited for, once it ends */
};

/* The config is read during the call, base and zones live longer. False when out of memory; deinit
 * is fine then. */
bool sinks_init(struct sinks *sinks, const struct telemetry_config *config, struct event_base *base,
	const struct zone_ids *zones, const struct now *now);
void sinks_deinit(struct sinks *sinks); /* writes what is buffered, once */

/* Returns the record's JSON line with its newline, if it was made for a sink or is wanted, until
 * the next call; else NULL. */
const struct strbuf *sinks_record(
	struct sinks *sinks, const struct record *record, bool wanted, const struct now *now);

/* Once a look: what has gathered goes out as far as nobody has to be waited for. */
void sinks_flush(struct sinks *sinks, const struct now *now);

/* SIGHUP: files that were renamed are begun anew. */
void sinks_reopen(struct sinks *sinks, const struct now *now);

/* There will be no more records; what waits is sent, for a second at most, while sinks_flush is
 * called. True when nothing is left to do, so that the loop may end. */
void sinks_finish(struct sinks *sinks, const struct now *now);
bool sinks_are_finished(const struct sinks *sinks, const struct now *now);

/* lines_lost, taps_lost: what found no room on its way here. Returns how many of out are filled. */
size_t sinks_status(const struct sinks *sinks, uint64_t lines_lost, uint64_t taps_lost,
	struct sink_status out[SINKS_MAX]);
