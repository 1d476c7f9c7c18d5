/* SPDX-License-Identifier: BSD-3-Clause */
/* A list: there is one of this boot at most, and one of each boot before that met a full disk. */
#include "resolver/telemetry/memory/memory_held.h"

#include <stdlib.h>
#include <string.h>

struct memory_held *memory_held_find(struct memory_held *list, const char *boot, uint64_t number)
{
	while (list && (list->key.number != number || strcmp(list->key.boot, boot) != 0))
		list = list->next;
	return list;
}

struct memory_held *memory_held_add(
	struct memory_held **list, const struct journal_key *key, const void *octets, size_t length)
{
	struct memory_held *held = malloc(sizeof(*held) + length);

	if (!held)
		return NULL;
	*held = (struct memory_held){.key = *key, .length = length};
	memcpy(held->octets, octets, length);
	while (*list)
		list = &(*list)->next;
	*list = held;
	return held;
}

void memory_held_remove(struct memory_held **list, struct memory_held *held)
{
	while (*list != held)
		list = &(*list)->next;
	*list = held->next;
	free(held);
}
