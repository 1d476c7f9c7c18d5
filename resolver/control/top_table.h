/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `teredown top` shows, as a table that is printed, written as JSON or drawn: columns, rows,
 * and what each row leads to. Passive; texts and rows live in the arena of who made it, and come
 * from Redis as they are: who shows them escapes them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"

#define TOP_COLUMNS_MAX 8

enum top_view {
	TOP_CLIENTS,
	TOP_NAMES,
	TOP_WATCHED,
	TOP_RULES,
	TOP_RANKINGS, /* so many of them can be asked for; the others are what a row leads to */
	TOP_CLIENT = TOP_RANKINGS, /* the names that a client asked */
	TOP_NAME,                  /* the clients that asked a name */
	TOP_NOTHING
};

enum top_kind { TOP_TEXT, TOP_NUMBER, TOP_TIME };

struct top_column {
	const char *header;
	const char *key; /* its member in JSON; NULL: it is in top_row.json */
	enum top_kind kind;
};

struct top_cell {
	const char *text;
	uint64_t number; /* or a time, Unix ms, 0 unknown */
	bool empty;
};

struct top_row {
	struct top_cell cells[TOP_COLUMNS_MAX];
	enum top_view opens; /* TOP_NOTHING */
	const char *of;      /* the client or the name it leads to */
	const char *json;    /* further members of its object; "" for none */
};

struct top_table {
	struct top_column columns[TOP_COLUMNS_MAX];
	size_t column_count;
	struct top_row *rows;
	size_t count;
	uint64_t total;    /* rows there are, of which these are the first */
	uint64_t matching; /* of these those that were searched for */
	size_t sorted;     /* by this column */
	bool ascending;
	bool whole;        /* it is sorted and searched already, over all there is */
	bool exact;        /* else a row further down could belong higher up */
	const char *notes; /* lines about what it is of; "" for none */
};

/* A table of so many rows without columns, all cells empty. False: out of memory. */
bool top_table_init(struct top_table *table, struct arena *arena, size_t count);
void top_table_column(
	struct top_table *table, const char *header, const char *key, enum top_kind kind);

struct top_cell top_cell_text(const char *text); /* NULL and "": an empty one */
struct top_cell top_cell_number(uint64_t number);
struct top_cell top_cell_time(int64_t wall_ms); /* 0: an empty one */

/* By this column; rows that are equal there stay in the order they had. False: out of memory, and
 * nothing has changed. */
bool top_table_sort(struct top_table *table, size_t column, bool ascending);

/* Keeps the rows that have text in a cell, without regard to case; "" keeps all. */
void top_table_search(struct top_table *table, const char *text);

/* Whether a higher value is the more interesting one: so it is with numbers and times. */
bool top_kind_descends(enum top_kind kind);
