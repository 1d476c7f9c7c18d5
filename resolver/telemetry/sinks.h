/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where records go beside Redis: the query log's file. The collector gives each record once and
 * knows nothing of lines or files. Collector thread only, after sinks_init.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/querylog.h"
#include "resolver/telemetry/record.h"
#include "resolver/telemetry/record_json.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/telemetry/zone_ids.h"

struct sinks {
	enum query_log level;
	struct record_writer writer;
	struct strbuf line;
	struct querylog file;
};

/* The config is read during the call, zones live longer. False when out of memory; deinit is fine
 * then. */
bool sinks_init(struct sinks *sinks, const struct telemetry_config *config,
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

/* refused: records that found no room on their way here. Returns how many of out are filled. */
size_t sinks_status(const struct sinks *sinks, uint64_t refused, struct sink_status out[SINKS_MAX]);
