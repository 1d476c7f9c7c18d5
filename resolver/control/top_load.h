/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of `teredown top`, read from Redis into cli's arena. One thread. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "resolver/control/cli.h"
#include "resolver/control/top_table.h"

struct client_tables;

struct top_wish {
	enum top_view view;
	const char *of;     /* the client or the name; NULL for rankings */
	size_t limit, days; /* rows at most; days of names */
	/* Of TOP_CLIENTS with tables only; the others are sorted and searched as they are there. */
	size_t column;
	bool ascending;
	const char *search;
};

/* "clients", "names", "watched", "rules"; TOP_NOTHING for another word. */
enum top_view top_view_from_text(const char *text);
const char *top_view_name(enum top_view view);
/* "Clients by queries" */
const char *top_view_title(enum top_view view);

/*
 * Reads it. With tables (NULL: without) the clients are sorted and searched over all there are, and
 * kept for the next time. Fails as the functions of fleet.h do.
 */
enum td_error top_load(struct cli *cli, struct fleet *fleet, struct client_tables *tables,
	const struct top_wish *wish, struct top_table *out);
