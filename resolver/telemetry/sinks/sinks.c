/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record becomes a line once, whoever takes it: the file here, and Redis's stream, which the
 * collector fills. Which records become lines is decided here too, since a worker sends all of them
 * as soon as one sink wants all.
 */
#include "resolver/telemetry/sinks/sinks.h"

#include <stdio.h>
#include <string.h>

#define FINISH_US US_PER_S

/* Opens what query-log-file names. */
static bool open_log(struct sinks *sinks, const struct telemetry_config *config,
	struct event_base *base, const struct now *now)
{
	const char *file = config->query_log == QUERY_LOG_OFF ? NULL : config->query_log_file;
	struct syslog_target target;

	if (file)
		snprintf(sinks->target, sizeof(sinks->target), "%s", file);
	if (file && syslog_target_parse(&target, file)) {
		sinks->syslog = syslog_sink_new(base, &target, config->resolver_name, now);
		return sinks->syslog != NULL;
	}
	if (!querylog_init(&sinks->file, file, now))
		return false;
	querylog_set_turn(&sinks->file, config->query_log_size, config->query_log_keep);
	return true;
}

static bool open_dnstap(struct sinks *sinks, const struct telemetry_config *config,
	struct event_base *base, const struct now *now)
{
	struct dnstap_target target;
	char version[64];

	if (!config->dnstap || !dnstap_target_parse(&target, config->dnstap))
		return true;
	snprintf(version, sizeof(version), "teredown %s", config->version);
	const struct dnstap_settings settings = {.target = &target,
		.messages = config->dnstap_messages,
		.identity = config->resolver_name,
		.version = version,
		.size_max = config->query_log_size,
		.keep = config->query_log_keep};
	sinks->dnstap = dnstap_new(base, &settings, now);
	snprintf(sinks->dnstap_target, sizeof(sinks->dnstap_target), "%s", config->dnstap);
	return sinks->dnstap != NULL;
}

bool sinks_init(struct sinks *sinks, const struct telemetry_config *config, struct event_base *base,
	const struct zone_ids *zones, const struct now *now)
{
	sinks->level = config->query_log;
	record_writer_init(&sinks->writer, config->resolver_name, zones);
	strbuf_init(&sinks->line);
	sinks->file.fd = -1;
	return open_log(sinks, config, base, now) && open_dnstap(sinks, config, base, now);
}

void sinks_deinit(struct sinks *sinks)
{
	querylog_deinit(&sinks->file);
	syslog_sink_free(&sinks->syslog);
	dnstap_free(&sinks->dnstap);
	record_writer_deinit(&sinks->writer);
	strbuf_deinit(&sinks->line);
}

static bool is_logged(const struct sinks *sinks, const struct record *record)
{
	return record->kind == RECORD_ANSWER && (sinks->syslog || querylog_is_on(&sinks->file)) &&
	       (sinks->level == QUERY_LOG_ALL || record->action != TRANSACTION_NONE);
}

const struct strbuf *sinks_record(
	struct sinks *sinks, const struct record *record, bool wanted, const struct now *now)
{
	struct strbuf *line = &sinks->line;
	bool logged = is_logged(sinks, record);

	if (sinks->dnstap)
		dnstap_record(sinks->dnstap, record, now);
	if (!logged && !wanted)
		return NULL;
	strbuf_clear(line);
	record_writer_append(&sinks->writer, record, line);
	if (line->failed)
		return NULL;
	if (logged && sinks->syslog)
		syslog_sink_append(
			sinks->syslog, line->data, line->length, sinks->writer.lists_at, now);
	else if (logged)
		querylog_append(&sinks->file, line->data, line->length, now);
	return line;
}

void sinks_flush(struct sinks *sinks, const struct now *now)
{
	querylog_flush(&sinks->file, now);
	if (sinks->syslog)
		syslog_sink_flush(sinks->syslog, now);
	if (sinks->dnstap)
		dnstap_flush(sinks->dnstap, now);
}

void sinks_reopen(struct sinks *sinks, const struct now *now)
{
	querylog_reopen(&sinks->file, now);
	if (sinks->dnstap)
		dnstap_reopen(sinks->dnstap, now);
}

void sinks_finish(struct sinks *sinks, const struct now *now)
{
	sinks->end_us = now->mono_us + FINISH_US;
	if (sinks->dnstap)
		dnstap_finish(sinks->dnstap, now);
}

bool sinks_are_finished(const struct sinks *sinks, const struct now *now)
{
	struct syslog_sink_status status = {0};

	if (sinks->syslog)
		syslog_sink_status(sinks->syslog, &status);
	bool done = status.waiting == 0 && (!sinks->dnstap || dnstap_is_finished(sinks->dnstap));
	return done || now->mono_us >= sinks->end_us;
}

static void fill_file(const struct querylog *file, struct sink_status *out)
{
	out->state = file->fd < 0 ? "closed" : file->failing ? "failing" : "writing";
	out->written = file->written;
	out->dropped = file->dropped;
}

static void fill_syslog(const struct syslog_sink *sink, struct sink_status *out)
{
	struct syslog_sink_status status;

	syslog_sink_status(sink, &status);
	out->state = status.state;
	out->written = status.written;
	out->dropped = status.dropped;
}

static void fill_log(const struct sinks *sinks, struct sink_status *out)
{
	*out = (struct sink_status){.name = "query-log"};
	snprintf(out->target, sizeof(out->target), "%s",
		strcmp(sinks->target, "-") == 0 ? "stdout" : sinks->target);
	if (sinks->syslog)
		fill_syslog(sinks->syslog, out);
	else
		fill_file(&sinks->file, out);
}

static void fill_dnstap(const struct sinks *sinks, struct sink_status *out)
{
	struct dnstap_status status;

	dnstap_status(sinks->dnstap, &status);
	*out = (struct sink_status){.name = "dnstap",
		.state = status.state,
		.written = status.written,
		.dropped = status.dropped};
	snprintf(out->target, sizeof(out->target), "%s", sinks->dnstap_target);
}

size_t sinks_status(const struct sinks *sinks, uint64_t lines_lost, uint64_t taps_lost,
	struct sink_status out[SINKS_MAX])
{
	size_t count = 0;

	if (sinks->syslog || querylog_is_on(&sinks->file)) {
		fill_log(sinks, &out[count]);
		out[count++].dropped += lines_lost;
	}
	if (sinks->dnstap) {
		fill_dnstap(sinks, &out[count]);
		out[count++].dropped += taps_lost;
	}
	return count;
}
