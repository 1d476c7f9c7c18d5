/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes by the time of the week: "mon-fri 20:00-07:00 block". Days and times are what the clock on
 * the wall shows in the system's time zone: an hour that comes twice (the end of summer time) is
 * twice what it is, one that is left out is nothing. A span over midnight belongs to the day on
 * which it begins. Nothing here reads a clock; any thread, after tzset(3).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "policy/policy.h"

#define SCHEDULE_RULES_MAX 16
#define SCHEDULE_TEXT_MAX 64 /* of a rule, with its NUL */

struct schedule_rule {
	uint8_t days;      /* bit 0: Monday … bit 6: Sunday */
	uint16_t from, to; /* minutes of the day; to is 1440 at most, and on the next day unless it
			      is above from */
	enum policy_mode mode;
};

struct schedule {
	struct schedule_rule rules[SCHEDULE_RULES_MAX]; /* the first that fits counts */
	unsigned count;
};

/* "[DAYS] HH:MM-HH:MM MODE", DAYS being "daily", "mon", "mon-fri", "sat,sun" and such. False: *why
 * says what was expected. */
bool schedule_rule_from_text(struct schedule_rule *out, const char *text, const char **why);

/* The same in one form only; out holds SCHEDULE_TEXT_MAX. */
void schedule_rule_to_text(const struct schedule_rule *rule, char *out);

/* The minute of the week that the clock on the wall shows: 0 is Monday, 00:00. */
unsigned schedule_minute(time_t when);

/* The mode in such a minute; false, *mode unchanged, when no rule fits. */
bool schedule_mode(const struct schedule *schedule, unsigned minute, enum policy_mode *mode);

/* When schedule_mode says something else for the first time after `when`; INT64_MAX: never. */
int64_t schedule_next_change(const struct schedule *schedule, int64_t when);
