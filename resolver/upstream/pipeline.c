/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two short arrays, searched from the front: a hundred ids lie in four cache lines, and a look-up
 * costs less than the read(2) that brought the answer. An array of 65,536 entries, which needs no
 * search, was rejected for its half megabyte a connection.
 */
#include "resolver/upstream/pipeline.h"

#include <assert.h>

static unsigned slot_of(const struct pipeline *pipeline, uint16_t id)
{
	unsigned slot = 0;

	while (slot < pipeline->count && pipeline->ids[slot] != id)
		slot++;
	return slot;
}

static void free_slot(struct pipeline *pipeline, unsigned slot)
{
	unsigned last = --pipeline->count;

	pipeline->live -= pipeline->questions[slot] != NULL;
	pipeline->ids[slot] = pipeline->ids[last];
	pipeline->questions[slot] = pipeline->questions[last];
}

uint16_t pipeline_free_id(const struct pipeline *pipeline, uint16_t bits)
{
	while (slot_of(pipeline, bits) < pipeline->count)
		bits++;
	return bits;
}

void pipeline_add(struct pipeline *pipeline, uint16_t id, void *question)
{
	assert(question && pipeline->count < PIPELINE_MAX);
	pipeline->ids[pipeline->count] = id;
	pipeline->questions[pipeline->count] = question;
	pipeline->count++;
	pipeline->live++;
}

bool pipeline_find(const struct pipeline *pipeline, uint16_t id, void **question)
{
	unsigned slot = slot_of(pipeline, id);

	if (slot == pipeline->count)
		return false;
	*question = pipeline->questions[slot];
	return true;
}

void pipeline_remove(struct pipeline *pipeline, uint16_t id)
{
	unsigned slot = slot_of(pipeline, id);

	if (slot < pipeline->count)
		free_slot(pipeline, slot);
}

void pipeline_give_up(struct pipeline *pipeline, uint16_t id)
{
	unsigned slot = slot_of(pipeline, id);

	if (slot == pipeline->count || !pipeline->questions[slot])
		return;
	pipeline->questions[slot] = NULL;
	pipeline->live--;
}

void *pipeline_take(struct pipeline *pipeline)
{
	for (unsigned slot = 0; slot < pipeline->count; slot++) {
		void *question = pipeline->questions[slot];

		if (question) {
			free_slot(pipeline, slot);
			return question;
		}
	}
	return NULL;
}
