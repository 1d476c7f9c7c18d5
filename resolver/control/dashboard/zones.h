/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy zones as the dashboard knows them: what the daemon beside us says of their modes, else
 * what the configuration names, and the hits that Redis holds. Results live in the arena of the
 * command line. One thread.
 */
#pragma once

#include "resolver/control/cli.h"

#define ZONE_CLIENTS_READ 10000 /* whose hits are summed one by one */
#define ZONE_CLIENTS_FEW 2000   /* the same, of one resolver: it knows how many there are */

struct zone_state {
	const char *zone;
	const char *kind;           /* "tunnel", "list", "local" */
	const char *mode;           /* "watch", …, "always"; NULL unknown, and the next ones */
	const char *from;           /* "configuration", "schedule", "command", "always", "zone" */
	const char *user;           /* of a command; NULL none */
	const char *via; /* of one that a program asked for: "dashboard/192.0.2.1"; NULL none */
	const char *state;          /* "ok", "old", "empty", "unknown" */
	int64_t until_ms, since_ms; /* 0 none */
	int64_t rules;              /* -1 unknown */
};

/* A group's mode of a zone. */
struct zone_cell {
	const char *group;
	struct zone_state state;
};

struct zones {
	struct zone_state *rows; /* in the order of the policy */
	size_t count;
	struct zone_cell *cells; /* by zone, then group */
	size_t cell_count;
	const char **groups;
	size_t group_count;
	bool known;        /* the daemon has answered */
	enum control_outcome outcome; /* of asking it; CONTROL_SILENT where it was not asked */
	const char *words; /* why it has not; "" where it has */
};

/* Asks the daemon, or with asked false takes the configuration. TD_NOMEM only. */
enum td_error zones_load(struct cli *cli, bool asked, struct zones *out);
const struct zone_state *zones_find(const struct zones *zones, const char *zone);

/* The group of a client by what the daemon has in force: "" in none; NULL where that is not known: the
 * daemon is away, or the text does not show who it is (a pseudonym). */
const char *zones_group_of(struct cli *cli, const struct zones *zones, const char *client);
/* The mode of a zone for who is in that group; NULL where it is not known, or differs by a group that
 * is not. */
const char *zones_mode_for(const struct zones *zones, const char *zone, const char *group);

/* "mode":…,"from":…,"until":…: members of an object, null where nothing is known. */
void zone_mode_json(const struct zone_state *state, struct strbuf *out);

/* What a zone has seen. */
struct zone_totals {
	uint64_t clients; /* that are known one by one */
	uint64_t hits;    /* of all of them, and of those that a bound took */
	int64_t last_ms;  /* 0 never, or unknown */
	bool at_least; /* there are more clients than were read: it is the most of one resolver */
};
enum td_error zone_totals_load(
	struct cli *cli, struct fleet *fleet, const char *zone, struct zone_totals *out);

/* cli_ask with what it explains on stderr as one sentence in words, which cli's arena keeps ("" for
 * CONTROL_OK). The caller frees answer in any case. */
enum control_outcome zones_ask(struct cli *cli, unsigned count, const char *const request[],
	struct control_answer *answer, const char **words);
