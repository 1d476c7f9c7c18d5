/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text that runs through, with each tunnel address in it explained behind it. It comes in pieces of
 * any size, cut anywhere; what is held back is shorter than an address. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"

#define DECODE_HELD_MAX 64 /* longer than any address as text */

enum decode_form {
	DECODE_PLAIN,   /* every byte as it came */
	DECODE_ESCAPED, /* bytes that are not printable as \ddd, but line ends and tabs */
	DECODE_JSON,    /* nothing but one object a line for each address */
};

struct decode_filter {
	enum decode_form form;
	uint64_t line;  /* the one being read, from 1 */
	uint64_t found; /* addresses explained */
	bool joined;    /* a letter or a digit went through last */
	bool running;   /* it is of a word too long to be an address, which goes on */
	size_t held;
	char text[DECODE_HELD_MAX]; /* the beginning of what may be an address */
};

void decode_filter_init(struct decode_filter *filter, enum decode_form form);

/* Appends what is decided to out; with size 0 also what was held back, at the end of the text. */
void decode_filter_feed(
	struct decode_filter *filter, const char *data, size_t size, struct strbuf *out);
