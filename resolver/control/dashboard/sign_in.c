/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table that is looked through whole, as tries are rare and hashing one token costs ten thousand
 * times as much. resolver/rate_limit.h was rejected: it is made for a hundred thousand queries a
 * second, and its waits do not grow.
 */
#include "resolver/control/dashboard/sign_in.h"

#include <string.h>

#define FIRST_WAIT_MS 1000
#define DOUBLINGS_MAX 10 /* 2^10 s is more than the longest wait */

void sign_in_init(struct sign_in_limit *limit, int64_t now_ms)
{
	memset(limit, 0, sizeof *limit);
	limit->bucket_ms = (int64_t)SIGN_IN_BUCKET * SIGN_IN_REFILL_MS;
	limit->filled_ms = now_ms;
}

static struct address network_of(const struct address *address)
{
	if (!address_is_ip(address))
		return address_excluded();
	return address_prefix(address, address->family == ADDRESS_V4 ? 24 : 64);
}

static bool is_loopback(const struct address *address)
{
	static const uint8_t one[16] = {[15] = 1};

	if (address->family == ADDRESS_V4)
		return address->octets[0] == 127;
	return address->family == ADDRESS_V6 && memcmp(address->octets, one, sizeof one) == 0;
}

static bool is_over(const struct sign_in_network *network, int64_t now_ms)
{
	return network->network.family == ADDRESS_NONE ||
	       now_ms - network->tried_ms >= SIGN_IN_FORGET_MS;
}

static struct sign_in_network *find(
	struct sign_in_limit *limit, const struct address *network, int64_t now_ms)
{
	for (size_t i = 0; i < SIGN_IN_NETWORKS_MAX; i++)
		if (!is_over(&limit->networks[i], now_ms) &&
			address_equal(&limit->networks[i].network, network))
			return &limit->networks[i];
	return NULL;
}

/* A free place, or that of the network which may try again the soonest: it has least to lose. */
static struct sign_in_network *place(struct sign_in_limit *limit, int64_t now_ms)
{
	struct sign_in_network *soonest = &limit->networks[0];

	for (size_t i = 0; i < SIGN_IN_NETWORKS_MAX; i++) {
		struct sign_in_network *network = &limit->networks[i];
		if (is_over(network, now_ms))
			return network;
		if (network->open_ms < soonest->open_ms)
			soonest = network;
	}
	limit->forgotten++;
	return soonest;
}

static void fill(struct sign_in_limit *limit, int64_t now_ms)
{
	int64_t most = (int64_t)SIGN_IN_BUCKET * SIGN_IN_REFILL_MS;

	if (now_ms > limit->filled_ms)
		limit->bucket_ms += now_ms - limit->filled_ms;
	if (limit->bucket_ms > most)
		limit->bucket_ms = most;
	limit->filled_ms = now_ms;
}

static int64_t wait_after(uint32_t failures)
{
	if (failures < SIGN_IN_FREE)
		return 0;
	uint32_t doublings = failures - SIGN_IN_FREE;
	int64_t wait = (int64_t)FIRST_WAIT_MS
		       << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
	return wait < SIGN_IN_WAIT_MAX_MS ? wait : SIGN_IN_WAIT_MAX_MS;
}

/* 0, or how long the bucket stays empty. */
static int64_t draw(struct sign_in_limit *limit, const struct address *address, int64_t now_ms)
{
	fill(limit, now_ms);
	if (is_loopback(address))
		return 0;
	if (limit->bucket_ms < SIGN_IN_REFILL_MS)
		return SIGN_IN_REFILL_MS - limit->bucket_ms;
	limit->bucket_ms -= SIGN_IN_REFILL_MS;
	return 0;
}

static void put_back(struct sign_in_limit *limit, const struct address *address, int64_t now_ms)
{
	if (!is_loopback(address))
		limit->bucket_ms += SIGN_IN_REFILL_MS;
	fill(limit, now_ms);
}

int64_t sign_in_try(struct sign_in_limit *limit, const struct address *address, int64_t now_ms)
{
	struct address key = network_of(address);
	struct sign_in_network *network = find(limit, &key, now_ms);
	int64_t wait = network && network->open_ms > now_ms ? network->open_ms - now_ms : 0;

	if (wait == 0)
		wait = draw(limit, address, now_ms);
	if (wait > 0) {
		limit->turned_away++;
		return wait;
	}
	if (!network) {
		network = place(limit, now_ms);
		*network = (struct sign_in_network){.network = key};
	}
	network->failures++;
	network->tried_ms = now_ms;
	network->open_ms = now_ms + wait_after(network->failures);
	return 0;
}

void sign_in_succeeded(struct sign_in_limit *limit, const struct address *address, int64_t now_ms)
{
	struct address key = network_of(address);
	struct sign_in_network *network = find(limit, &key, now_ms);

	if (network)
		*network = (struct sign_in_network){0};
	put_back(limit, address, now_ms);
}

void sign_in_take_back(struct sign_in_limit *limit, const struct address *address, int64_t now_ms)
{
	struct address key = network_of(address);
	struct sign_in_network *network = find(limit, &key, now_ms);

	if (network && network->failures > 0)
		network->open_ms = now_ms + wait_after(--network->failures);
	put_back(limit, address, now_ms);
}
