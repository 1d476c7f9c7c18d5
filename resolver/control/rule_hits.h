/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of policy zones by hits, as Redis has them: for `top rules` and `policy list --rules`. */
#pragma once

#include "resolver/control/cli.h"
#include "resolver/control/top_table.h"

struct rule_hit {
	const char *zone, *rule; /* the rule may be "*other" */
	uint64_t hits;           /* counted for certain */
	uint64_t at_most;        /* what the bounded list may have lost of it besides included */
};

struct rule_hits {
	struct rule_hit *rows; /* most hits first */
	size_t count;
	bool exact; /* else a row further down could belong higher up */
};

/* The first limit rules of a zone, or of all zones of the configuration (NULL); in cli's arena. */
enum td_error rule_hits_load(struct cli *cli, struct fleet *fleet, const char *zone, size_t limit,
	struct rule_hits *out);

/* As a table in cli's arena. TD_NOMEM. */
enum td_error rule_hits_table(
	struct cli *cli, const struct rule_hits *hits, struct top_table *table);
