/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages lie behind each other as a person went from a ranking to a client, from there to a name,
 * and so on; each remembers its order, search and row, so that going back finds it as it was left.
 * A search that is typed takes every character; Enter keeps it, Escape drops it.
 */
#include "resolver/control/top_state.h"

#include <string.h>

/* The figure by which each view is a ranking. */
static size_t first_column(enum top_view view)
{
	return view == TOP_CLIENTS ? 1 : view == TOP_WATCHED ? 2 : 0;
}

static struct top_page *page_of(struct top_state *state)
{
	return &state->pages[state->depth - 1];
}

const struct top_page *top_state_page(const struct top_state *state)
{
	return &state->pages[state->depth - 1];
}

static void page_init(struct top_page *page, enum top_view view, const char *of)
{
	*page = (struct top_page){.view = view, .column = first_column(view)};
	strncpy(page->of, of, sizeof(page->of) - 1);
}

void top_state_init(struct top_state *state, const struct top_wish *wish)
{
	*state = (struct top_state){
		.depth = 1, .visible = 1, .days = wish->days, .limit = wish->limit};
	page_init(&state->pages[0], wish->view, "");
}

void top_state_wish(const struct top_state *state, struct top_wish *wish)
{
	const struct top_page *page = top_state_page(state);

	*wish = (struct top_wish){
		.view = page->view,
		.of = *page->of ? page->of : NULL,
		.limit = state->limit,
		.days = state->days,
		.column = page->column,
		.ascending = page->ascending,
		.search = page->search,
	};
}

void top_state_fit(struct top_state *state, const struct top_table *table)
{
	struct top_page *page = page_of(state);
	size_t visible = state->visible ? state->visible : 1;

	if (page->selected >= table->count)
		page->selected = table->count ? table->count - 1 : 0;
	if (page->first > page->selected)
		page->first = page->selected;
	if (page->first + visible <= page->selected)
		page->first = page->selected - visible + 1;
	if (page->first + visible > table->count)
		page->first = table->count > visible ? table->count - visible : 0;
}

/* --- what keys do --- */

static void go_to(struct top_state *state, enum top_view view)
{
	state->depth = 1;
	page_init(&state->pages[0], view, "");
	state->changes++;
}

static void open_row(struct top_state *state, const struct top_table *table)
{
	const struct top_page *page = page_of(state);
	const struct top_row *row;

	if (!table || page->selected >= table->count)
		return;
	row = &table->rows[page->selected];
	if (row->opens == TOP_NOTHING || strlen(row->of) >= sizeof(page->of))
		return;
	if (state->depth == TOP_DEPTH_MAX) {
		memmove(&state->pages[1], &state->pages[2],
			(TOP_DEPTH_MAX - 2) * sizeof(state->pages[0]));
		state->depth--;
	}
	page_init(&state->pages[state->depth++], row->opens, row->of);
	state->changes++;
}

static void go_back(struct top_state *state)
{
	struct top_page *page = page_of(state);

	if (*page->search)
		*page->search = '\0';
	else if (state->depth > 1)
		state->depth--;
	else
		return;
	state->changes++;
}

static void sort_next(struct top_state *state, const struct top_table *table)
{
	struct top_page *page = page_of(state);

	if (!table || !table->column_count)
		return;
	page->column = (page->column + 1) % table->column_count;
	page->ascending = !top_kind_descends(table->columns[page->column].kind);
	state->changes++;
}

static void move(struct top_state *state, int key, size_t count)
{
	size_t *selected = &page_of(state)->selected, step = 1;

	if (key == TOP_KEY_PAGE_UP || key == TOP_KEY_PAGE_DOWN)
		step = state->visible > 1 ? state->visible - 1 : 1;
	if (key == TOP_KEY_HOME)
		*selected = 0;
	else if (key == TOP_KEY_END)
		*selected = count ? count - 1 : 0;
	else if (key == TOP_KEY_UP || key == TOP_KEY_PAGE_UP)
		*selected = *selected > step ? *selected - step : 0;
	else
		*selected += step;
}

static void type_search(struct top_state *state, int key)
{
	struct top_page *page = page_of(state);
	size_t length = strlen(page->search);

	if (key == TOP_KEY_OPEN || key == TOP_KEY_BACK)
		state->searching = false;
	if (key == TOP_KEY_BACK)
		*page->search = '\0';
	else if (key == TOP_KEY_ERASE && length)
		page->search[length - 1] = '\0';
	else if (key > ' ' && key < 0x7f && length + 1 < sizeof(page->search))
		memcpy(page->search + length, (char[]){(char)key, '\0'}, 2);
	else
		return;
	page->selected = 0;
	state->changes++;
}

static void command(struct top_state *state, int key, const struct top_table *table)
{
	switch (key) {
	case 'q':
	case 'Q':
		state->ended = true;
		break;
	case '?':
	case 'h':
		state->help = true;
		break;
	case ' ':
		state->paused = !state->paused;
		break;
	case 's':
		sort_next(state, table);
		break;
	case 'r':
		page_of(state)->ascending = !page_of(state)->ascending;
		state->changes++;
		break;
	case '/':
		state->searching = true;
		break;
	case TOP_KEY_OPEN:
		open_row(state, table);
		break;
	case TOP_KEY_BACK:
	case TOP_KEY_ERASE:
		go_back(state);
		break;
	case TOP_KEY_NEXT:
		go_to(state, (enum top_view)((state->pages[0].view + 1) % TOP_RANKINGS));
		break;
	default:
		if (key >= '1' && key < '1' + TOP_RANKINGS)
			go_to(state, (enum top_view)(key - '1'));
		else if (key >= TOP_KEY_UP && key <= TOP_KEY_END)
			move(state, key, table ? table->count : 0);
	}
}

void top_state_key(struct top_state *state, int key, const struct top_table *table)
{
	if (state->help)
		state->help = false;
	else if (state->searching)
		type_search(state, key);
	else
		command(state, key, table);
	if (table)
		top_state_fit(state, table);
}
