/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each record goes through the code that reads RPZ text, so a zone means the same either way. The
 * copy is on the disk before its rules are in force: what blocks now blocks after a power cut.
 */
#include "resolver/transfer_feed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SOURCE_SIZE (12 + NAME_TEXT_MAX)

static enum td_error add_record(void *context, bool removed, const struct name *trigger,
	uint16_t type, uint32_t ttl_s, const uint8_t *rdata, uint16_t rdata_length)
{
	const struct policy_record record = {type, ttl_s, rdata, rdata_length};

	(void)removed;
	return policy_records_add(context, trigger, &record);
}

static enum td_error fail(struct zone_fill *fill, enum td_error error)
{
	if (error == TD_IO)
		snprintf(fill->why, sizeof fill->why, "the copy of the zone cannot be read: %s",
			strerror(errno));
	else
		snprintf(
			fill->why, sizeof fill->why, "the copy of the zone: %s", error_text(error));
	return error;
}

/* Into the zone opened last. */
static enum td_error read_records(
	const struct copy_snapshot *snapshot, const char *source, struct zone_fill *fill)
{
	struct policy_records *records = policy_records_begin(
		fill->builder, source, fill->report, fill->report_context, &fill->load);
	enum td_error error;

	if (!records)
		return TD_NOMEM;
	error = copy_read_all(snapshot, add_record, records);
	policy_records_end(records);
	return error;
}

enum td_error transfer_fill(const struct copy_snapshot *snapshot, struct zone_fill *fill)
{
	char source[SOURCE_SIZE] = "transfer of ";
	enum td_error error = policy_builder_zone(fill->builder, fill->zone, fill->kind);

	if (error || !snapshot)
		return error;
	name_to_text(snapshot->apex.wire, source + strlen(source));
	error = copy_sync(snapshot) ? read_records(snapshot, source, fill) : TD_IO;
	return error ? fail(fill, error) : TD_OK;
}
