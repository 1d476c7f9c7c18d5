/* SPDX-License-Identifier: BSD-3-Clause */
/* The screen of `teredown top` without a terminal: what keys do, and how rows are sorted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "resolver/control/top_state.h"

static struct top_row rows[100];

/* A table of count clients with figures that repeat: n % 7. */
static struct top_table table_of(size_t count)
{
	static char names[100][16];
	struct top_table table = {.rows = rows, .count = count, .total = count, .notes = ""};

	top_table_column(&table, "CLIENT", "client", TOP_TEXT);
	top_table_column(&table, "QUERIES", "queries", TOP_NUMBER);
	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "Host-%02zu", i);
		rows[i] = (struct top_row){.opens = TOP_CLIENT, .of = names[i], .json = ""};
		rows[i].cells[0] = top_cell_text(names[i]);
		rows[i].cells[1] = top_cell_number(i % 7);
	}
	return table;
}

static struct top_state state_of(enum top_view view)
{
	const struct top_wish wish = {.view = view, .limit = 50, .days = 1};
	struct top_state state;

	top_state_init(&state, &wish);
	state.visible = 10;
	return state;
}

static struct top_wish wish_of(const struct top_state *state)
{
	struct top_wish wish;

	top_state_wish(state, &wish);
	return wish;
}

static void press(struct top_state *state, const char *keys, const struct top_table *table)
{
	for (; *keys; keys++)
		top_state_key(state, *keys, table);
}

/* Equal rows stay in the order they had; the other direction is not their mirror. */
static void test_sort_is_stable(void **context)
{
	(void)context;
	for (size_t count = 0; count <= 100; count += 11) {
		struct top_table table = table_of(count);
		for (int ascending = 0; ascending < 2; ascending++) {
			assert_true(top_table_sort(&table, 0, true));
			assert_true(top_table_sort(&table, 1, ascending));
			for (size_t i = 1; i < count; i++) {
				uint64_t a = rows[i - 1].cells[1].number,
					 b = rows[i].cells[1].number;
				assert_true(ascending ? a <= b : a >= b);
				if (a == b)
					assert_true(strcmp(rows[i - 1].of, rows[i].of) < 0);
			}
		}
	}
}

static void test_empty_cells_come_last(void **context)
{
	struct top_table table = table_of(10);

	(void)context;
	rows[0].cells[1].empty = rows[5].cells[1].empty = true;
	for (int ascending = 0; ascending < 2; ascending++) {
		assert_true(top_table_sort(&table, 1, ascending));
		assert_true(rows[8].cells[1].empty && rows[9].cells[1].empty);
		assert_false(rows[7].cells[1].empty);
	}
}

static void test_search(void **context)
{
	struct top_table table = table_of(100);

	(void)context;
	top_table_search(&table, "hOST-4");
	assert_int_equal(table.count, 10);
	assert_int_equal(table.matching, 10);
	assert_int_equal(table.total, 100);
	top_table_search(&table, "nothing");
	assert_int_equal(table.count, 0);
}

static void test_drill_and_back(void **context)
{
	struct top_state state = state_of(TOP_CLIENTS);
	struct top_table table = table_of(20);
	unsigned before = state.changes;

	(void)context;
	top_state_key(&state, TOP_KEY_DOWN, &table);
	top_state_key(&state, 's', &table);
	top_state_key(&state, TOP_KEY_OPEN, &table);
	assert_int_equal(wish_of(&state).view, TOP_CLIENT);
	assert_string_equal(wish_of(&state).of, "Host-01");
	assert_true(state.changes > before);
	top_state_key(&state, TOP_KEY_BACK, &table);
	assert_int_equal(wish_of(&state).view, TOP_CLIENTS);
	assert_null(wish_of(&state).of);
	assert_int_equal(top_state_page(&state)->selected, 1);
	assert_int_equal(wish_of(&state).column, 0); /* the last sort, as it was left */
	top_state_key(&state, TOP_KEY_BACK, &table);
	assert_int_equal(state.depth, 1);
}

/* However deep, the ranking stays below, and what is open is what was opened last. */
static void test_depth_is_bounded(void **context)
{
	struct top_state state = state_of(TOP_WATCHED);
	struct top_table table = table_of(50);

	(void)context;
	for (size_t i = 0; i < 3 * TOP_DEPTH_MAX; i++) {
		state.pages[state.depth - 1].selected = i % table.count;
		top_state_key(&state, TOP_KEY_OPEN, &table);
		assert_string_equal(wish_of(&state).of, rows[i % table.count].of);
	}
	assert_int_equal(state.depth, TOP_DEPTH_MAX);
	for (size_t i = 0; i < TOP_DEPTH_MAX; i++)
		top_state_key(&state, TOP_KEY_BACK, &table);
	assert_int_equal(wish_of(&state).view, TOP_WATCHED);
}

static void test_nothing_to_open(void **context)
{
	struct top_state state = state_of(TOP_CLIENTS);
	struct top_table table = table_of(1);

	(void)context;
	rows[0].opens = TOP_NOTHING;
	top_state_key(&state, TOP_KEY_OPEN, &table);
	top_state_key(&state, TOP_KEY_OPEN, NULL);
	table.count = 0;
	top_state_key(&state, TOP_KEY_OPEN, &table);
	assert_int_equal(state.depth, 1);
}

/* Wherever keys lead, the selected row is one of the table and on the screen. */
static void test_selection_stays_on_the_screen(void **context)
{
	static const int keys[] = {TOP_KEY_DOWN, TOP_KEY_PAGE_DOWN, TOP_KEY_END, TOP_KEY_UP,
		TOP_KEY_PAGE_UP, TOP_KEY_HOME};
	struct top_state state = state_of(TOP_NAMES);
	unsigned random = 7;

	(void)context;
	for (int i = 0; i < 5000; i++) {
		random = random * 1103515245 + 12345;
		struct top_table table = table_of(random >> 16 & 63);
		state.visible = 1 + (random >> 8 & 31);
		top_state_key(&state, keys[(random >> 4) % 6], &table);
		const struct top_page *page = top_state_page(&state);
		assert_true(page->selected < table.count || page->selected == 0);
		assert_true(page->first <= page->selected);
		assert_true(page->selected < page->first + state.visible);
	}
}

static void test_typing_a_search(void **context)
{
	struct top_state state = state_of(TOP_CLIENTS);
	struct top_table table = table_of(3);

	(void)context;
	press(&state, "/q1", &table);
	assert_false(state.ended);
	assert_string_equal(wish_of(&state).search, "q1");
	top_state_key(&state, TOP_KEY_ERASE, &table);
	top_state_key(&state, TOP_KEY_OPEN, &table);
	assert_false(state.searching);
	assert_string_equal(wish_of(&state).search, "q");
	top_state_key(&state, TOP_KEY_BACK, &table);
	assert_string_equal(wish_of(&state).search, "");
	press(&state, "/", &table);
	for (int i = 0; i < 200; i++)
		press(&state, "x", &table);
	assert_int_equal(strlen(wish_of(&state).search), TOP_SEARCH_MAX - 1);
	top_state_key(&state, TOP_KEY_BACK, &table);
	assert_string_equal(wish_of(&state).search, "");
	press(&state, "q", &table);
	assert_true(state.ended);
}

static void test_rankings_by_number_and_tab(void **context)
{
	struct top_state state = state_of(TOP_RULES);
	struct top_table table = table_of(3);

	(void)context;
	top_state_key(&state, TOP_KEY_NEXT, &table);
	assert_int_equal(wish_of(&state).view, TOP_CLIENTS);
	assert_int_equal(wish_of(&state).column, 1);
	press(&state, "3", &table);
	assert_int_equal(wish_of(&state).view, TOP_WATCHED);
	press(&state, "5", &table);
	assert_int_equal(wish_of(&state).view, TOP_WATCHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sort_is_stable),
		cmocka_unit_test(test_empty_cells_come_last),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_drill_and_back),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_nothing_to_open),
		cmocka_unit_test(test_selection_stays_on_the_screen),
		cmocka_unit_test(test_typing_a_search),
		cmocka_unit_test(test_rankings_by_number_and_tab),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
