/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In which policy zone a watched name lies. Redis counts names of an hour without the zone, because
 * that is what the daemon decided and the rules of a zone change; so it is found out here, from
 * what was really hit: the rules with hits, then the stream of transactions, then the daemon's own
 * decision. What was found is kept for all threads, bounded.
 */
#pragma once

#include "resolver/control/cli.h"

#define NAME_ZONES_ASKED_MAX 20 /* names about which the daemon is asked for one answer */

struct name_zones;

struct name_zones *name_zones_new(size_t names_max); /* NULL: out of memory */
void name_zones_free(struct name_zones **zones);     /* a NULL inside is fine */

/* One question: zones[of] says for names[i] which of these zones it lies in, NAME_ZONE_NONE where
 * that is not known. */
#define NAME_ZONE_NONE UINT16_MAX
struct name_zones_question {
	const char *const *zones; /* the earlier one wins */
	size_t zone_count;        /* below NAME_ZONE_NONE */
	const char *const *names; /* folded, most important first */
	size_t name_count;
	bool ours; /* the daemon beside us may be asked */
};
/* Sets of[0 … name_count - 1]; TD_IO, TD_REFUSED, TD_NOMEM. Any thread; cli and fleet are its own.
 */
enum td_error name_zones_find(struct name_zones *zones, struct cli *cli, struct fleet *fleet,
	const struct name_zones_question *question, uint16_t *of);
