/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mode of every zone for every group at one moment: what a command set (modes.h), else what the
 * configuration's schedule says, else its mode. A group for which none of these says anything about
 * a zone has that zone's mode. Reads no clock; main thread, after tzset(3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/modes.h"
#include "resolver/options.h"

enum mode_origin {
	MODE_CONFIGURED, /* "configuration" */
	MODE_SCHEDULED,  /* "schedule" */
	MODE_COMMANDED,  /* "command" */
	MODE_OF_ZONE,    /* "zone": a group without a mode of its own */
};
const char *mode_origin_name(enum mode_origin origin);

struct mode_cell {
	enum policy_mode mode;
	enum mode_origin origin;
	const struct mode_change *change; /* MODE_COMMANDED, until modes change; else NULL */
	const struct schedule *schedule;  /* of zone or group, what ever it says now; NULL: none */
};

/* group: 0 for everybody, else a number of options->groups from 1 on. */
struct mode_cell mode_table_cell(const struct options *options, const struct modes *modes,
	const char *zone, size_t group, int64_t now_s);

/* When this cell may be another by itself, which has the modes of now; INT64_MAX: never. */
int64_t mode_table_until(const struct options *options, const struct modes *modes, const char *zone,
	size_t group, int64_t now_s);

/* All of them, by the zones of an index. */
void mode_table_fill(const struct options *options, const struct modes *modes,
	const struct policy_index *index, int64_t now_s,
	uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX]);

/* "" for 0. */
const char *mode_table_group_name(const struct options *options, size_t group);

/* False: there is no such group. "" is 0. */
bool mode_table_find_group(const struct options *options, const char *name, size_t *group);

/*
 * When the table has to be looked at again: at the end of a change, and with schedules, which begin
 * and end with minutes, at the next whole one; INT64_MAX: never by itself.
 */
int64_t mode_table_next(const struct options *options, const struct modes *modes, int64_t now_s);
