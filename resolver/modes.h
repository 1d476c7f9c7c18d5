/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes that were changed by command: of a zone, for everybody or for one group of clients, with or
 * without an end. They go before the configuration and its schedules until they end or are taken
 * back; one with an end goes before one without, which applies again afterwards. Also over a
 * restart: the table can be written as text and read again. Zones and groups are
 * known by name, because their numbers are others after a reload. Reads no clock; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "policy/policy.h"

/* One with and one without an end for each group and zone. */
#define MODES_MAX (2 * POLICY_GROUPS_MAX * POLICY_ZONES_MAX)
#define MODE_USER_MAX 33                                 /* a user's name with its NUL */
#define MODE_VIA_MAX 130                                 /* "dashboard/192.0.2.1", with its NUL */
#define MODE_FOR_MAX_S (INT64_C(366) * 86400) /* the longest time that can be asked for */

struct mode_change {
	char zone[POLICY_ZONE_NAME_MAX];
	char group[POLICY_ZONE_NAME_MAX]; /* "": everybody, but for groups with a mode of their own
					   */
	enum policy_mode mode;
	int64_t since_s, until_s; /* seconds since 1970; until 0: no end */
	unsigned uid;             /* of who changed it */
	char user[MODE_USER_MAX]; /* his name; "" where it is not known, or has other than printable
				     characters */
	char via[MODE_VIA_MAX];   /* the program that asked on somebody's behalf, and the address from
				     where: letters, digits and a few signs; "" none */
};

struct modes {
	struct mode_change *items; /* in no order */
	size_t count, capacity;
};

void modes_init(struct modes *modes);
void modes_deinit(struct modes *modes);

/*
 * One without an end takes the place of whatever there is for the same zone and group; one with an
 * end that of another with an end. TD_FULL, TD_NOMEM: nothing is changed.
 */
enum td_error modes_set(struct modes *modes, const struct mode_change *change);

/* The one in force. NULL: there is none. Until the next change. */
const struct mode_change *modes_find(
	const struct modes *modes, const char *zone, const char *group);

/* Removes number i; those behind it move up. */
void modes_remove(struct modes *modes, size_t i);

/* Takes one out that has ended by now. False: there is none. */
bool modes_take_ended(struct modes *modes, int64_t now_s, struct mode_change *out);

/* When the next one ends; INT64_MAX: none does. */
int64_t modes_next_end(const struct modes *modes);

/* --- as text, for a file --- */

#define MODES_TEXT_MAX (2 << 20) /* octets of such a file that are read */

void modes_write(const struct modes *modes, struct strbuf *out);

/*
 * Into modes, which is empty. TD_MALFORMED: something is wrong or missing in the text, *why says
 * what, and modes stays empty; TD_NOMEM.
 */
enum td_error modes_read(struct modes *modes, const char *text, size_t size, const char **why);
