/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a person does on the screen of `teredown top`: a passive machine that is given keys and says
 * what is to be read and which rows are to be seen. It knows no terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/dns/name.h"
#include "resolver/control/top_load.h"
#include "resolver/control/top_table.h"

#define TOP_DEPTH_MAX 16  /* pages behind each other; the oldest but the first is forgotten */
#define TOP_SEARCH_MAX 64 /* with its NUL */

/* Keys that are no characters. */
enum top_key {
	TOP_KEY_UP = 0x100,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_OPEN,
	TOP_KEY_BACK,
	TOP_KEY_ERASE,
	TOP_KEY_NEXT, /* of the rankings */
};

struct top_page {
	enum top_view view;
	char of[NAME_TEXT_MAX]; /* "" for a ranking */
	size_t column;
	bool ascending;
	char search[TOP_SEARCH_MAX];
	size_t selected, first; /* row, and the first one to be seen */
};

struct top_state {
	struct top_page pages[TOP_DEPTH_MAX];
	size_t depth;   /* pages, at least one; the last one is seen */
	size_t visible; /* rows that fit; set by who draws */
	size_t days, limit;
	bool searching; /* what is typed is searched for */
	bool paused;
	bool help;
	bool ended;
	unsigned changes; /* grows whenever something else is to be read */
};

void top_state_init(struct top_state *state, const struct top_wish *wish);

/* table: what is shown of the page; NULL while there is nothing yet. */
void top_state_key(struct top_state *state, int key, const struct top_table *table);

/* Keeps the selected row within the table, and the screen around it. */
void top_state_fit(struct top_state *state, const struct top_table *table);

const struct top_page *top_state_page(const struct top_state *state);

/* What is to be read; its texts are the state's. */
void top_state_wish(const struct top_state *state, struct top_wish *wish);
