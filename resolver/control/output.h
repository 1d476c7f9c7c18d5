/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text for people and for programs, appended to a strbuf that the command line writes out at once.
 * Everything that came from Redis, the daemon or the network goes through output_text, a grid's
 * cell or strbuf_json_*: none of it reaches a terminal raw.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"

/* Appends text with every byte outside 0x20..0x7e as \ddd (decimal, as in presentation format). */
void output_text(struct strbuf *out, const char *text);

/* "2026-11-21 20:52:11", local time; "never" for 0. */
void output_time(struct strbuf *out, int64_t wall_ms);
/* "3 min ago", "just now"; "in the future" when the clocks differ. */
void output_ago(struct strbuf *out, int64_t now_ms, int64_t wall_ms);
/* "45 s", "3 min", "2 h 5 min", "7 d 3 h". */
void output_span(struct strbuf *out, int64_t seconds);
/* "18 us", "2.4 ms", "1.7 s". */
void output_duration(struct strbuf *out, uint64_t microseconds);
/* "1.2 MiB". */
void output_bytes(struct strbuf *out, uint64_t bytes);
/* "1 client", "2 clients": the plural is one with an s. */
void output_count(struct strbuf *out, uint64_t count, const char *one);

/* JSON beyond strbuf_json_*: a comma where one is due before the next item of an array; a time as
 * RFC 3339, or null for 0. */
void output_json_next(struct strbuf *out);
void output_json_time(struct strbuf *out, const char *key, int64_t wall_ms);

/* Colours, only where the caller found a terminal. */
enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW };
void output_style(struct strbuf *out, bool colour, enum style style);

/*
 * Rows of cells in aligned columns. Cells are added row by row, from left to right, and escaped on
 * the way in. A column is as wide as its widest cell, up to 60; what is longer is shown whole and
 * only pushes its own row.
 */
#define GRID_COLUMNS_MAX 16

struct grid {
	struct strbuf text; /* cells, each ended by NUL */
	size_t columns;
	size_t cells;
	const char *headers[GRID_COLUMNS_MAX];
	bool right[GRID_COLUMNS_MAX]; /* numbers */
};

/* headers: one string, columns separated by '|', GRID_COLUMNS_MAX at most; a header that starts
 * with '>' is aligned to the right. It must stay. */
void grid_init(struct grid *grid, const char *headers);
void grid_deinit(struct grid *grid);
void grid_cell(struct grid *grid, const char *text);
void grid_cell_u64(struct grid *grid, uint64_t value);
void grid_cell_time(struct grid *grid, int64_t wall_ms);
/* Header, then rows, each after indent spaces. Nothing when there are no rows. */
void grid_print(const struct grid *grid, struct strbuf *out, unsigned indent, bool colour);
