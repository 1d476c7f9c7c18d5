/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record becomes a line once, whoever takes it: the file here, and Redis's stream, which the
 * collector fills. Which records become lines is decided here too, since a worker sends all of them
 * as soon as one sink wants all.
 */
#include "resolver/telemetry/sinks.h"

#include <stdio.h>
#include <string.h>

bool sinks_init(struct sinks *sinks, const struct telemetry_config *config,
	const struct zone_ids *zones, const struct now *now)
{
	const char *file = config->query_log == QUERY_LOG_OFF ? NULL : config->query_log_file;

	sinks->level = config->query_log;
	record_writer_init(&sinks->writer, config->resolver_name, zones);
	strbuf_init(&sinks->line);
	if (!querylog_init(&sinks->file, file, now))
		return false;
	querylog_set_turn(&sinks->file, config->query_log_size, config->query_log_keep);
	return true;
}

void sinks_deinit(struct sinks *sinks)
{
	querylog_deinit(&sinks->file);
	record_writer_deinit(&sinks->writer);
	strbuf_deinit(&sinks->line);
}

static bool is_logged(const struct sinks *sinks, const struct record *record)
{
	return querylog_is_on(&sinks->file) &&
	       (sinks->level == QUERY_LOG_ALL || record->action != TRANSACTION_NONE);
}

const struct strbuf *sinks_record(
	struct sinks *sinks, const struct record *record, bool wanted, const struct now *now)
{
	struct strbuf *line = &sinks->line;
	bool logged = is_logged(sinks, record);

	if (!logged && !wanted)
		return NULL;
	strbuf_clear(line);
	record_writer_append(&sinks->writer, record, line);
	if (line->failed)
		return NULL;
	if (logged)
		querylog_append(&sinks->file, line->data, line->length, now);
	return line;
}

void sinks_flush(struct sinks *sinks, const struct now *now)
{
	querylog_flush(&sinks->file, now);
}

void sinks_reopen(struct sinks *sinks, const struct now *now)
{
	querylog_reopen(&sinks->file, now);
}

size_t sinks_status(const struct sinks *sinks, uint64_t refused, struct sink_status out[SINKS_MAX])
{
	const struct querylog *file = &sinks->file;

	if (!querylog_is_on(file))
		return 0;
	out[0] = (struct sink_status){.name = "query-log",
		.state = file->fd < 0    ? "closed"
			 : file->failing ? "failing"
					 : "writing",
		.written = file->written,
		.dropped = file->dropped + refused};
	snprintf(out[0].target, sizeof(out[0].target), "%s",
		strcmp(file->path, "-") == 0 ? "stdout" : file->path);
	return 1;
}
