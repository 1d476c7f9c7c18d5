/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that reads tables for a screen, again each second, so that keys are answered at once
 * while Redis is slow or away. All functions are for the thread that draws.
 */
#pragma once

#include "lib/base/arena.h"
#include "resolver/control/cli.h"
#include "resolver/control/top_load.h"

#define TOP_WORDS_MAX 256

struct top_frame {
	struct top_table table; /* rows in the arena */
	struct arena arena;
	char title[TOP_WORDS_MAX]; /* "resolver gw1, recording since …" */
	int64_t wall_ms;           /* when it was read */
	unsigned changes;          /* of the state it is for */
};

struct top_reader;

/* Takes cli and fleet over until top_reader_free, which gives neither back in use. NULL: out of
 * memory, or no thread could be made. */
struct top_reader *top_reader_new(struct cli *cli, struct fleet *fleet);
/* Waits for what is being read (at most the timeouts of Redis). */
void top_reader_free(struct top_reader **reader);

/* What to read from now on; texts are copied. changes says of which state it is. */
void top_reader_wish(struct top_reader *reader, const struct top_wish *wish, unsigned changes);
void top_reader_pause(struct top_reader *reader, bool paused);

/* A newer frame than the one before, for the caller to free; NULL: there is none. */
struct top_frame *top_reader_take(struct top_reader *reader);
void top_frame_free(struct top_frame *frame);

/* Why nothing could be read since; "" when it can. */
void top_reader_words(struct top_reader *reader, char out[TOP_WORDS_MAX]);
