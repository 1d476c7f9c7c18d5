/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `teredown who`: one view for an address, a name and a client each, and the tables
 * they share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "resolver/control/cli.h"

#define WHO_ADDRESSES_MAX 1000 /* of one name */
#define WHO_ASKS_MAX 200000    /* possible pairs looked up for one answer */

struct who {
	struct cli *cli;
	struct fleet *fleet;
	size_t limit; /* rows of a table */
	struct cli_coverage coverage;
	const char *word;         /* as it was given */
	char name[NAME_TEXT_MAX]; /* folded, with its final dot; "" when the word is no name */
	char address_words[ADDRESS_TEXT_MAX];
	struct address address; /* family 0 when the word is no address */
};

/*
 * Each appends its view to cli->out: text, or the members of a JSON object. found is set when there
 * is something recorded; an address or name without anything is explained, a client without
 * anything is passed over in silence.
 */
enum td_error who_show_address(struct who *who, bool *found);
enum td_error who_show_name(struct who *who, bool *found);
enum td_error who_show_client(struct who *who, const char *client, bool *found);

/* --- shared (who_parts.c) --- */

/* First, last and sum of a set of pairs; 0 for none. */
struct summary {
	int64_t first_ms, last_ms;
	uint64_t count;
};
struct summary who_summarize(const struct reader_pairs *pairs);

/* Most often told first. */
void who_sort(struct reader_pairs *pairs);

/* The different clients or names of the pairs, sorted; the array is the arena's. NULL and 0: out of
 * memory. */
const char **who_distinct(
	struct arena *arena, const struct reader_pairs *pairs, bool clients, size_t *count);

/* A bound of the store turned members away: what is listed is not all. */
bool who_has_other(const struct reader_ranks *ranks);

void who_append_bold(struct who *who, const char *text);
/* "first …, last … (3 min ago).\n" */
void who_append_period(struct who *who, const struct summary *summary);
/* A table of at most who->limit rows. headers as for grid_init; the first letter of each says
 * which: Address, Client, Name, Times, First, Last, By way of. Of a fleet each row names its
 * resolver. */
void who_append_pairs(struct who *who, const struct reader_pairs *pairs, const char *headers);
/* Members and values under a title; nothing for none. */
void who_append_ranks(
	struct who *who, const struct reader_ranks *ranks, const char *title, const char *headers);

/* Members of a JSON object: first, last, count, cut and pairs; arrays under key. */
void who_append_pairs_json(struct who *who, const struct reader_pairs *pairs);
void who_append_ranks_json(
	struct who *who, const char *key, const char *member, const struct reader_ranks *ranks);
void who_append_words_json(struct who *who, const char *key, const char **words, size_t count);
