/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages that wait for somebody to take them: a queue in one piece of memory, bounded in octets,
 * each message behind its length in four octets, most significant first. So it can leave as
 * datagrams or as one stream of frames. What finds no room is refused and counted. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_PREFIX 4

struct outbox {
	uint8_t *octets;
	size_t size;
	size_t first, end; /* what waits lies between the two */
	size_t count;      /* messages that wait */
	uint64_t dropped;  /* messages refused */
};

/* False when out of memory. Pages are touched only when used. */
bool outbox_init(struct outbox *box, size_t size);
void outbox_deinit(struct outbox *box);

/* Room for a message of length octets, or NULL and one more dropped. Valid until the next call. */
uint8_t *outbox_reserve(struct outbox *box, size_t length);
/* Puts the reserved message into the queue. */
void outbox_commit(struct outbox *box, size_t length);

/* The message at *place, which is 0 for the first one and is moved to the next; NULL at the end. */
const uint8_t *outbox_next(const struct outbox *box, size_t *place, size_t *length);

/* Takes the count oldest messages out. */
void outbox_drop(struct outbox *box, size_t count);

/* All that waits as one piece, lengths included. */
const uint8_t *outbox_stream(const struct outbox *box, size_t *length);

/*
 * Takes out the messages that lie wholly within the first octets of the stream; *messages says how
 * many. Returns how many octets of the message that is first now were among them.
 */
size_t outbox_pass(struct outbox *box, size_t octets, size_t *messages);
