/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches that the journal refused, in the order in which they were. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/telemetry/journal.h"

/* The octets are those that the journal would have taken. */
struct memory_held {
	struct memory_held *next;
	struct journal_key key;
	size_t length;
	uint8_t octets[];
};

/* Of this boot and number; NULL when there is none. */
struct memory_held *memory_held_find(struct memory_held *list, const char *boot, uint64_t number);

/* A copy, at the end; NULL when memory ran out. */
struct memory_held *memory_held_add(
	struct memory_held **list, const struct journal_key *key, const void *octets, size_t length);

void memory_held_remove(struct memory_held **list, struct memory_held *held);
