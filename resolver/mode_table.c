/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every cell is made from what is known at the moment and remembered nowhere, so a reload, a
 * command and a schedule cannot undo each other: whoever makes a policy fills the table anew.
 */
#include "resolver/mode_table.h"

#include <string.h>

#define MINUTE_S 60

const char *mode_origin_name(enum mode_origin origin)
{
	static const char *const names[] = {[MODE_CONFIGURED] = "configuration",
		[MODE_SCHEDULED] = "schedule",
		[MODE_COMMANDED] = "command",
		[MODE_OF_ZONE] = "zone"};

	return names[origin];
}

const char *mode_table_group_name(const struct options *options, size_t group)
{
	return group ? options->groups[group - 1].name : "";
}

bool mode_table_find_group(const struct options *options, const char *name, size_t *group)
{
	for (*group = 0; *group <= options->group_count; (*group)++)
		if (strcmp(mode_table_group_name(options, *group), name) == 0)
			return true;
	return false;
}

static const struct zone_options *find_zone(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->zone_count; i++)
		if (strcmp(options->zones[i].name, name) == 0)
			return &options->zones[i];
	return NULL;
}

static const struct group_zone_options *find_group_zone(
	const struct options *options, size_t group, const char *zone)
{
	const struct group_options *of = &options->groups[group - 1];

	for (size_t i = 0; i < of->zone_count; i++)
		if (strcmp(of->zones[i].zone, zone) == 0)
			return &of->zones[i];
	return NULL;
}

/* What was set by command or follows from the schedule. False: neither. */
static bool is_set(struct mode_cell *cell, const struct modes *modes, const char *zone,
	const char *group, unsigned minute)
{
	cell->change = modes_find(modes, zone, group);
	if (cell->change) {
		cell->mode = cell->change->mode;
		cell->origin = MODE_COMMANDED;
		return true;
	}
	cell->origin = MODE_SCHEDULED;
	return cell->schedule && schedule_mode(cell->schedule, minute, &cell->mode);
}

static struct mode_cell zone_cell(
	const struct options *options, const struct modes *modes, const char *name, unsigned minute)
{
	const struct zone_options *zone = find_zone(options, name);
	struct mode_cell cell = {.mode = MODE_IGNORE};

	if (zone && zone->schedule.count)
		cell.schedule = &zone->schedule;
	if (is_set(&cell, modes, name, "", minute))
		return cell;
	cell.origin = MODE_CONFIGURED;
	cell.mode = zone ? zone->mode : MODE_IGNORE;
	return cell;
}

static struct mode_cell find_cell(const struct options *options, const struct modes *modes,
	const char *name, size_t group, unsigned minute)
{
	if (group == 0)
		return zone_cell(options, modes, name, minute);
	const struct group_zone_options *zone = find_group_zone(options, group, name);
	struct mode_cell cell = {.mode = MODE_IGNORE};

	if (zone && zone->schedule.count)
		cell.schedule = &zone->schedule;
	if (is_set(&cell, modes, name, mode_table_group_name(options, group), minute))
		return cell;
	if (zone && zone->has_mode) {
		cell.origin = MODE_CONFIGURED;
		cell.mode = zone->mode;
		return cell;
	}
	cell.origin = MODE_OF_ZONE;
	cell.mode = zone_cell(options, modes, name, minute).mode;
	return cell;
}

struct mode_cell mode_table_cell(const struct options *options, const struct modes *modes,
	const char *zone, size_t group, int64_t now_s)
{
	return find_cell(options, modes, zone, group, schedule_minute((time_t)now_s));
}

static int64_t cell_until(const struct mode_cell *cell, int64_t now_s)
{
	if (cell->change)
		return cell->change->until_s ? cell->change->until_s : INT64_MAX;
	return cell->schedule ? schedule_next_change(cell->schedule, now_s) : INT64_MAX;
}

int64_t mode_table_until(const struct options *options, const struct modes *modes, const char *zone,
	size_t group, int64_t now_s)
{
	struct mode_cell cell = mode_table_cell(options, modes, zone, group, now_s);
	int64_t own_s = cell_until(&cell, now_s), zone_s;

	if (cell.origin != MODE_OF_ZONE)
		return own_s;
	cell = mode_table_cell(options, modes, zone, 0, now_s);
	zone_s = cell_until(&cell, now_s);
	return zone_s < own_s ? zone_s : own_s;
}

void mode_table_fill(const struct options *options, const struct modes *modes,
	const struct policy_index *index, int64_t now_s,
	uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX])
{
	unsigned minute = schedule_minute((time_t)now_s);

	memset(mode, MODE_IGNORE, POLICY_GROUPS_MAX * sizeof(mode[0]));
	for (size_t group = 0; group <= options->group_count; group++)
		for (size_t zone = 0; zone < policy_zone_count(index); zone++)
			mode[group][zone] = (uint8_t)find_cell(
				options, modes, policy_zone_name(index, zone), group, minute)
						    .mode;
}

static bool has_schedules(const struct options *options)
{
	for (size_t i = 0; i < options->zone_count; i++)
		if (options->zones[i].schedule.count)
			return true;
	for (size_t i = 0; i < options->group_count; i++)
		for (size_t k = 0; k < options->groups[i].zone_count; k++)
			if (options->groups[i].zones[k].schedule.count)
				return true;
	return false;
}

int64_t mode_table_next(const struct options *options, const struct modes *modes, int64_t now_s)
{
	int64_t next = modes_next_end(modes);
	int64_t minute = (now_s / MINUTE_S + 1) * MINUTE_S;

	return has_schedules(options) && minute < next ? minute : next;
}
