/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two lists through each entry, so that coming, going and giving way cost the same however many
 * wait. Clients are slots by their hash rather than objects of their own: nothing to allocate for a
 * client that asks once, and nothing that a flood of forged clients could make grow.
 *
 * Rejected: to drop the newest, as a full table would suggest. With a silent upstream the table is
 * full of questions that nobody will answer, and then every other question would be dropped for as
 * long as those last.
 */
#include "resolver/waiting.h"

void waiting_init(
	struct waiting *waiting, const struct hash_seed *seed, size_t max, size_t client_max)
{
	waiting->seed = *seed;
	waiting->max = max;
	waiting->client_max = client_max;
	waiting->count = 0;
	TAILQ_INIT(&waiting->all);
	for (size_t i = 0; i < WAITING_CLIENT_SLOTS; i++) {
		TAILQ_INIT(&waiting->clients[i].list);
		waiting->clients[i].count = 0;
	}
}

uint32_t waiting_slot(const struct waiting *waiting, const struct address *client)
{
	return (uint32_t)(hash_bytes(&waiting->seed, client->octets, sizeof client->octets) %
			  WAITING_CLIENT_SLOTS);
}

struct waiting_entry *waiting_must_go(const struct waiting *waiting, uint32_t slot)
{
	if (waiting->clients[slot].count >= waiting->client_max)
		return TAILQ_FIRST(&waiting->clients[slot].list);
	return waiting->count >= waiting->max ? TAILQ_FIRST(&waiting->all) : NULL;
}

void waiting_add(struct waiting *waiting, struct waiting_entry *entry, uint32_t slot)
{
	entry->slot = slot;
	TAILQ_INSERT_TAIL(&waiting->all, entry, all);
	TAILQ_INSERT_TAIL(&waiting->clients[slot].list, entry, client);
	waiting->count++;
	waiting->clients[slot].count++;
}

void waiting_remove(struct waiting *waiting, struct waiting_entry *entry)
{
	TAILQ_REMOVE(&waiting->all, entry, all);
	TAILQ_REMOVE(&waiting->clients[entry->slot].list, entry, client);
	waiting->count--;
	waiting->clients[entry->slot].count--;
}
