/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Not a ring: a stream is written with one large write, which a message across the end of a ring
 * would cut in two. What waits is moved to the front when the end is reached and a quarter of the
 * memory is free before it, so an octet is moved few times, and never where a reader keeps up.
 */
#include "resolver/telemetry/sinks/outbox.h"

#include <stdlib.h>
#include <string.h>

static void put_length(uint8_t *at, size_t length)
{
	for (unsigned i = 0; i < OUTBOX_PREFIX; i++)
		at[i] = (uint8_t)(length >> (24 - 8 * i));
}

static size_t get_length(const uint8_t *at)
{
	size_t length = 0;

	for (unsigned i = 0; i < OUTBOX_PREFIX; i++)
		length = length << 8 | at[i];
	return length;
}

bool outbox_init(struct outbox *box, size_t size)
{
	*box = (struct outbox){.octets = malloc(size), .size = size};
	return box->octets != NULL;
}

void outbox_deinit(struct outbox *box)
{
	free(box->octets);
	*box = (struct outbox){0};
}

uint8_t *outbox_reserve(struct outbox *box, size_t length)
{
	size_t needed = OUTBOX_PREFIX + length;

	if (length > box->size - OUTBOX_PREFIX) {
		box->dropped++;
		return NULL;
	}
	if (needed > box->size - box->end && box->first >= box->size / 4) {
		memmove(box->octets, box->octets + box->first, box->end - box->first);
		box->end -= box->first;
		box->first = 0;
	}
	if (needed > box->size - box->end) {
		box->dropped++;
		return NULL;
	}
	return box->octets + box->end + OUTBOX_PREFIX;
}

void outbox_commit(struct outbox *box, size_t length)
{
	put_length(box->octets + box->end, length);
	box->end += OUTBOX_PREFIX + length;
	box->count++;
}

const uint8_t *outbox_next(const struct outbox *box, size_t *place, size_t *length)
{
	size_t at = box->first + *place;

	if (at == box->end)
		return NULL;
	*length = get_length(box->octets + at);
	*place += OUTBOX_PREFIX + *length;
	return box->octets + at + OUTBOX_PREFIX;
}

static void drop_first(struct outbox *box)
{
	box->first += OUTBOX_PREFIX + get_length(box->octets + box->first);
	if (--box->count == 0)
		box->first = box->end = 0; /* the same pages again: they are warm */
}

void outbox_drop(struct outbox *box, size_t count)
{
	while (count-- > 0)
		drop_first(box);
}

const uint8_t *outbox_stream(const struct outbox *box, size_t *length)
{
	*length = box->end - box->first;
	return box->octets + box->first;
}

size_t outbox_pass(struct outbox *box, size_t octets, size_t *messages)
{
	*messages = 0;
	while (box->count > 0) {
		size_t whole = OUTBOX_PREFIX + get_length(box->octets + box->first);
		if (whole > octets)
			break;
		octets -= whole;
		drop_first(box);
		++*messages;
	}
	return octets;
}
