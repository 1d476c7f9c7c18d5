/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts as bars in a terminal: a row a bucket, a column a series, each with its number and a bar.
 * All bars have one scale, so that columns can be compared with each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "resolver/control/output.h"

struct chart_column {
	const char *group; /* in a line above, over all columns in a row that have it; NULL: none */
	const char *header; /* both are escaped on the way out, and cut to their place */
	enum style style;   /* of its bars */
};

struct chart {
	const struct chart_column *columns;
	size_t column_count; /* at least 1 */
	size_t rows;
	const uint64_t *counts; /* row * column_count + column */
	void (*label)(const void *context, size_t row, char out[40]); /* printable ASCII */
	const void *context;
	unsigned width;   /* of the terminal, in cells */
	bool logarithmic; /* bars grow with the logarithm of the count plus one */
	bool unicode;     /* eighths of blocks, else '#' */
	bool colour;
};

/* A header, the rows, and a line with the sums. From four rows on, rows in a row without anything
 * are one line that says how many. Where there is no place for bars, or for the terminal's width,
 * the numbers stand all the same. */
void chart_print(const struct chart *chart, struct strbuf *out);

/* How many columns with bars fit beside labels of this length. At least 1. */
size_t chart_columns_max(unsigned width, size_t label_length);

/* The locale of the environment (LC_ALL, LC_CTYPE, LANG) is one of UTF-8. */
bool chart_locale_is_utf8(void);
/* Of the terminal behind fd, else COLUMNS, else 80; from 20 to 1000. */
unsigned chart_terminal_width(int fd);
