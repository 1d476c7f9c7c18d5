/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The name is 16 hexadecimal digits made of a secret, the server and a number that grows, below
 * "loop.internal": new each time, so that nobody answers it from a cache, and under a top level
 * that is reserved for private use, which resolvers forward like any other. Rejected: "test", which
 * dnsmasq takes (Unbound answers it itself, so a loop by way of it would not be seen); recognising
 * our own questions when they come back (another server may ask the same for reasons of its own);
 * an EDNS option (no third passes it on). A server is disabled, not the question refused: two that
 * lead to each other have other servers to ask.
 */
#include "resolver/upstream/loop_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 16

static const uint8_t suffix[] = "\4loop\10internal"; /* with the root at its end */

struct watched {
	struct endpoint endpoint;
	uint8_t label[DIGITS]; /* of the marker sent last */
	int64_t asked_us;      /* INT64_MIN: never */
	int64_t due_us;
	bool seen; /* since it was asked */
	bool looping;
};

struct loop_watch {
	struct hash_seed secret;
	pthread_mutex_t lock;
	struct watched servers[LOOP_SERVERS_MAX]; /* with all below, behind the lock */
	size_t count;
	uint64_t serial;
	uint64_t found;
	/* A bit for each value that a hash of a server's address has: the first look, without the
	 * lock. */
	atomic_uint_fast64_t addresses;
	atomic_uint generation;
};

struct loop_watch *loop_watch_new(const struct hash_seed *secret)
{
	struct loop_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return NULL;
	watch->secret = *secret;
	pthread_mutex_init(&watch->lock, NULL);
	return watch;
}

void loop_watch_free(struct loop_watch *watch)
{
	if (!watch)
		return;
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

static const struct watched *find(
	const struct watched *servers, size_t count, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < count; i++)
		if (endpoint_equal(&servers[i].endpoint, endpoint))
			return &servers[i];
	return NULL;
}

static uint64_t address_bit(const struct address *address)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < sizeof address->octets; i++)
		sum = (uint8_t)(sum * 31 + address->octets[i]);
	return UINT64_C(1) << sum % 64;
}

static void set_looping(struct loop_watch *watch, struct watched *server, bool looping)
{
	if (server->looping == looping)
		return;
	server->looping = looping;
	watch->found += looping;
	atomic_fetch_add(&watch->generation, 1);
}

void loop_watch_set_servers(
	struct loop_watch *watch, const struct endpoint *servers, size_t count, int64_t now_us)
{
	static struct watched before[LOOP_SERVERS_MAX]; /* the main thread's */
	uint64_t addresses = 0;

	pthread_mutex_lock(&watch->lock);
	size_t count_before = watch->count;
	memcpy(before, watch->servers, count_before * sizeof before[0]);
	watch->count = 0;
	for (size_t i = 0; i < count && watch->count < LOOP_SERVERS_MAX; i++) {
		const struct watched *known = find(before, count_before, &servers[i]);
		if (find(watch->servers, watch->count, &servers[i]))
			continue;
		watch->servers[watch->count++] = known ? *known
						       : (struct watched){.endpoint = servers[i],
								 .asked_us = INT64_MIN,
								 .due_us = now_us};
		if (known && known->looping)
			watch->servers[watch->count - 1].due_us = now_us;
		addresses |= address_bit(&servers[i].address);
	}
	atomic_store(&watch->addresses, addresses);
	atomic_fetch_add(&watch->generation, 1);
	pthread_mutex_unlock(&watch->lock);
}

static void make_label(struct loop_watch *watch, struct watched *server)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t input[sizeof server->endpoint.address.octets + 2 + sizeof watch->serial] = {0};
	uint64_t hash;

	watch->serial++;
	memcpy(input, server->endpoint.address.octets, sizeof server->endpoint.address.octets);
	memcpy(input + 16, &server->endpoint.port, 2);
	memcpy(input + 18, &watch->serial, sizeof watch->serial);
	hash = hash_bytes_shown(&watch->secret, input, sizeof input);
	for (int i = 0; i < DIGITS; i++)
		server->label[i] = (uint8_t)hex[hash >> (60 - 4 * i) & 0xf];
}

static void make_marker(const struct watched *server, struct name *marker)
{
	marker->wire[0] = DIGITS;
	memcpy(marker->wire + 1, server->label, DIGITS);
	memcpy(marker->wire + 1 + DIGITS, suffix, sizeof suffix);
	marker->length = LOOP_NAME_LENGTH;
}

bool loop_watch_next(
	struct loop_watch *watch, int64_t now_us, struct endpoint *server, struct name *marker)
{
	bool found = false;

	_Static_assert(1 + DIGITS + sizeof suffix == LOOP_NAME_LENGTH, "the marker's length");
	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < watch->count && !found; i++) {
		struct watched *candidate = &watch->servers[i];
		if (candidate->asked_us != INT64_MIN && !candidate->seen &&
			now_us - candidate->asked_us >= LOOP_WINDOW_US)
			set_looping(watch, candidate, false);
		if (candidate->due_us > now_us)
			continue;
		make_label(watch, candidate);
		make_marker(candidate, marker);
		*server = candidate->endpoint;
		candidate->asked_us = now_us;
		candidate->seen = false;
		candidate->due_us =
			now_us + (candidate->looping ? LOOP_AGAIN_US : LOOP_NOW_AND_THEN_US);
		found = true;
	}
	pthread_mutex_unlock(&watch->lock);
	return found;
}

bool loop_is_marker(const uint8_t *folded, size_t length)
{
	return length == LOOP_NAME_LENGTH && folded[0] == DIGITS &&
	       memcmp(folded + 1 + DIGITS, suffix, sizeof suffix) == 0;
}

bool loop_watch_seen(struct loop_watch *watch, const uint8_t *folded, size_t length, int64_t now_us)
{
	bool ours = false;

	if (!loop_is_marker(folded, length))
		return false;
	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < watch->count && !ours; i++) {
		struct watched *server = &watch->servers[i];
		ours = server->asked_us != INT64_MIN &&
		       now_us - server->asked_us < LOOP_WINDOW_US &&
		       memcmp(server->label, folded + 1, DIGITS) == 0;
		if (!ours)
			continue;
		server->seen = true;
		if (server->due_us > server->asked_us + LOOP_AGAIN_US)
			server->due_us = server->asked_us + LOOP_AGAIN_US;
		set_looping(watch, server, true);
	}
	pthread_mutex_unlock(&watch->lock);
	return ours;
}

void loop_watch_heard(struct loop_watch *watch, const struct address *address, int64_t now_us)
{
	if (!(atomic_load_explicit(&watch->addresses, memory_order_relaxed) & address_bit(address)))
		return;
	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < watch->count; i++) {
		struct watched *server = &watch->servers[i];
		int64_t soon_us =
			server->asked_us == INT64_MIN ? now_us : server->asked_us + LOOP_AGAIN_US;
		if (soon_us < server->due_us && address_equal(&server->endpoint.address, address))
			server->due_us = soon_us;
	}
	pthread_mutex_unlock(&watch->lock);
}

unsigned loop_watch_generation(struct loop_watch *watch)
{
	return atomic_load_explicit(&watch->generation, memory_order_acquire);
}

bool loop_watch_is_looping(struct loop_watch *watch, const struct endpoint *server)
{
	pthread_mutex_lock(&watch->lock);
	const struct watched *known = find(watch->servers, watch->count, server);
	bool looping = known && known->looping;
	pthread_mutex_unlock(&watch->lock);
	return looping;
}

size_t loop_watch_count(struct loop_watch *watch, uint64_t *found)
{
	size_t looping = 0;

	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; i < watch->count; i++)
		looping += watch->servers[i].looping;
	*found = watch->found;
	pthread_mutex_unlock(&watch->lock);
	return looping;
}
