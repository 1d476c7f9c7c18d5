/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The questions that are under way on one connection (RFC 7766, 6.2.1.1), by their ids: which are
 * taken, whose an answer is, how many more there may be. Passive: neither sockets nor clocks.
 *
 * An id stays taken after its question was given up, until the answer comes: else a late answer
 * would meet another question of the same id.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIPELINE_MAX 128 /* questions in flight on one connection */

struct pipeline {
	uint16_t ids[PIPELINE_MAX];
	void *questions[PIPELINE_MAX]; /* NULL: given up */
	unsigned count;                /* ids that are taken */
	unsigned live;                 /* of these, not given up */
};

/* Makes any bits an id that is not taken, the nearest one above. */
uint16_t pipeline_free_id(const struct pipeline *pipeline, uint16_t bits);

/* There is room (count < PIPELINE_MAX), the id is free, question is not NULL. */
void pipeline_add(struct pipeline *pipeline, uint16_t id, void *question);

/* True when the id is taken; *question is NULL when it was given up. */
bool pipeline_find(const struct pipeline *pipeline, uint16_t id, void **question);

/* The answer came. */
void pipeline_remove(struct pipeline *pipeline, uint16_t id);

/* Nobody waits for the answer any more. */
void pipeline_give_up(struct pipeline *pipeline, uint16_t id);

/* Takes out any question that is live; NULL: there is none. */
void *pipeline_take(struct pipeline *pipeline);
