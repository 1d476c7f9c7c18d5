/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: cuts master file text (RFC 1035, 5.1) into logical lines: comments removed,
 * what parentheses hold together joined, quoted strings kept as they are. Linear in the size of the
 * text, whatever it holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/strbuf.h"
#include "policy/input.h"

struct lines {
	struct input *input;
	const char *text; /* what comes next, as far as it was looked at */
	size_t size;
	unsigned count;     /* physical lines stepped over */
	struct strbuf join; /* what a logical line is joined in; `failed` when memory ran out */
};

struct logical_line {
	const char *text; /* not terminated; until the next call */
	size_t length;
	unsigned number;   /* of its first physical line, from 1 */
	const char *fault; /* NULL, or what is wrong; only the first physical line was stepped over
			      then */
};

void lines_init(struct lines *lines, struct input *input);
void lines_deinit(struct lines *lines);

/* False at the end. */
bool lines_next(struct lines *lines, struct logical_line *out);

/*
 * The next physical line as it stands, not stepped over: for whoever needs no more of most of them.
 * lines_take then steps over it; lines_next begins with it anew. False at the end.
 */
bool lines_look(struct lines *lines, const char **text, size_t *length);
void lines_take(struct lines *lines, size_t length);
