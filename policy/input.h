/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: text as readers see it, a line at a time. It is there as a whole, or comes
 * in pieces from somebody who does the I/O (struct policy_input): a list of a hundred megabytes
 * then takes a window of one. What a line points to is valid until the next call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

struct input {
	const struct policy_input *from; /* NULL: the window is all there is */
	const char *text;                /* the window */
	size_t size;
	size_t at;    /* in the window: what comes next */
	char *buffer; /* the window's, where it comes in pieces */
	size_t capacity;
	bool ended;  /* nothing comes behind the window */
	bool failed; /* out of memory: it looks like the end */
};

void list_input_init_text(struct input *input, const char *text, size_t size);
void list_input_init(struct input *input, const struct policy_input *from);
void list_input_deinit(struct input *input);

/* Again from the beginning. */
void list_input_rewind(struct input *input);

/* What comes next, at least wanted octets of it unless the text ends before; the number of them. */
size_t list_input_look(struct input *input, size_t wanted, const char **text);

/* Steps over so many octets of what input_look showed, at most all of it. */
void list_input_step(struct input *input, size_t count);

/* The next physical line without its newline, shown as by input_look; false at the end. input_step
 * over its length and one takes it. */
bool list_input_look_line(struct input *input, const char **text, size_t *length);

/* The same, taken. */
bool list_input_line(struct input *input, const char **text, size_t *length);
