/* SPDX-License-Identifier: BSD-3-Clause */
/* Destinations of dropped packets, and who and what is behind them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "resolver/control/drop_member.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/pair_index.h"
#include "resolver/control/words.h"

struct drops_client {
	const char *client;
	uint64_t drops;
	const char **names; /* for which it was told the destination */
	size_t name_count;
};

struct drops_destination {
	const char *address;
	uint64_t drops, udp3544, proto41;
	uint64_t lookups;             /* how often it was told in that time */
	struct drops_client *clients; /* most drops first */
	size_t client_count;
	const char **names; /* for which anyone was told it, sorted */
	size_t name_count;
	const char **logged; /* names for which logs of other DNS servers say it was told, sorted */
	size_t logged_count;
	bool log_ambiguous; /* such a log leaves open who was told some of them */
	bool hard_coded;    /* told to nobody, here or by these logs, as long as that is kept */
	bool others_only;   /* told, but to none of these clients */
};

struct drops {
	struct arena *arena;
	struct fleet *fleet;
	struct reader_span hours;
	struct drops_destination
		*rows; /* most drops first; all of them, details of the first only */
	size_t count;
	uint64_t total, others; /* packets; those whose destination a bound took */
	bool cut;               /* there is more than was read */
};

/* Reads what was dropped in these hours, and for the first `detailed` rows who and what is behind
 * them. Results are the arena's. */
enum td_error drops_load(struct drops *drops, size_t detailed);
