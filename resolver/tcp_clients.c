/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list for each state, in the order in which connections came into it: times are the same for
 * all, so who is overdue or idle for longest stands at the front, and ten thousand connections need
 * no timers. Connections of an address are found through the chain of its hash; a chain holds what
 * one address may have, and now and then a stranger.
 */
#include "resolver/tcp_clients.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#define STATES 3

struct place {
	TAILQ_ENTRY(place) order; /* among the free ones, or those of its state */
	TAILQ_ENTRY(place) chain;
	struct address address;
	uint32_t hash;
	bool taken;
	enum tcp_state state;
	int64_t since_us;
};
TAILQ_HEAD(place_list, place);

struct tcp_clients {
	struct tcp_clients_config config;
	size_t count;
	struct place_list free, states[STATES];
	struct place_list *chains; /* config.max of them */
	struct place places[];
};

static uint32_t chain_of(const struct tcp_clients *clients, const struct address *address)
{
	return (uint32_t)(hash_bytes(
				  &clients->config.seed, address->octets, sizeof address->octets) %
			  clients->config.max);
}

static unsigned slot_of(const struct tcp_clients *clients, const struct place *place)
{
	return (unsigned)(place - clients->places);
}

/* How many the address has, and which of them has been idle for longest. */
static unsigned count_address(const struct tcp_clients *clients, uint32_t chain,
	const struct address *address, struct place **idlest)
{
	struct place *place;
	unsigned count = 0;

	*idlest = NULL;
	TAILQ_FOREACH(place, &clients->chains[chain], chain)
	{
		if (!address_equal(&place->address, address))
			continue;
		count++;
		if (place->state == TCP_IDLE && (!*idlest || place->since_us < (*idlest)->since_us))
			*idlest = place;
	}
	return count;
}

static enum tcp_admission make_room(
	const struct tcp_clients *clients, const struct place *idlest, unsigned *slot)
{
	if (!idlest)
		return TCP_REFUSED;
	*slot = slot_of(clients, idlest);
	return TCP_CLOSE_FIRST;
}

struct tcp_clients *tcp_clients_new(const struct tcp_clients_config *config)
{
	struct tcp_clients *clients =
		calloc(1, sizeof *clients + config->max * sizeof clients->places[0]);

	if (!clients)
		return NULL;
	clients->config = *config;
	clients->chains = calloc(config->max, sizeof clients->chains[0]);
	if (!clients->chains) {
		free(clients);
		return NULL;
	}
	TAILQ_INIT(&clients->free);
	for (unsigned i = 0; i < STATES; i++)
		TAILQ_INIT(&clients->states[i]);
	for (unsigned i = 0; i < config->max; i++) {
		TAILQ_INIT(&clients->chains[i]);
		TAILQ_INSERT_TAIL(&clients->free, &clients->places[i], order);
	}
	return clients;
}

void tcp_clients_free(struct tcp_clients *clients)
{
	if (!clients)
		return;
	free(clients->chains);
	free(clients);
}

enum tcp_admission tcp_clients_admit(struct tcp_clients *clients, const struct address *address,
	bool bounded, int64_t now_us, unsigned *slot)
{
	uint32_t chain = chain_of(clients, address);
	struct place *place, *idlest = NULL;

	if (bounded &&
		count_address(clients, chain, address, &idlest) >= clients->config.per_address_max)
		return make_room(clients, idlest, slot);
	place = TAILQ_FIRST(&clients->free);
	if (!place)
		return make_room(clients, TAILQ_FIRST(&clients->states[TCP_IDLE]), slot);
	TAILQ_REMOVE(&clients->free, place, order);
	TAILQ_INSERT_TAIL(&clients->states[TCP_IDLE], place, order);
	TAILQ_INSERT_TAIL(&clients->chains[chain], place, chain);
	place->address = *address;
	place->hash = chain;
	place->taken = true;
	place->state = TCP_IDLE;
	place->since_us = now_us;
	clients->count++;
	*slot = slot_of(clients, place);
	return TCP_ADMITTED;
}

void tcp_clients_leave(struct tcp_clients *clients, unsigned slot)
{
	struct place *place = &clients->places[slot];

	assert(place->taken);
	TAILQ_REMOVE(&clients->states[place->state], place, order);
	TAILQ_REMOVE(&clients->chains[place->hash], place, chain);
	TAILQ_INSERT_HEAD(&clients->free, place, order); /* its memory is in use already */
	place->taken = false;
	clients->count--;
}

void tcp_clients_set(
	struct tcp_clients *clients, unsigned slot, enum tcp_state state, int64_t now_us)
{
	struct place *place = &clients->places[slot];

	assert(place->taken);
	TAILQ_REMOVE(&clients->states[place->state], place, order);
	TAILQ_INSERT_TAIL(&clients->states[state], place, order);
	place->state = state;
	place->since_us = now_us;
}

enum tcp_state tcp_clients_state(const struct tcp_clients *clients, unsigned slot)
{
	return clients->places[slot].state;
}

bool tcp_clients_overdue(const struct tcp_clients *clients, int64_t now_us, unsigned *slot)
{
	const struct place *idle = TAILQ_FIRST(&clients->states[TCP_IDLE]);
	const struct place *writing = TAILQ_FIRST(&clients->states[TCP_WRITING]);

	if (idle && now_us - idle->since_us >= clients->config.idle_us)
		*slot = slot_of(clients, idle);
	else if (writing && now_us - writing->since_us >= clients->config.write_us)
		*slot = slot_of(clients, writing);
	else
		return false;
	return true;
}

bool tcp_clients_idlest(const struct tcp_clients *clients, unsigned *slot)
{
	const struct place *idle = TAILQ_FIRST(&clients->states[TCP_IDLE]);

	if (idle)
		*slot = slot_of(clients, idle);
	return idle != NULL;
}

size_t tcp_clients_count(const struct tcp_clients *clients)
{
	return clients->count;
}
