/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each record goes through the code that reads RPZ text, so a zone means the same either way. Where
 * the rules in force are of an earlier state of the copy, only what came since is read, into a
 * private copy of them: ten names in a million cost ten names. Where that fails, the zone is built
 * from all of it: slower, and the same.
 *
 * The copy is on the disk before its rules are in force: what blocks now blocks after a power cut.
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

	return removed ? policy_records_remove(context, trigger, &record)
		       : policy_records_add(context, trigger, &record);
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

/* The number of segments that the rules in force have; 0: those are of none of them. */
static size_t segments_known(const struct copy_snapshot *snapshot, const struct zone_fill *fill)
{
	for (size_t i = 0; fill->old && i + 1 < snapshot->count; i++)
		if (snapshot->segments[i].version == fill->old_version)
			return i + 1;
	return 0;
}

/* Into the zone opened last: the segments from this one on; 0: the zone as it is now. */
static enum td_error read_records(const struct copy_snapshot *snapshot, size_t from,
	const char *source, struct zone_fill *fill)
{
	struct policy_records *records = policy_records_begin(
		fill->builder, source, fill->report, fill->report_context, &fill->load);
	enum td_error error = records ? TD_OK : TD_NOMEM;

	if (records && from == 0)
		error = copy_read_all(snapshot, add_record, records);
	for (size_t i = from; from > 0 && error == TD_OK && i < snapshot->count; i++)
		error = copy_read(snapshot, &snapshot->segments[i], add_record, records);
	policy_records_end(records);
	return error;
}

static enum td_error build(
	const struct copy_snapshot *snapshot, const char *source, struct zone_fill *fill)
{
	enum td_error error = policy_builder_zone(fill->builder, fill->zone, fill->kind);

	return error ? error : read_records(snapshot, 0, source, fill);
}

static enum td_error patch(const struct copy_snapshot *snapshot, size_t known, const char *source,
	struct zone_fill *fill)
{
	enum td_error error = policy_builder_patch(fill->builder, fill->old, fill->zone);

	if (!error)
		error = read_records(snapshot, known, source, fill);
	if (!error)
		fill->load.used = (unsigned)policy_builder_rules(fill->builder);
	else if (error != TD_NOMEM)
		policy_builder_drop(fill->builder, fill->zone);
	return error;
}

static enum td_error fill_from(
	const struct copy_snapshot *snapshot, const char *source, struct zone_fill *fill)
{
	size_t known = segments_known(snapshot, fill);
	enum td_error error = TD_NOT_FOUND;

	if (!copy_sync(snapshot))
		return TD_IO;
	if (known)
		error = patch(snapshot, known, source, fill);
	return error && error != TD_NOMEM ? build(snapshot, source, fill) : error;
}

enum td_error transfer_fill(const struct copy_snapshot *snapshot, struct zone_fill *fill)
{
	char source[SOURCE_SIZE] = "transfer of ";
	enum td_error error;

	if (!snapshot)
		return policy_builder_zone(fill->builder, fill->zone, fill->kind);
	name_to_text(snapshot->apex.wire, source + strlen(source));
	error = fill_from(snapshot, source, fill);
	return error ? fail(fill, error) : TD_OK;
}
